"""Pictures for `gpu.py`: parts of Market-1501 in folders and archives, and archives with faults."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import _gpu_data
import gpu
from _gpu_context import Context
from _gpu_plan import PARTS
from passerby.errors import BadInput


def test_parts_of_market_are_found_in_folders_and_archives(tmp_path: Path) -> None:
    assert _gpu_data.parts(None, None) == tuple(PARTS)  # people are drawn
    (tmp_path / "Market-1501-v15.09.15" / "query").mkdir(parents=True)
    pack(tmp_path / "market1501-train.tar.xz", [])
    assert _gpu_data.parts(tmp_path, None) == ("query",)
    assert _gpu_data.parts(tmp_path, tmp_path) == ("train", "query")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no part of Market-1501 found"):
        _gpu_data.parts(tmp_path / "empty", None)


@pytest.mark.parametrize("content", [b"", b"PK", b"\xfd7zXZ\0 and no end"])
def test_an_archive_that_is_not_whole_is_refused_before_any_step(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "market1501-train.tar.xz").write_bytes(content)
    with pytest.raises(BadInput, match=r"market1501-train.tar.xz: not a whole .tar.xz archive"):
        _gpu_data.parts(None, tmp_path)


def pack(archive: Path, names: Sequence[str], **fields: Any) -> Path:
    """Write an archive of files of five bytes; keywords change their entries."""
    with tarfile.open(archive, "w:xz") as packed:
        for name in names:
            entry = tarfile.TarInfo(name)
            for field, value in {"size": 5, **fields}.items():
                setattr(entry, field, value)
            packed.addfile(entry, io.BytesIO(bytes(entry.size)) if entry.isfile() else None)
    return archive


def test_an_archive_gives_the_pictures_of_its_folder_and_nothing_else(tmp_path: Path) -> None:
    names = ["M/query/a.jpg", "M/query/b.db", "M/other/c.jpg", "../query/c.jpg", "/query/d.jpg"]
    place = tmp_path / "market" / "query"
    _gpu_data.unpack(pack(tmp_path / "q.tar.xz", names), "query", place)
    assert sorted(path.name for path in place.iterdir()) == ["a.jpg", "c.jpg", "d.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["market", "q.tar.xz"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}, "there is no picture in"),
        ({"type": tarfile.LNKTYPE, "linkname": "/etc/passwd", "size": 0}, "there is no picture in"),
        ({"size": 2 << 20}, r"M/query/a.jpg has 2,097,152 bytes, not 1,048,576 at most"),
    ],
)
def test_links_and_huge_files_in_an_archive_are_not_unpacked(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    archive = pack(tmp_path / "q.tar.xz", ["M/query/a.jpg"], **fields)
    with pytest.raises(BadInput, match=rf"q.tar.xz: {said}"):
        _gpu_data.unpack(archive, "query", tmp_path / "query")
    assert not (tmp_path / "query").exists()


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "q.tar.xz", [f"M/query/{n}.jpg" for n in range(9)])
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(BadInput, match=r"q.tar.xz: damaged \(.+\); copy it again"):
        _gpu_data.unpack(archive, "query", tmp_path / "query")


def test_drawn_people_and_a_rehearsal_are_never_taken_for_real_pictures(tmp_path: Path) -> None:
    (tmp_path / "market" / "query").mkdir(parents=True)
    drawn, real = (
        Context("evaluate", tmp_path, "cpu", True, 1.0, market)
        for market in (None, tmp_path / "market")
    )
    assert _gpu_data._market(drawn, tuple(PARTS)) != _gpu_data._market(real, ["query"])
    asked = gpu.arguments(["--work", str(tmp_path), "--quick"])
    with gpu.work_folder(asked) as place:
        assert place == tmp_path / "quick"
