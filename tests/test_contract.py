"""What decides a result: every stage that goes on follows its code and its packages."""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import pytest
import yaml

from passerby import contract
from passerby.baselines import attributes
from passerby.crops import build
from passerby.finetune import job
from passerby.pretrain import run
from passerby.video import detect
from passerby.world import city

ROOT = Path(__file__).resolve().parent.parent
STAGES = {
    "baseline": attributes,
    "crop": build,
    "crossvalidate": job,
    "detect": detect,
    "finetune": job,
    "pretrain": run,
    "world": city,
}


@pytest.mark.parametrize("name", STAGES)
def test_a_run_follows_the_rooms_that_its_stage_follows(name: str) -> None:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = graph[name].get("do", graph[name])["deps"]
    rooms = {dep.removeprefix("src/passerby/") for dep in deps if dep.startswith("src/passerby/")}
    module: ModuleType = STAGES[name]
    assert set(module.FOLLOWED) == rooms


def test_a_contract_has_each_file_of_its_rooms_and_of_the_ground_that_decides_bytes() -> None:
    found = contract.of_run({"lr": 0.1}, ["pretrain", "crops"])
    package = ROOT / "src" / "passerby"
    paths = [*package.glob("pretrain/**/*.py"), *package.glob("crops/**/*.py")]
    names = {path.relative_to(package).as_posix() for path in paths}
    assert "pretrain/kernels/batchnorm.py" in names
    assert set(found["code"]) == names | {"images.py", "seeds.py", "vision.py"}
    loop = (package / "pretrain" / "loop.py").read_bytes()
    assert found["code"]["pretrain/loop.py"] == hashlib.sha256(loop).hexdigest()[:16]
    assert found["lr"] == 0.1


def test_code_that_changes_while_a_process_runs_is_not_what_it_follows(tmp_path: Path) -> None:
    # A copy of the package, so that a file of it can be changed.
    package = ROOT / "src" / "passerby"
    shutil.copytree(package, tmp_path / "passerby")
    changed = tmp_path / "passerby" / "pretrain" / "loop.py"
    asks = (
        "from pathlib import Path; from passerby import contract\n"
        "before = contract.code(['pretrain'])\n"
        f"path = Path({str(changed)!r}); path.write_text(path.read_text() + '# more')\n"
        "print(before == contract.code(['pretrain']), before['pretrain/loop.py'])"
    )
    for _ in range(2):  # a process that starts later follows what it finds
        digest = hashlib.sha256(changed.read_bytes()).hexdigest()[:16]
        done = subprocess.run(
            [sys.executable, "-c", asks],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["True", digest]


def test_a_contract_has_the_versions_of_what_computes() -> None:
    told = {"versions": {"fastreid": "1.4.0"}}
    found = contract.of_run(told, [], ["av", "no-such-package"])["versions"]
    assert found == {
        "opencv": cv2.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "pillow": importlib.metadata.version("pillow"),
        "torch": importlib.metadata.version("torch"),
        "av": importlib.metadata.version("av"),
        "no-such-package": "",
        "fastreid": "1.4.0",
    }


def test_many_changed_files_are_one_line() -> None:
    before = {"code": {f"{n}.py": "1" for n in range(9)}, "versions": {"torch": "2.11.0"}}
    now = {"code": {f"{n}.py": "2" for n in range(8)}, "versions": {"torch": "2.13.0"}}
    assert contract.differences(before, now) == [
        "code: changed in 0.py, 1.py, 2.py, 3.py, 4.py and 4 more",
        "versions.torch: saved '2.11.0', asked '2.13.0'",
    ]
