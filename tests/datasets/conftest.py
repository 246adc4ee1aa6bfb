"""Small labelled sets in the official layouts."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

JPEG = b"\xff\xd8 %s \xff\xd9"
PNG = b"\x89PNG %s IEND\xaeB`\x82"

Lay = Callable[[str, Iterable[str]], Path]


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Lay out files that begin and end as images do; gives the folder."""

    def lay_out(folder: str, names: Iterable[str]) -> Path:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            body = PNG if name.endswith(".png") else JPEG
            (tmp_path / folder / name).write_bytes(body % f"{folder}/{name}".encode())
        return tmp_path / folder

    return lay_out


@pytest.fixture
def market(lay: Lay, tmp_path: Path) -> Path:
    """A set in Market-1501's layout: two people train, two test; junk, a distractor, oddities."""
    lay("bounding_box_train", ["0002_c1s1_000451_03.jpg", "0002_c2s1_000551_01.jpg"])
    lay("bounding_box_train", ["0007_c6s3_077467_00.jpg", "Thumbs.db", ".hidden"])
    lay("query", ["0001_c1s1_001051_00.jpg", "0003_c2s2_012345_00.jpg.jpg"])
    lay("bounding_box_test", ["-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg"])
    lay("bounding_box_test", ["0001_c2s1_000301_02.jpg", "0003_c1s1_000026_01.jpg"])
    return tmp_path
