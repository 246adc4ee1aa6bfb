"""Where a file may be written: links, devices, rights, full disks, and two writers at once."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import needs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from passerby import errors, files, places
from passerby.crops.source import Source
from passerby.crops.store import writing
from passerby.errors import BadInput
from passerby.models import init_file
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder
from passerby.training import checkpoint
from passerby.training.history import History
from passerby.video import encode
from passerby.world import sets

NOISE = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
TENSORS = {"a": torch.rand(200_000)}


def save_npz(path: Path) -> None:
    with files.written_whole(path) as beside, open(beside, "wb") as file:
        np.savez(file, NOISE)


def save_table(path: Path) -> None:
    with files.written_whole(path) as beside:
        pq.write_table(pa.table({"a": NOISE.ravel()}), beside, compression="none")


def save_picture(path: Path) -> None:
    with files.written_whole(path) as beside:
        Image.fromarray(NOISE).save(beside, format="png")


def save_store(path: Path) -> None:
    jpegs = [os.urandom(5000)] * 100
    columns = {
        "frame": np.zeros(100), "index": np.arange(100), "box": np.zeros((100, 4)),
        "track": np.full(100, -1), "camera": np.zeros(100), "width": np.ones(100),
        "height": np.ones(100), "person": np.full(100, -1),
    }  # fmt: skip
    with writing(path) as writer:
        writer.add(Source("a", "video", ["a"], 100, {}, jpegs, columns))


def save_history(path: Path) -> None:
    table = History(path, ["step"])
    for _ in range(100_000):
        table.append({"step": 10**60})


WRITERS: dict[str, Callable[[Path], object]] = {
    "checkpoint of torch": lambda path: checkpoint.save(path, {}, TENSORS),
    "safetensors": lambda path: init_file.write(path, TENSORS, InitHeader.of(Encoder(), "test")),
    "npz": save_npz,
    "parquet": save_table,
    "picture by Pillow": save_picture,
    "picture by OpenCV": lambda path: sets._write(path.with_suffix(".png"), NOISE, None),
    "LMDB": save_store,
    "mp4": lambda path: encode.write_mp4(path, [NOISE] * 5, fps=25, crf=1),
    "text": lambda path: files.write_text(path, "x" * 1_000_000),
    "growing table": save_history,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_message_whatever_library_writes(
    kind: str, disk_of: Callable[..., Path]
) -> None:
    path = disk_of("100k") / "file"
    with pytest.raises(BadInput) as refused:
        WRITERS[kind](path)
    said = str(refused.value)
    assert said.startswith(f"{path}")
    assert "the disk is full" in said
    assert "make room and run again; 0 MB are free there" in said
    assert "\n" not in said
    kept = {"growing table": ["file"], "picture by OpenCV": ["file.png"]}
    assert os.listdir(path.parent) == kept.get(kind, [])


@pytest.mark.parametrize("kind", WRITERS)
def test_a_disk_that_can_only_be_read_is_one_message(
    kind: str, disk_of: Callable[..., Path]
) -> None:
    path = disk_of("100k", read_only=True) / "file"
    with pytest.raises(BadInput, match=r"its disk can only be read \(Read-only file system\)"):
        WRITERS[kind](path)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "growing table"])
def test_a_limit_on_the_size_of_files_is_one_message(kind: str, tmp_path: Path) -> None:
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(BadInput) as refused:
            WRITERS[kind](tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    # LMDB says of every failed write that it was an input/output error.
    wanted = "full or failed (Input" if kind == "LMDB" else "'ulimit -f' allows (File too large)"
    assert wanted in str(refused.value)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_in_the_way_is_one_message(kind: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(BadInput, match="a file stands where a folder was wanted"):
        WRITERS[kind](tmp_path / "notes" / "file")
    with pytest.raises(BadInput, match="a file stands where a folder was wanted"):
        places.require_folder(tmp_path / "notes" / "deep" / "folder")
    assert (tmp_path / "notes").read_text() == "mine"


WITHOUT_RIGHTS = """
import sys
from passerby import errors, files
errors.run(lambda: files.write_text(sys.argv[1], "x"))
"""


def test_missing_rights_are_one_message(tmp_path: Path) -> None:
    needs.require("the command 'setpriv'")
    (tmp_path / "shut").mkdir(mode=0o500)
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*bare, sys.executable, "-c", WITHOUT_RIGHTS, tmp_path / "shut" / "a"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        f"passerby: {tmp_path / 'shut' / 'a'}: no right to do that (Permission denied); "
        "change the rights, or name another place\n",
    )


def test_a_file_that_cannot_be_read_while_another_is_written_is_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    shut = OSError(errno.EACCES, "Permission denied", str(tmp_path / "source"))
    with pytest.raises(BadInput) as refused, places.written_to(tmp_path / "target"):
        raise shut
    assert str(refused.value).startswith(f"{tmp_path / 'source'}: no right to do that")


def test_a_name_of_ours_is_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path("a"), tmp_path / "a"):
        with pytest.raises(BadInput) as refused, files.written_whole(path) as beside:
            raise PermissionError(errno.EACCES, "Permission denied", str(beside))
        assert str(refused.value).startswith(f"{path}: no right to do that (Permission denied)")


def test_a_bug_inside_a_write_stays_a_bug(tmp_path: Path) -> None:
    with pytest.raises(KeyError), files.written_whole(tmp_path / "a"):
        raise KeyError("b")
    with pytest.raises(FileNotFoundError), files.written_whole(tmp_path / "a"):
        (tmp_path / "other").read_bytes()


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a").write_text("old")
    (tmp_path / "near").symlink_to("disk/a")
    (tmp_path / "far").symlink_to("near")
    files.write_text(tmp_path / "far", "new")
    assert (tmp_path / "far").is_symlink()
    assert (tmp_path / "near").is_symlink()
    assert (tmp_path / "disk" / "a").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["disk", "far", "near"]
    (tmp_path / "new").symlink_to("disk/b")
    files.write_text(tmp_path / "new", "first")
    assert (tmp_path / "disk" / "b").read_text() == "first"


def test_a_link_to_a_folder_that_is_not_there_is_refused_and_makes_none(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "not mounted" / "a")
    with pytest.raises(BadInput, match="not mounted/a, whose folder does not exist; make it"):
        files.write_text(tmp_path / "a", "x")
    assert os.listdir(tmp_path) == ["a"]


def test_links_that_lead_to_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(BadInput, match="a: its links lead to each other"):
        files.write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").is_symlink()


def test_a_link_into_the_cache_of_dvc_is_replaced_and_the_cache_keeps_its_bytes(
    tmp_path: Path,
) -> None:
    cached = tmp_path / "cache" / "files" / "md5" / "08" / ("0b1c79a672aa3b618efa47f74f74b9")
    cached.parent.mkdir(parents=True)
    cached.write_text("of DVC")
    (tmp_path / "model.yaml").symlink_to(cached)
    files.write_text(tmp_path / "model.yaml", "new")
    assert cached.read_text() == "of DVC"
    assert not (tmp_path / "model.yaml").is_symlink()
    assert (tmp_path / "model.yaml").read_text() == "new"


def test_a_folder_a_pipe_and_a_device_are_no_files_and_stay(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/full")
    for name, said in (
        ("folder", "a folder stands where a file was wanted"),
        ("pipe", "a device or a pipe"),
        ("device", "a link to /dev/full: a device or a pipe"),
    ):
        with pytest.raises(BadInput, match=said):
            files.write_text(tmp_path / name, "x")
        with pytest.raises(BadInput, match=said):
            places.require_file(tmp_path / name)
    assert (tmp_path / "folder").is_dir()
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(BadInput, match="/proc/self/fd/1, which is no file that can be replaced"):
        places.require_file("/dev/stdout")


def test_a_file_that_is_read_is_not_written_over_under_any_name(tmp_path: Path) -> None:
    read = tmp_path / "read"
    read.write_text("x")
    (tmp_path / "link").symlink_to(read)
    os.link(read, tmp_path / "second name")
    for name in ("read", "link", "second name", "../" + tmp_path.name + "/read"):
        with pytest.raises(BadInput, match="it is read for that and would be lost; name a new"):
            places.require_unread(tmp_path / name, ["absent", tmp_path, read])
    for name in ("new", "x" * 300, "a\0b"):
        places.require_unread(tmp_path / name, [read, tmp_path / name])


def test_asking_whether_there_is_room_leaves_nothing(
    tmp_path: Path, disk_of: Callable[..., Path]
) -> None:
    places.require_file(tmp_path / "new" / "deep" / "a.npz")
    places.require_folder(tmp_path / "new")
    assert os.listdir(tmp_path) == []
    full = disk_of("8k")
    (full / "a").write_bytes(bytes(8192))
    with pytest.raises(BadInput, match=r"small: the disk is full .*; 0 MB are free there"):
        places.require_file(full / "b")


def test_two_writers_of_one_file_have_a_name_each_and_the_last_to_end_gives_it(
    tmp_path: Path,
) -> None:
    with files.written_whole(tmp_path / "a") as one:
        one.write_text("one, which is long")
        with files.written_whole(tmp_path / "a") as other:
            assert other != one
            other.write_text("two")
        assert (tmp_path / "a").read_text() == "two"
    assert (tmp_path / "a").read_text() == "one, which is long"
    assert os.listdir(tmp_path) == ["a"]


WRITER = """
import sys
from passerby import files
for n in range(50):
    with files.written_whole(sys.argv[1]) as beside:
        beside.write_text(sys.argv[2] * 10_000)
"""


@pytest.mark.slow
def test_processes_that_write_one_file_at_once_never_mix_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    running = [subprocess.Popen([sys.executable, "-c", WRITER, path, word]) for word in "123"]
    seen = set()
    while any(process.poll() is None for process in running):
        if path.exists():
            seen.add(path.read_text())
    assert [process.returncode for process in running] == [0, 0, 0]
    assert seen <= {word * 10_000 for word in "123"}
    assert os.listdir(tmp_path) == ["a"]


KILLED = """
import os, signal, sys
from passerby import files
with files.written_whole(sys.argv[1]) as beside:
    beside.write_text("half")
    (beside.parent / "of a library").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "a"], check=False)
    assert os.listdir(tmp_path) == [".a.part"]
    files.write_text(tmp_path / "a", "whole")
    assert os.listdir(tmp_path) == ["a"]


def test_names_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    files.write_text(tmp_path / ("é" * 127), "x")
    assert os.listdir(tmp_path) == ["é" * 127]
    with pytest.raises(BadInput, match="the name is too long"):
        files.write_text(tmp_path / ("e" * 256), "x")
    with pytest.raises(BadInput, match="the name is too long"):
        places.require_folder(tmp_path / ("e" * 256))


def test_a_folder_is_put_in_the_place_of_another_also_from_another_disk(
    tmp_path: Path, disk_of: Callable[..., Path]
) -> None:
    made = disk_of("100k") / "made"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "a").write_text("new")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b").write_text("old")
    files.put_folder(made, tmp_path / "out")
    assert [str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "out").rglob("*"))] == [
        "out/deep",
        "out/deep/a",
    ]
    assert sorted(os.listdir(tmp_path)) == ["out", "small"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="file: a file stands where a folder was wanted"):
        files.put_folder(made, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_a_link_is_emptied_where_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "out").symlink_to("disk")
    files.empty_folder(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert os.listdir(tmp_path / "disk") == []


def test_a_full_map_of_lmdb_is_a_refusal_only_where_a_file_is_written(tmp_path: Path) -> None:
    full = lmdb.MapFullError("mdb_put: MDB_MAP_FULL")
    assert errors.of_disk(full) is None
    said = r"a: could not be written \(mdb_put: MDB_MAP_FULL\)"
    with pytest.raises(BadInput, match=said), places.written_to(tmp_path / "a"):
        raise full
