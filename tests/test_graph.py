"""The graph: every profile makes one that DVC accepts; a stage follows the code that it uses."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from passerby import settings
from passerby.settings import profile

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / "profiles"
PACKAGE = ROOT / "src" / "passerby"
GROUND = {
    "settings", "foreign", "contract.py", "errors.py", "files.py", "graph.py", "images.py",
    "isolation.py", "leftovers.py", "onnx_file.py", "options.py", "parallel.py", "places.py",
    "progress.py", "sealed.py", "seeds.py", "text.py", "vision.py",
}  # fmt: skip


def dvc(folder: Path, *arguments: str) -> str:
    """What a dvc command printed; it must succeed."""
    done = subprocess.run(
        ["dvc", *arguments],
        cwd=folder,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def empty_project(tmp_path: Path) -> Path:
    """The project's graph without anything that it made."""
    for name in ("dvc.yaml", "stages", "src", "profiles"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    dvc(tmp_path, "init", "--no-scm", "-q")
    return tmp_path


def _stand_in(folder: Path) -> None:
    """Put something in the place of all that is not there: a dry run looks at what stages need."""
    for stage in Repo(str(folder)).index.stages:
        for item in (*stage.deps, *stage.outs):
            path = Path(item.fs_path)
            if path.exists() or isinstance(item, ParamsDependency):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (
                ".tsv",
                ".json",
                ".npz",
                ".safetensors",
                ".lmdb",
                ".parquet",
                ".mat",
            ):
                path.write_text("stand-in")
            else:
                path.mkdir()
                (path / "stand-in").touch()


@pytest.mark.slow
@pytest.mark.parametrize("name", profile.names(PROFILES))
def test_every_profile_makes_a_graph(name: str, empty_project: Path) -> None:
    text = profile.compose(name, PROFILES)
    params = settings.validate(text, name)
    (empty_project / "params.yaml").write_text(text)
    _stand_in(empty_project)
    said = dvc(empty_project, "repro", "--dry")
    models = [
        f"finetune@{init}-{recipe}-{percent}-{seed}"
        for init in params.branches.inits
        for recipe in params.branches.recipes
        for percent in params.branches.percents
        for seed in params.branches.seeds
    ]
    for stage in (
        *models,
        *(f"evaluate@{m[9:]}-{s}" for m in models for s in params.branches.sets),
    ):
        assert f"Running stage '{stage}'" in said
    assert said.index("Running stage 'report'") > said.index(f"Running stage '{models[-1]}'")


def rooms_of(path: Path, seen: set[str]) -> set[str]:
    """Rooms of the package that a file imports, by way of others too."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module] + [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"passerby(\.\w+)+", str(node.value)):
            modules = [node.value]  # run in processes of its own: `python -m`
        for module in modules:
            parts = module.split(".")
            if parts[0] != "passerby" or len(parts) < 2 or module in seen:
                continue
            seen.add(module)
            for file in (
                ROOT / "src" / Path(*parts).with_suffix(".py"),
                ROOT / "src" / Path(*parts) / "__init__.py",
            ):
                if file.exists():
                    rooms_of(file, seen)
    return {module.split(".")[1] for module in seen}


def test_a_stage_follows_every_room_that_its_script_uses() -> None:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in graph.items():
        body = stage.get("do", stage)
        script = body["cmd"].split()[1]
        used = rooms_of(ROOT / script, set())
        rooms = {room if (PACKAGE / room).is_dir() else f"{room}.py" for room in used} - GROUND
        followed = {dep.split("/")[-1] for dep in body["deps"] if dep.startswith("src/passerby/")}
        assert rooms == followed, name
        assert script in body["deps"], name
