"""The house rules that a program can check: sizes of files, who may import what, honest docs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src" / "passerby").rglob("*.py"))
STAGES = sorted((ROOT / "stages").glob("*.py"))
ONLY_IN = {
    "h5py": "datasets",
    "lmdb": "crops",
    "matplotlib": "report",
    "fastreid": "finetune",
    "av": "video",
    "yt_dlp": "video",
    "torchvision": "vision.py",
}
NEVER_IN = {"torch": ("report", "evaluation", "datasets", "crops", "world")}


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "passerby").parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_keeps_to_its_size_and_its_imports(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    names = imported(path)
    for package, home in ONLY_IN.items():
        assert package not in names or room(path) == home, f"{package} belongs to {home}"
    for package, rooms in NEVER_IN.items():
        assert package not in names or room(path) not in rooms


def test_everything_that_is_printed_goes_through_one_place() -> None:
    for path in (*SOURCES, *STAGES):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if is_print(node)]
        assert not calls or path.name == "text.py", f"{path}: passerby.text.say wanted"


def is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.name)
def test_a_stage_is_short_and_explains_itself(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 40
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert docstring.startswith(f"Stage `{path.stem}`")
    assert f"python stages/{path.name}" in docstring


def test_every_stage_of_the_graph_has_its_script() -> None:
    scripts = set(re.findall(r"python (stages/\w+\.py)", (ROOT / "dvc.yaml").read_text()))
    assert scripts == {f"stages/{path.name}" for path in STAGES}


def test_the_layers_of_the_ladder_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_relative_links_in_the_pages_exist() -> None:
    pages = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for page in pages:
        text = (ROOT / page).read_text()
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"
