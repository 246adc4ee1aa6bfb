"""Files that are whole or absent, and scratch that two processes cannot share."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from passerby import files
from passerby.errors import BadInput

HOLDER = """
import sys, time
from passerby import files
with files.scratch("stage", {"a": 1}) as folder:
    (folder / "half").write_text("done")
    print("holding", flush=True)
    time.sleep(float(sys.argv[1]))
"""


def start_holder(root: Path, hold_s: float) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(hold_s)],
        env={**os.environ, "DVC_ROOT": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    return holder


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), files.written_whole(target) as beside:
        beside.write_text("half of the new")
        _ = 1 / 0
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_write_left_is_not_built_upon(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.part").write_text("half")
    with files.written_whole(tmp_path / "a.txt") as beside, open(beside, "a") as file:
        file.write("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_is_written_with_sorted_keys_and_refuses_nan(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_bad_json_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "a": }\n')
    with pytest.raises(BadInput, match=r"a\.json, line 2: not JSON"):
        files.read_json(tmp_path / "a.json")
    with pytest.raises(BadInput, match="no such file"):
        files.read_json(tmp_path / "b.json")


def test_scratch_is_removed_on_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with files.scratch("stage", {"a": 1}) as folder:
        (folder / "x").write_text("x")
    assert os.listdir(tmp_path / "scratch") == []


def test_scratch_outlives_a_failure_and_belongs_to_its_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(ZeroDivisionError), files.scratch("stage", {"a": 1}) as folder:
        (folder / "half").write_text("done")
        _ = 1 / 0
    with files.scratch("stage", {"a": 2}) as other:
        assert os.listdir(other) == []
    with files.scratch("stage", {"a": 1}) as again:
        assert (again / "half").read_text() == "done"


@pytest.mark.slow
def test_a_second_run_waits_for_the_living_holder_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    holder = start_holder(tmp_path, hold_s=1.0)
    begin_s = time.monotonic()
    with files.scratch("stage", {"a": 1}) as folder:
        assert time.monotonic() - begin_s > 0.5
        assert holder.wait(5) == 0
        assert os.listdir(folder) == []  # the holder finished and cleared it
    said = capsys.readouterr().err
    assert f"process {holder.pid} of an earlier run is still at this; waiting for it" in said
    assert "it has ended; going on" in said


@pytest.mark.slow
def test_a_second_run_goes_on_from_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    holder = start_holder(tmp_path, hold_s=60)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with files.scratch("stage", {"a": 1}) as folder:
        assert (folder / "half").read_text() == "done"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        (".", "names another folder"),
        ("..", "names another folder"),
        ("/abs", "holds a slash or a backslash"),
        ("a/../b", "holds a slash or a backslash"),
        ("a\\b", "holds a slash or a backslash"),
        ("a\0", "holds a control character"),
        ("a\nb", "holds a control character"),
        ("a\x9bb", "holds a control character"),
        ("a\u2028b", "holds a control character"),
        ("a\u202eb", "holds a control character"),
        ("a\ud800", "holds a control character"),
        ("x" * 201, "has 201 bytes where 200 are the most"),
        ("é" * 101, "has 202 bytes where 200 are the most"),
        ("x" * 200, ""),
        ("a b\u00a0c", ""),
        ("...", ""),
        ("~$HOME%(id)s", ""),
        ("日本", ""),
    ],
)
def test_a_name_from_outside_is_that_of_one_file_or_it_is_said_why_not(
    name: str, said: str, tmp_path: Path
) -> None:
    assert files.fault_of_name(name) == said
    if not said:  # with the endings that are added to names
        files.write_text(tmp_path / f"{name}.some-ending.json", "x")
        assert (tmp_path / f"{name}.some-ending.json").parent == tmp_path


def test_a_folder_is_listed_behind_links_and_each_folder_once(tmp_path: Path) -> None:
    for name in ("root/b/1", "root/2", "elsewhere/deep/3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    root = tmp_path / "root"
    (root / "a").symlink_to(root / "b")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path)
    (root / "broken").symlink_to("nowhere")
    found = files.below(root)
    assert [name for name in found.files if not name.startswith("c/deep/up")] == [
        "2",
        "b/1",
        "c/deep/3",
    ]
    assert "a" in found.again
    assert found.others == ["broken"]


def test_folders_that_lead_to_each_other_come_to_an_end(tmp_path: Path) -> None:
    names = [f"{n:02d}" for n in range(12)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    found = files.below(tmp_path)
    assert found.files == [f"{name}/file" for name in names]
    assert len(found.again) == 144


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none: the folder cannot be listed \(No such file"):
        files.below(tmp_path / "none")
