"""Picture files as everybody reads them."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from passerby.errors import BadInput
from passerby.images import MOST_BYTES, SUFFIXES, decoded, has_end, read_bytes, read_image


def look(seed: int, height: int = 48, width: int = 24) -> np.ndarray:
    """Soft colours that stand for a picture, `uint8 (H, W, 3)`."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 3, 3), np.uint8)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    held = io.BytesIO()
    picture.save(held, kind, **options)
    return held.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(BadInput) as refused:
        decoded(data, "a.jpg")
    return str(refused.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(look(1)), kind, exif=exif)
    with Image.open(io.BytesIO(data)) as picture:
        wanted = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    np.testing.assert_array_equal(decoded(data, "a"), wanted)
    assert wanted.shape == ((48, 24, 3) if orientation < 5 else (24, 48, 3))


def test_a_broken_field_beside_the_orientation_does_not_matter() -> None:
    width_as_text = struct.pack(">HHI", 0x100, 2, 4) + b"abc\0"
    upside_down = struct.pack(">HHIHH", 0x112, 3, 1, 3, 0)
    directory = struct.pack(">IH", 8, 2) + width_as_text + upside_down + bytes(4)
    exif = b"Exif\0\0MM\0*" + directory
    plain = saved(Image.fromarray(look(2)), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    found = decoded(plain[:2] + segment + plain[2:], "a.jpg")
    np.testing.assert_array_equal(found, decoded(plain, "a.jpg")[::-1, ::-1])


def test_a_grey_picture_has_three_channels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128]], np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 0, 0], [128, 128, 128]]]


GREY = look(3)[:, :, 0]
DEEP = GREY.astype(np.uint16) * 257


@pytest.mark.parametrize(
    ("kind", "picture", "options"),
    [
        ("PNG", DEEP, {}),
        ("TIFF", DEEP, {}),
        ("TIFF", 65535 - DEEP, {"tiffinfo": {262: 0}}),  # 0 is white
        ("TIFF", DEEP.astype(">u2"), {}),
        ("PPM", DEEP, {}),
        ("JPEG2000", DEEP, {"irreversible": False}),
        ("TIFF", GREY.astype(np.float32) / 255, {}),
    ],
)
def test_deep_grey_pictures_are_scaled_to_eight_bits(kind, picture, options) -> None:
    data = saved(Image.fromarray(picture), kind, **options)
    found = decoded(data, "a").astype(int)
    assert found.shape == (48, 24, 3)
    assert np.abs(found - GREY[:, :, None]).max() <= 1


def tiff(numbers: bytes, height: int, width: int, **more: int) -> bytes:
    """An uncompressed TIFF of one strip for each of `planes`, by the format's description."""
    bits, samples, planes = (more.get(key, 1) for key in ("bits", "samples", "planes"))
    tags: dict[int, list[int]] = {256: [width], 257: [height], 258: [bits] * samples, 259: [1]}
    tags |= {262: [2 if samples == 3 else 1], 277: [samples], 278: [height]}
    tags |= {273: [0] * planes, 279: [len(numbers) // planes] * planes}
    tags[284] = [2 if planes > 1 else 1]
    extra = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    place = 8 + 2 + 12 * len(tags) + 4  # of what does not fit into its tag
    tags[273] = [place + extra + n * (len(numbers) // planes) for n in range(planes)]
    entries, behind = b"", b""
    for tag, values in sorted(tags.items()):
        held = values[0] if len(values) == 1 else place + len(behind)
        entries += struct.pack("<HHII", tag, 4, len(values), held)
        behind += struct.pack(f"<{len(values)}I", *values) if len(values) > 1 else b""
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    return head + entries + bytes(4) + behind + numbers


def test_twelve_bits_of_a_tiff_are_scaled_to_eight_bits() -> None:
    values = GREY.astype(np.uint16) * 16 + 15
    first, second = values.reshape(-1, 2).T  # two numbers in three bytes
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
    found = decoded(tiff(packed.astype(np.uint8).tobytes(), *GREY.shape, bits=12), "a.tif")
    np.testing.assert_array_equal(found[:, :, 0], GREY)


def test_colours_in_separate_planes_are_read_or_refused_by_their_depth() -> None:
    colours = look(5)
    apart, shape = colours.transpose(2, 0, 1), colours.shape[:2]
    whole = tiff(apart.tobytes(), *shape, bits=8, samples=3, planes=3)
    np.testing.assert_array_equal(decoded(whole, "a.tif"), colours)
    deep = (apart.astype("<u2") * 257).tobytes()
    with pytest.raises(BadInput, match=r"a\.tif: colours of 16 bits in separate planes found"):
        decoded(tiff(deep, *shape, bits=16, samples=3, planes=3), "a.tif")
    together = (colours.astype("<u2") * 257).tobytes()
    beside = decoded(tiff(together, *shape, bits=16, samples=3), "a.tif")
    np.testing.assert_array_equal(beside, colours)


def test_sixteen_bits_lose_their_low_byte_as_in_opencv() -> None:
    values = np.random.default_rng(4).integers(0, 2**16, (9, 7), np.uint16)
    done, data = cv2.imencode(".png", values)
    assert done
    wanted = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decoded(data.tobytes(), "a.png"), wanted)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (GREY.astype(np.float32), "values from 0 to 255 found, 0 .black. to 1 .white. wanted"),
        (np.float32([[0.5, np.nan]]), "values from nan to nan found"),
        (np.float32([[0.5, np.inf]]), "values from 0.5 to inf found"),
        (np.float32([[-0.5, 1]]), "values from -0.5 to 1 found"),
        (np.int32([[0, 2**20]]), "32 bits or with a sign found, whose white is not known"),
    ],
)
def test_grey_values_whose_white_is_not_known_are_refused(values: np.ndarray, said: str) -> None:
    with pytest.raises(BadInput, match=rf"a\.tif: grey .*{said}"):
        decoded(saved(Image.fromarray(values), "TIFF"), "a.tif")


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, r"a\.jpg: no such file"), (b"hello", r"a\.jpg: not a whole picture \(cannot identify")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BadInput, match=said):
        read_image(tmp_path / "a.jpg")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    for name, kind in (("pipe", "a pipe"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(BadInput, match=rf"{name}\.jpg: {kind}; a regular file was wanted"):
            read_image(tmp_path / f"{name}.jpg")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a.jpg/b.jpg"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(BadInput, match="no such file"):
        read_bytes(tmp_path / name)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(BadInput, match=r"a\.png: 268,435,457 bytes; at most 268,435,456 wanted"):
        read_image(tmp_path / "a.png")


def claiming(width: int, height: int) -> bytes:
    """A small PNG file that says that it has so many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", [(20000, 10000), (12000, 12000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    said = rf"a\.jpg: {size[0] * size[1]:,} pixels found, at most 134,217,728 wanted"
    with pytest.raises(BadInput, match=said):
        decoded(claiming(*size), "a.jpg")


def test_a_format_that_runs_another_program_is_not_read() -> None:
    data = saved(Image.fromarray(look(5)), "EPS")
    assert "cannot identify" in refusal(data)


def test_every_ending_is_of_a_format_that_is_read() -> None:
    kinds = {Image.registered_extensions()[suffix] for suffix in SUFFIXES}
    for kind in kinds:
        assert decoded(saved(Image.fromarray(look(6)), kind), "a").shape == (48, 24, 3)


JPEGS = {
    "plain": ("RGB", {}),
    "fine": ("RGB", {"quality": 98, "subsampling": 0}),
    "grey": ("L", {}),
    "four inks": ("CMYK", {}),
    "progressive": ("RGB", {"progressive": True}),
    "restarts": ("RGB", {"restart_marker_blocks": 1}),
    "restarts, progressive": ("RGB", {"restart_marker_rows": 1, "progressive": True}),
}


def jpeg(name: str, picture: np.ndarray) -> bytes:
    mode, options = JPEGS[name]
    return saved(Image.fromarray(picture).convert(mode), "JPEG", **options)


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("behind", [b"\0" * 100, b"\xff\xd8 another", b"\xff\xd9", bytes(4096)])
def test_bytes_behind_the_end_of_a_jpeg_do_not_matter(name: str, behind: bytes) -> None:
    whole = jpeg(name, look(7))
    np.testing.assert_array_equal(decoded(whole + behind, "a"), decoded(whole, "a"))
    assert has_end(whole + behind)


@pytest.mark.parametrize("name", [name for name in JPEGS if name != "restarts, progressive"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("end", [b"\xff\xd9", b"\xff\xff\xd9", b"\xff\xd9 more"])
def test_a_jpeg_that_was_cut_and_given_an_end_is_refused(name: str, share: float, end) -> None:
    whole = jpeg(name, look(8, 120, 60))
    begin = whole.index(b"\xff\xda") + 14
    cut = whole[: begin + round(share * (len(whole) - begin))]
    assert "not a whole picture" in refusal(cut + end)
    assert not has_end(cut)


@pytest.mark.parametrize("name", JPEGS)
def test_a_whole_jpeg_may_be_grey_where_a_cut_one_is(name: str) -> None:
    picture = look(9, 120, 60)
    picture[50:] = 128
    found = decoded(jpeg(name, picture), "a").astype(int)
    assert np.abs(found[100:] - 128).max() <= 1


def test_a_jpeg_without_all_its_components_is_refused() -> None:
    whole = jpeg("progressive", look(10))
    # One scan of one component, where the header promises three.
    first = whole.index(b"\xff\xda")
    head = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, whole[first + 5], 0, 0, 0, 1)
    assert "not a whole picture" in refusal(whole[:first] + head + b"\0" * 40 + b"\xff\xd9")


def test_a_png_that_was_cut_and_given_an_end_is_refused() -> None:
    noise = np.random.default_rng(11).integers(0, 256, (40, 20, 3), np.uint8)
    whole = saved(Image.fromarray(noise), "PNG")
    assert has_end(whole + bytes(1000))
    assert not has_end(whole[: len(whole) // 2])
    assert "not a whole picture" in refusal(whole[: len(whole) // 2] + whole[-12:])
    np.testing.assert_array_equal(decoded(whole + bytes(1000), "a"), noise)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP"])
def test_a_damaged_file_is_a_picture_or_one_line_with_its_name(kind: str) -> None:
    rng = np.random.default_rng(12)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    whole = saved(
        Image.fromarray(look(13)), kind, **({} if kind in ("BMP", "GIF") else {"exif": exif})
    )
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 400), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        broken = bytes(data[: rng.integers(0, len(data))] if rng.random() < 0.2 else data)
        found = outcome(broken)
        if isinstance(found, str):
            assert found.startswith("a.bin: ")
            assert "\n" not in found
        else:
            assert (found.dtype, found.ndim, found.shape[2]) == (np.uint8, 3, 3)
            np.testing.assert_array_equal(decoded(broken, "a.bin"), found)


def outcome(data: bytes) -> np.ndarray | str:
    """The picture, or why it is refused; nothing else may be raised."""
    try:
        return decoded(data, "a.bin")
    except BadInput as refused:
        return str(refused)


def test_half_a_png_that_is_filled_up_with_zeros_is_refused() -> None:
    whole = saved(Image.fromarray(look(14)), "PNG")
    half = whole[: len(whole) // 2]
    with pytest.raises(BadInput, match="differ from their checksum"):
        decoded(half + bytes(len(whole) - len(half)), "a.png")


@pytest.mark.parametrize("end", [b"", b"<html>", bytes(99)])
def test_a_whole_png_may_lack_its_end_marker_or_have_bytes_behind_it(end: bytes) -> None:
    whole = saved(Image.fromarray(look(16)), "PNG")
    cut = whole + end if end else whole[:-12]
    np.testing.assert_array_equal(decoded(cut, "a.png"), look(16))
