"""NumPy's files: arrays come back as they were; claims and code are refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.foreign import arrays

ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.array(["a", "longer"]),
    np.array([True, False]),
    np.float32(3.5),
    np.zeros((0, 4), np.float16),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(np.asarray(array).dtype))
def test_arrays_come_back_as_numpy_reads_them(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array, y=array)
    np.savez_compressed(tmp_path / "b.npz", x=array)
    wanted = np.load(tmp_path / "a.npy")
    for found in (
        arrays.npy(tmp_path / "a.npy"),
        arrays.npz(tmp_path / "a.npz")["y"],
        arrays.npz(tmp_path / "b.npz")["x"],
    ):
        assert np.array_equal(found, wanted)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert found.flags.writeable


def with_shape(array: np.ndarray, shape: str) -> bytes:
    """An `.npy` file whose header claims another shape, at the same length."""
    data = io.BytesIO()
    np.save(data, array)
    before = f"'shape': {array.shape}, }}"
    text = data.getvalue().decode("latin1")
    assert before in text
    after = f"'shape': {shape}, }}"
    padding = " " * (len(before) - len(after))
    head, _, rest = text.partition(before)
    if not padding:  # the header is padded with blanks
        rest = rest[len(after) - len(before) :]
    return (head + after + padding + rest).encode("latin1")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("(192, 1073741824)", "cut short: 96 bytes of values, but shape"),
        ("(-3, -4)", "a shape of .-3, -4.; lengths from 0 wanted"),
        ("(True, 4)", "a shape of .True, 4.; lengths from 0 wanted"),
        (f"({'9' * 30},)", "cut short"),
    ],
)
def test_a_shape_that_the_bytes_do_not_bear_out_is_refused(
    shape: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.npy").write_bytes(with_shape(ARRAYS[0], shape))
    with pytest.raises(BadInput, match=said):
        arrays.npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "a.npy").read_bytes())
    with pytest.raises(BadInput, match=said):
        arrays.npz(tmp_path / "a.npz")


def test_a_cut_array_says_how_much_is_there(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAYS[0])
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    with pytest.raises(BadInput, match=r"a\.npy: cut short: 88 bytes of values, but shape"):
        arrays.npy(tmp_path / "a.npy")


@pytest.mark.parametrize("array", [np.array([{}], object), np.zeros(3, [("a", "f4")])])
def test_objects_and_records_are_refused(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(BadInput, match="numbers or texts wanted"):
        arrays.npy(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    head = {"descr": "|u1", "fortran_order": False, "shape": (300 << 20,)}
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, head)
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(BadInput, match=r"a\.npz: 30\d,\d{3} bytes that claim to unpack to 314,57"):
        arrays.npz(tmp_path / "a.npz")


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(1000))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[4000] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(BadInput, match=r"a\.npz: not arrays as np\.savez writes them \(Bad CRC"):
        arrays.npz(tmp_path / "a.npz")


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAYS[0])
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "x.npy")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.write(tmp_path / "a.npy", "x.npy")
    with pytest.raises(BadInput, match="'x' is in it twice"):
        arrays.npz(tmp_path / "a.npz")
