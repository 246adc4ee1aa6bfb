"""Sealed files: whole as they were written, or named as damaged."""

import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from passerby import sealed
from passerby.sealed import Damaged


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with sealed.written(tmp_path / "a.bin") as beside:
        beside.write_bytes(b"what it holds")
    return tmp_path / "a.bin"


def test_a_sealed_file_gives_back_what_was_written(path: Path, tmp_path: Path) -> None:
    assert sealed.read(path) == b"what it holds"
    with sealed.written(tmp_path / "empty") as beside:
        beside.touch()
    assert sealed.read(tmp_path / "empty") == b""
    value = {"b": [1, 2.5, None], "a": "é"}
    sealed.write_json(tmp_path / "a.json", value)
    assert sealed.read_json(tmp_path / "a.json") == value


def test_every_changed_bit_is_found(path: Path) -> None:
    whole = path.read_bytes()
    for bit in range(len(whole) * 8):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(Damaged, match=r"a\.bin: damaged: its checksum is not that of what it"):
            sealed.read(path)


def test_every_other_length_is_found(path: Path) -> None:
    whole = path.read_bytes()
    for content in (*(whole[:n] for n in range(len(whole))), whole + b"x", whole * 2, whole[1:]):
        path.write_bytes(content)
        with pytest.raises(Damaged):
            sealed.read(path)


def test_a_file_that_is_missing_is_damaged_and_one_that_may_not_be_read_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Damaged, match="gone: damaged: No such file or directory"):
        sealed.read(path.with_name("gone"))
    with pytest.raises(Damaged, match="gone: damaged: No such file or directory"):
        sealed.check(path.with_name("gone"), "0")
    for number, kind in ((errno.EIO, Damaged), (errno.EACCES, PermissionError)):
        failed = Mock(side_effect=OSError(number, os.strerror(number)))
        monkeypatch.setattr(Path, "read_bytes", failed)
        with pytest.raises(kind):
            sealed.read(path)


def test_a_write_that_fails_leaves_what_was_there(path: Path) -> None:
    with pytest.raises(RuntimeError), sealed.written(path) as beside:
        beside.write_bytes(b"other")
        raise RuntimeError
    assert sealed.read(path) == b"what it holds"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_a_file_without_a_seal_is_compared_with_a_hash_that_was_noted(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"abc")
    noted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    sealed.check(tmp_path / "v.mp4", noted)
    (tmp_path / "v.mp4").write_bytes(b"abd")
    with pytest.raises(
        Damaged, match=r"v\.mp4: damaged: its bytes are not those that were written"
    ):
        sealed.check(tmp_path / "v.mp4", noted)
