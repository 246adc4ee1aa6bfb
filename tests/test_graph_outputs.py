"""What DVC would refuse after a stage's work is refused before it: the real DVC, git and disks."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import needs
import pytest

from passerby import graph
from passerby.errors import BadInput

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
PIPELINE = """
stages:
  one:
    foreach: [bonn, york]
    do:
      cmd: python stage.py data/made/${item}
      outs: ["data/made/${item}"]
  two:
    matrix:
      init: [moco]
      set: [market, cuhk]
    cmd: python stage.py data/results/${item.init}-0-${item.set}/a.npz
    outs: ["data/results/${item.init}-0-${item.set}/a.npz"]
"""
STAGE = """
import sys
from pathlib import Path
from passerby import graph

def main(path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("made")

graph.run(main, *sys.argv[1:])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of git and DVC with two stages."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "stage.py").write_text(STAGE)
    (folder / ".gitignore").write_text("/data/*\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    for name in ("DVC_ROOT", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    said("git", "init", "-q")
    said("dvc", "init", "-q")
    return folder


def said(*words: str, code: int = 0) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    return text


def of_stage(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage of DVC's asks first."""
    monkeypatch.setenv("DVC_STAGE", name)
    graph.require_outputs()


@pytest.mark.parametrize("link", ["data", "data/made"])
def test_a_link_to_another_disk_is_refused_before_work_and_the_advice_works(
    link: str, project: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    (disk / "folder").mkdir(parents=True)
    if link == "data":
        (project / "data").rmdir()
    (project / link).symlink_to(disk / "folder")
    refused = said("dvc", "repro", "one@bonn", code=255)
    assert f"passerby: {link}: a link to {disk / 'folder'}, outside the git repository" in refused
    assert list((disk / "folder").rglob("*")) == []
    advice = f"dvc cache dir --local {disk / 'dvc-cache'}"
    assert advice in refused
    (project / link).unlink()
    said(*advice.split())
    (disk / "scratch").mkdir()
    (project / "scratch").symlink_to(disk / "scratch")
    said("dvc", "repro")
    assert (project / "data" / "made" / "bonn").read_text() == "made"
    assert len(list((disk / "dvc-cache").rglob("*/md5/*/*"))) == 1


def test_an_output_in_git_is_refused_before_work(project: Path) -> None:
    said("dvc", "repro")
    said("git", "add", "-f", "data/results/moco-0-cuhk/a.npz")
    said("dvc", "repro", "-s", "-f", "two@moco-market", "one@bonn")
    refused = said("dvc", "repro", "-s", "-f", "two@moco-cuhk", code=255)
    assert (
        "passerby: data/results/moco-0-cuhk/a.npz: in git, and an output of this stage" in refused
    )
    said("git", "rm", "-q", "-r", "--cached", "data/results/moco-0-cuhk/a.npz")
    said("dvc", "repro", "-s", "-f", "two@moco-cuhk")


def test_git_is_not_asked_where_dvc_goes_without_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (project / "data" / "made").symlink_to(tmp_path / "disk")
    with pytest.raises(BadInput, match="outside the git repository"):
        of_stage("one@bonn", monkeypatch)
    of_stage("two@moco-cuhk", monkeypatch)
    (project / ".dvc" / "config").write_text("[core]\n    no_scm = True\n")
    of_stage("one@bonn", monkeypatch)


def test_a_stage_that_is_run_by_hand_is_asked_nothing(project: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (project / "data" / "made").symlink_to(tmp_path / "disk")
    said(sys.executable, "stage.py", "data/made/bonn")
    assert (tmp_path / "disk" / "bonn").read_text() == "made"


def test_a_cache_that_cannot_be_written_is_refused(
    project: Path, disk_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = disk_of("100k")
    said("dvc", "cache", "dir", "--local", str(disk / "cache"))
    of_stage("one@bonn", monkeypatch)
    said("dvc", "config", "--local", "cache.type", "hardlink")
    with pytest.raises(BadInput, match="on another disk, to which no hard link leads: dvc config"):
        of_stage("one@bonn", monkeypatch)
    said("mount", "-o", "remount,ro", str(disk))
    with pytest.raises(BadInput, match="small: its disk can only be read"):
        of_stage("one@bonn", monkeypatch)


SHUT = {
    "dvc.lock": "dvc.lock: cannot be written, and DVC writes it after the stage",
    "data/made": "data/made: no right to do that (Permission denied)",
    ".dvc/cache/files/md5/15": "cache/files/md5/15: DVC's cache, where you may not write",
    ".dvc/cache/files/md5": ".dvc/cache/files/md5: no right to do that (Permission denied)",
}


def test_missing_rights_are_refused_before_work(project: Path) -> None:
    needs.require("the command 'setpriv'")
    said("dvc", "repro", "one@bonn")
    (project / ".dvc" / "cache" / "files" / "md5" / "15").mkdir(exist_ok=True)
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    stage = ["env", "DVC_STAGE=one@bonn", sys.executable, "stage.py", "new/file"]
    for name, wanted in SHUT.items():
        (project / name).chmod(0o500)
        assert wanted in said(*bare, *stage, code=2)
        (project / name).chmod(0o700)
    assert not (project / "new").exists()
    said(*bare, *stage)


def test_stages_that_the_file_does_not_have_are_asked_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_stage("another", monkeypatch)
    (project / "dvc.yaml").unlink()
    of_stage("one@bonn", monkeypatch)
