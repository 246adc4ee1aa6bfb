"""What unfinished runs left in scratch is named, listed and removed; the living keep theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from passerby import files, leftovers
from passerby.errors import BadInput

OLD, OTHER = files.fingerprint({"lr": 1}), files.fingerprint({"lr": 2})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which two runs of the stage `crop`, of other settings, did not end."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for contract, size in (({"lr": 1}, 3_000_000), ({"lr": 2}, 10)):
        with pytest.raises(InterruptedError), files.scratch("crop", contract) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "half").write_bytes(bytes(size))
            raise InterruptedError
    three_days_ago = (folder / "deep" / "half").stat().st_mtime - 3 * 86_400 - 60
    for path in (tmp_path / "scratch" / "crop" / OLD).rglob("*"):
        os.utime(path, (three_days_ago, three_days_ago))
    os.utime(tmp_path / "scratch" / "crop" / OLD, (three_days_ago, three_days_ago))
    return tmp_path


def test_a_run_names_what_it_does_not_go_on_from_with_size_age_and_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with files.scratch("crop", {"lr": 3}):
        said = capsys.readouterr().err
    folder = project / "scratch" / "crop"
    told = {OLD: f"{folder / OLD} (3.0 MB, 3 days old)", OTHER: f"{folder / OTHER} (0.0 MB, under"}
    assert said.startswith("crop: runs with other settings, inputs or code left ")
    assert all(text in said for text in told.values())
    first, second = sorted((OLD, OTHER))
    assert f"passerby scratch --remove {folder / first} {folder / second}\n" in said
    assert said.count("\n") == 1


def test_a_run_without_others_beside_it_says_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with files.scratch("detect", {"lr": 1}):
        pass
    assert capsys.readouterr().err == ""


def test_the_verb_lists_and_removes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project / "scratch" / "crop"
    leftovers.scratch([], remove=False)
    assert len(capsys.readouterr().out.splitlines()) == 2
    leftovers.scratch([folder / OLD], remove=True)
    assert capsys.readouterr().out == f"removed {folder / OLD} (3.0 MB, 3 days old)\n"
    assert sorted(os.listdir(folder)) == [OTHER, f"{OTHER}.lock"]
    leftovers.scratch([], remove=True)
    assert os.listdir(project / "scratch") == []
    capsys.readouterr()
    leftovers.scratch([], remove=True)
    assert capsys.readouterr().out == f"{project / 'scratch'}: nothing to remove\n"
    leftovers.scratch([], remove=False)
    assert capsys.readouterr().out == f"{project / 'scratch'}: nothing there\n"


def test_only_scratch_is_removed(project: Path) -> None:
    mine = project / "scratch" / "crop" / "mine"
    mine.mkdir()
    (project / "data").mkdir()
    for path in (mine, project / "data", project / "scratch", project / "scratch" / "crop"):
        with pytest.raises(BadInput, match=r"no folder of .*scratch; 'passerby scratch' lists"):
            leftovers.removed(project / "scratch", [path])
    leftovers.removed(project / "scratch")
    assert mine.is_dir()
    assert (project / "data").is_dir()


HOLDER = """
import sys
from passerby import files
with files.scratch("crop", {"lr": 1}) as folder:
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_what_a_running_process_works_in_is_listed_as_in_use_and_stays(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project / "scratch" / "crop"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    held = {one.path.name: one.held for one in leftovers.found(project / "scratch")}
    assert held == {OLD: True, OTHER: False}
    with pytest.raises(BadInput, match=f"{OLD}: in use; stop that run first"):
        leftovers.removed(project / "scratch", [folder / OLD])
    capsys.readouterr()
    with files.scratch("crop", {"lr": 3}):
        assert OLD not in capsys.readouterr().err
    assert [one.path.name for one in leftovers.removed(project / "scratch")] == [OTHER]
    assert (folder / OLD / "deep" / "half").exists()
    holder.communicate("")
    assert os.listdir(project / "scratch") == []


def test_a_link_in_scratch_is_left_alone_with_what_it_leads_to(project: Path) -> None:
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    link = project / "scratch" / "crop" / "0123456789abcdef"
    link.symlink_to(elsewhere)
    for path in (link, elsewhere, Path("a\0b"), Path("x" * 300)):
        with pytest.raises(BadInput, match="no folder of"):
            leftovers.removed(project / "scratch", [path])
    assert len(leftovers.removed(project / "scratch")) == 2
    assert elsewhere.is_dir()
    assert link.is_symlink()
