"""Which tests see a GPU, how tests are skipped, and how CI checks it; pytest runs on copies."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import needs
import pytest

ROOT = Path(__file__).resolve().parent.parent
LACKING = "needs the package 'no_such_package': pip install no_such_package"
SEES = """
import os
import subprocess
import pytest

def seen() -> list[str | None]:
    own = os.environ.get("CUDA_VISIBLE_DEVICES")
    child = subprocess.run(["printenv", "CUDA_VISIBLE_DEVICES"], capture_output=True, text=True)
    return [own, child.stdout.strip()]

def test_plain() -> None:
    assert seen() == ["", ""]
"""
ON_A_GPU = """
@pytest.mark.gpu
def test_on_a_gpu() -> None:
    assert seen() == ["0", "0"]
"""
PRETEND_THERE_IS_A_GPU = """
import os
import torch
torch.cuda.is_available = lambda: os.environ["CUDA_VISIBLE_DEVICES"] != ""
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with our conftest and settings of pytest, and no test yet."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    shutil.copytree(ROOT / "tests" / "plugins", tmp_path / "tests" / "plugins")
    return tmp_path


def run(folder: Path, code: str, *options: str, accounting: bool = False) -> tuple[int, str]:
    """Run `code` as a file of tests, with GPU 0 visible: exit code, and what pytest printed."""
    (folder / "tests" / "test_code.py").write_text(code)
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "0"}
    for name in ("PYTEST_ADDOPTS", "PASSERBY_REALDATA", "PASSERBY_REALDATA_LAID_OUT"):
        env.pop(name, None)
    env["PASSERBY_ACCOUNT_FOR_SKIPS"] = "1" if accounting else ""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests", *options]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_plain_runs_hide_gpus_from_tests_and_their_children_and_skip_what_needs_one(folder):
    code, said = run(folder, SEES + ON_A_GPU, "-rs")
    assert code == 0, said
    assert "1 passed, 1 skipped" in said
    assert "needs a GPU: run `make gpu` where there is one" in said


@pytest.mark.slow
def test_the_run_for_gpus_shows_them_and_takes_only_what_is_marked(folder):
    code, said = run(folder, PRETEND_THERE_IS_A_GPU + SEES + ON_A_GPU, "-m", "gpu")
    assert code == 0, said
    assert "1 passed, 1 deselected" in said


@pytest.mark.slow
def test_skipped_tests_are_listed_by_reason_and_a_need_that_is_lacking_is_no_fault(folder):
    (folder / "tests" / "test_module.py").write_text(
        "import needs\nneeds.require(\"the package 'no_such_package'\")\n"
    )
    body = "import needs\ndef test_{}():\n    needs.require(\"the package 'no_such_package'\")\n"
    code, said = run(folder, body.format("a") + body.format("b"), accounting=True)
    assert code == 0, said
    listed = f"3 skipped: {LACKING}\n  tests/test_module.py\n  tests/test_code.py::test_a\n"
    assert listed + "  tests/test_code.py::test_b\n" in said


FAULTY = {
    "the package 'pytest'": "this machine has the package 'pytest'",
    "the command 'python'": "this machine has the command 'python'",
    "a unicorn": "the reason does not say 'needs WHAT: how to get it' with a WHAT of tests/plugins",
}


@pytest.mark.slow
def test_a_test_that_is_skipped_though_its_need_is_there_fails_an_accounting_run(folder):
    lines = ["import pytest"]
    for number, what in enumerate(FAULTY):
        lines += [f'@pytest.mark.skip(reason="needs {what}: get it")', f"def test_{number}(): ..."]
    lines += ["def test_passes(): ..."]
    code, said = run(folder, "\n".join(lines), accounting=True)
    assert code == 1
    assert re.findall("WRONGLY SKIPPED: (.*)", said) == [FAULTY[what] for what in sorted(FAULTY)]
    code, said = run(folder, "\n".join(lines))
    assert code == 0
    assert "WRONGLY" not in said


@pytest.mark.slow
def test_an_example_that_is_skipped_fails_an_accounting_run(folder):
    example = '"""Example:\n    >>> 1 + 1  # doctest: +SKIP\n    3\n"""\n'
    code, said = run(folder, example, accounting=True)
    assert code == 1
    assert "WRONGLY SKIPPED" in said


@pytest.mark.slow
def test_a_failure_stays_a_failure_in_an_accounting_run(folder):
    code, said = run(folder, "def test_fails():\n    assert False\n", accounting=True)
    assert code == 1, said
    code, _ = run(folder, "import no_such_package", accounting=True)
    assert code == 2


def test_every_need_has_a_way_to_get_it_and_is_there_or_not():
    for what in needs.NEEDS:
        assert isinstance(needs.need(what).is_there(), bool)
        assert needs.reason(what).startswith(f"needs {what}: ")


@pytest.mark.parametrize(("names", "there"), [("", False), ("c++ g++", True), ("clang++", True)])
def test_a_compiler_is_found_on_the_path(tmp_path, monkeypatch, names, there):
    for name in names.split():
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert needs.need("a C++ compiler").is_there() == there


def test_no_test_skips_without_naming_its_need():
    """The line that skips must name it. `importorskip` would also hide a broken package."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path not in (Path(__file__), Path(needs.__file__))
        for line in path.read_text().splitlines()
        if re.search(r"\b(pytest|mark)\.(skip|skipif|importorskip|xfail)\b", line)
        and "needs" not in line
    ]
    assert found == []


FINDS_DVC = """
import shutil
import subprocess
import sysconfig

def test_dvc_and_python() -> None:
    scripts = sysconfig.get_path("scripts")
    assert shutil.which("dvc") == f"{scripts}/dvc"
    asked = "command -v dvc; command -v python"
    found = subprocess.run(asked, shell=True, capture_output=True, text=True)
    assert found.stdout.split() == [f"{scripts}/dvc", f"{scripts}/python"]
"""


@pytest.mark.slow
def test_tests_find_the_dvc_of_their_own_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    code, said = run(folder, FINDS_DVC)
    assert code == 0, said
