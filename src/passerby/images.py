"""Picture files: the one reader of all who use pictures, and how pictures are encoded as JPEG.

Pictures come from outside. A file must be a regular one of bounded size, in a format of `FORMATS`,
and its header must claim a bounded number of pixels; whatever Pillow raises becomes one message
with the file's name.

Grey pictures of 16 bits keep their high byte, as Pillow and OpenCV do with colours of 16 bits;
those of 12 bits, which TIFF knows, their eight highest bits.
Grey pictures of floating-point numbers hold 0 (black) to 1 (white), or are refused.
"""

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from passerby import foreign
from passerby.errors import BadInput

open_picture = Image.open
"""Pillow's own: ultralytics, once imported, puts another in its place, which for a file that is no
picture asks for a package that is not installed."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats of Pillow that are read; of others, EPS would be given to another program."""
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Endings, in lower case, of the files that are taken for pictures where a folder is given."""
MOST_BYTES = 2**28
MOST_PIXELS = 2**27
"""More than any camera gives; 384 MiB in RGB."""

# Pillow warns of damage and from 89 million pixels on, without a file's name. Here a picture is
# read or refused.
warnings.filterwarnings("ignore", module=r"PIL\.")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by EXIF's orientation."""
_BITS_PER_SAMPLE = 258
"""TIFF's tag that says how many bits each number has; Pillow does not scale 12 bits to 16."""
_PLANES, _SEPARATE = 284, 2
"""TIFF's tag that says how the colours lie in the file, and its value for each by itself."""
_PHOTOMETRIC = 262
"""TIFF's tag that says whether 0 is white (0) or black (1)."""


def read_image(path: str | Path) -> np.ndarray:
    """A picture file as `uint8 (H, W, 3)` RGB, turned as its EXIF says.

    Raises:
        BadInput: as `read_bytes` and `decoded`.
    """
    return decoded(read_bytes(path), path)


def read_bytes(path: str | Path) -> bytes:
    """All bytes of a picture file.

    Raises:
        BadInput: it is missing, cannot be read, is no regular file, or is larger than `MOST_BYTES`.
    """
    return foreign.read_bytes(path, MOST_BYTES)


def decoded(data: bytes, name: str | Path) -> np.ndarray:
    """The bytes of a picture file as `uint8 (H, W, 3)` RGB, turned as its EXIF says.

    Args:
        data: The whole file; of an animation the first picture is taken.
        name: What messages call it.

    Raises:
        BadInput: it is not a whole picture, has more than `MOST_PIXELS`, or has numbers of a kind
            whose white is not known.
    """
    try:
        with open_picture(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise BadInput(_too_large(name, picture.width * picture.height))
            picture.load()
            if picture.format in ("JPEG", "MPO") and _lacks_data(data, picture):
                raise BadInput(_not_whole(name, "its coded data end too early"))
            if picture.format == "PNG" and _is_damaged_png(data):
                raise BadInput(_not_whole(name, "its data differ from their checksum"))
            turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
            plain = _eight_bits(picture, name)
            upright = plain if turn is None else plain.transpose(turn)
            return np.asarray(upright.convert("RGB"))
    except BadInput:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, while it opens the file
        raise BadInput(_too_large(name, int(re.findall(r"\d+", str(error))[0]))) from None
    except Exception as error:  # Pillow's readers raise whatever a damaged field leads to
        raise BadInput(_not_whole(name, _told(error))) from None


def has_end(data: bytes) -> bool:
    """Whether the bytes of a JPEG or PNG file hold its end marker, whatever follows it."""
    return _jpeg(data).end is not None if data.startswith(b"\xff\xd8") else b"IEND" in data


def encoded(image: np.ndarray, quality: int) -> bytes:
    """Encode an RGB image, `uint8 (H, W, 3)`, as a JPEG file; `quality` is in 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def _too_large(name: str | Path, count: int) -> str:
    return (
        f"{name}: {count:,} pixels found, at most {MOST_PIXELS:,} wanted; make the picture smaller"
    )


def _not_whole(name: str | Path, why: str) -> str:
    return f"{name}: not a whole picture ({why}); replace the file or take it off the list"


def _told(error: Exception) -> str:
    """One line of what Pillow says, without the address of the buffer that it was given."""
    if isinstance(error, UnidentifiedImageError):
        return "cannot identify image file"
    return foreign.first_line(error)


def _eight_bits(picture: Image.Image, name: str | Path) -> Image.Image:
    """The picture, and a grey one of more than 8 bits scaled to 8.

    Raises:
        BadInput: what number stands for white is not known, or Pillow does not read it rightly.
    """
    mode, tags = picture.mode, getattr(picture, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (8,))[0]
    if bits > 8 and len(picture.getbands()) > 1 and tags.get(_PLANES) == _SEPARATE:
        raise BadInput(
            f"{name}: colours of {bits} bits in separate planes found, which Pillow reads wrongly; "
            "save the picture with 8 bits, or with the colours of a pixel side by side"
        )
    if mode.startswith("I;16") or (mode == "I" and picture.format == "PPM"):
        unused = 4 if bits == 12 else 8
        grey = (np.asarray(picture) >> unused).astype(np.uint8)
    elif mode == "F":
        values = np.asarray(picture)
        least, most = float(values.min()), float(values.max())
        if not (least >= 0 and most <= 1):  # NaN, too
            raise BadInput(
                f"{name}: grey values from {least:g} to {most:g} found, 0 (black) to 1 (white) "
                "wanted in a picture of floating-point numbers; scale it, or save it with 8 bits"
            )
        grey = np.rint(values * 255).astype(np.uint8)
    elif mode == "I":
        raise BadInput(
            f"{name}: grey values of 32 bits or with a sign found, whose white is not known; "
            "save the picture with 8 or 16 bits"
        )
    else:
        return picture
    return Image.fromarray(255 - grey if tags.get(_PHOTOMETRIC) == 0 else grey)


_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""A marker of a JPEG: not a zero that is stuffed into coded data, nor a restart."""
_BARE, _END, _SCAN = (0x01, 0xD8), 0xD9, 0xDA
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)
_SEQUENTIAL_FRAMES = (0xC0, 0xC1)
_FILLING = b"".join(bytes(range(254, 0, -1)) * 8 + bytes((0xFF, 0xD0 + n % 8)) for n in range(16))
"""Some coded data, with two rounds of restart markers: at one of them a cut picture goes on."""
_NO_DATA = {127, 128}
"""What libjpeg gives where data are missing: the middle grey, or that of an inverted CMYK."""


class _Jpeg(NamedTuple):
    """The outline of a JPEG file."""

    frame: int
    """Marker of the frame's kind, 0 where there is none."""
    components: frozenset[int]
    """Of the frame."""
    scans: tuple[frozenset[int], ...]
    """Components of each scan."""
    end: int | None
    """Place of the end marker; nothing where the file ends before it."""


def _jpeg(data: bytes) -> _Jpeg:
    """Follow the markers of a JPEG up to its end marker."""
    frame, components, scans = 0, frozenset[int](), list[frozenset[int]]()
    for code, place in _markers(data):
        if code == _END:
            return _Jpeg(frame, components, tuple(scans), place - 2)
        body = data[place + 2 : place + int.from_bytes(data[place : place + 2])]
        if code == _SCAN and body:
            scans.append(frozenset(body[1 : 1 + 2 * body[0] : 2]))
        elif code in _HUFFMAN_FRAMES and len(body) > 5:
            frame, components = code, frozenset(body[6 : 6 + 3 * body[5] : 3])
    return _Jpeg(frame, components, tuple(scans), None)


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker and the place behind it; segments are passed over by their lengths."""
    place = 2
    while found := _MARKER.search(data, place):
        code, place = found[1][0], found.end()
        yield code, place
        if code not in _BARE:
            place += max(2, int.from_bytes(data[place : place + 2]))


def _lacks_data(data: bytes, picture: Image.Image) -> bool:
    """Whether the coded data of a decoded JPEG end before its picture does.

    libjpeg only warns of that, which Pillow does not pass on, and leaves the rest grey. So some
    more data are put in before the end marker: a whole picture stays as it is, since its coded data
    are complete, and the rest of a cut one changes. Only a cut within the last block is missed, and
    one between the scans of a progressive picture, which leaves a whole but coarser one.
    """
    found = _jpeg(data)
    if found.frame not in _HUFFMAN_FRAMES or found.end is None:
        return False  # no end marker: Pillow waits for more, and refuses
    if not found.components <= frozenset[int]().union(*found.scans):
        return True
    if len(found.scans) == 1 and found.frame in _SEQUENTIAL_FRAMES:
        corner = picture.getpixel((picture.width - 1, picture.height - 1))
        if not set(corner if isinstance(corner, tuple) else [corner]) <= _NO_DATA:
            return False  # nearly all pictures: the last block was there
    # Bytes 0xFF may come before a marker; the filling must not be taken for the rest of one.
    filled = data[: found.end].rstrip(b"\xff") + _FILLING + data[found.end :]
    try:
        with open_picture(io.BytesIO(filled), formats=("JPEG",)) as other:
            return other.tobytes() != picture.tobytes()
    except Exception:  # the filling is no data of any picture
        return True


def _is_damaged_png(data: bytes) -> bool:
    """Whether the coded data of a decoded PNG differ from their checksums.

    Pillow does not look at these. A download that stopped half-way in a file of full length, the
    rest of which is zeros, would become a picture that is half black.
    """
    place = len(b"\x89PNG\r\n\x1a\n")
    while (end := place + 8 + int.from_bytes(data[place : place + 4])) + 4 <= len(data):
        kind = data[place + 4 : place + 8]
        found = zlib.crc32(data[place + 4 : end]) if kind == b"IDAT" else None
        if found not in (None, int.from_bytes(data[end : end + 4])):
            return True
        if kind == b"IEND":
            break
        place = end + 4
    return False
