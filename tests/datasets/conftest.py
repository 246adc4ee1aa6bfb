"""Small labelled sets in the official layouts."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

Lay = Callable[[str, Iterable[str]], Path]


def picture(kind: str, comment: str) -> bytes:
    """A small grey picture file that holds the comment."""
    held = io.BytesIO()
    image = Image.new("L", (2, 3), 90)
    image.info["comment"] = comment  # of a JPEG
    image.save(held, kind)
    if kind == "JPEG":
        return held.getvalue()
    return held.getvalue() + comment.encode()  # what follows a PNG's end is no part of it


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Lay out small pictures, each of other bytes; gives the folder."""

    def lay_out(folder: str, names: Iterable[str]) -> Path:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            kind = "PNG" if name.endswith(".png") else "JPEG"
            (tmp_path / folder / name).write_bytes(picture(kind, f"{folder}/{name}"))
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
