"""Picture files as everybody reads them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.errors import BadInput
from passerby.images import read_image


def test_pictures_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    picture = np.zeros((4, 2, 3), np.uint8)
    picture[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), picture[::-1])


def test_a_grey_picture_has_three_channels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128]], np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 0, 0], [128, 128, 128]]]


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, r"a\.jpg: no such file"), (b"hello", r"a\.jpg: not a whole picture \(cannot identify")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BadInput, match=said):
        read_image(tmp_path / "a.jpg")
