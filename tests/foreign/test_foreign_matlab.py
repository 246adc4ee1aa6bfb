"""MATLAB files: values as SciPy gives them, once the file is known to hold together."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from foreign_samples import nested

from passerby.errors import BadInput
from passerby.foreign import matlab

HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
DOUBLE, CELL, CHAR = 6, 1, 4
INT8, INT32, UINT32, NUMBERS, MATRIX, PACKED = 1, 5, 6, 9, 14, 15


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(kind: int, lengths: tuple[int, ...], content: bytes, name: bytes = b"x") -> bytes:
    head = element(UINT32, struct.pack("<II", kind, 0))
    head += element(INT32, struct.pack(f"<{len(lengths)}i", *lengths))
    return element(MATRIX, head + element(INT8, name) + content)


@pytest.mark.parametrize("is_packed", [False, True])
def test_values_come_back_as_scipy_reads_them(is_packed: bool, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", nested(), do_compression=is_packed)
    options = {"squeeze_me": True, "struct_as_record": False}
    wanted = scipy.io.loadmat(tmp_path / "a.mat", **options)
    found = matlab.read(tmp_path / "a.mat", **options)
    assert set(found) == set(nested())
    assert np.array_equal(found["complex"], wanted["complex"])
    assert found["cells"].tolist() == ["a", "longer"]
    assert (found["structure"].x.tolist(), found["structure"].y) == ([0, 1, 2], "text")


def test_variables_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"a": np.ones(3), "b": scipy.sparse.eye(3)})
    assert list(matlab.read(tmp_path / "a.mat")) == ["a"]


def in_cells(depth: int) -> bytes:
    data = matrix(DOUBLE, (1, 1), element(NUMBERS, bytes(8)))
    for _ in range(depth):
        data = matrix(CELL, (1, 1), data)
    return data


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (matrix(DOUBLE, (2**30, 2**30), element(NUMBERS, bytes(8))), "8 bytes of type 9 for 1,1"),
        (matrix(CELL, (2**30, 192), b""), "206,158,430,208 values in 0 bytes"),
        (matrix(CHAR, (1, 2**31 - 1), element(UINT32 - 2, b"")), "0 bytes of type 4 for 2,147,48"),
        (matrix(DOUBLE, (-1, 1), element(NUMBERS, b"")), "a matrix of 2 dimensions: .-1, 1."),
        (matrix(DOUBLE, (1,) * 99, element(NUMBERS, bytes(8))), "a matrix of 99 dimensions"),
        (in_cells(21), "cells within cells, more than 20 deep"),
        (in_cells(3000), "cells within cells, more than 20 deep"),
        (element(PACKED, zlib.compress(bytes(300 << 20))), "unpacks to more than 268,4"),
        (element(PACKED, zlib.compress(bytes(99))[:-9]), "a packed variable is cut short"),
        (element(NUMBERS, bytes(8)), "an element of type 9 where a matrix was wanted"),
        (b"\0" * 5, "cut short"),
    ],
)  # fmt: skip
def test_lengths_that_the_bytes_do_not_bear_out_are_refused(
    variable: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.mat").write_bytes(HEAD + variable)
    with pytest.raises(BadInput, match=rf"a\.mat: not a MATLAB file of version 5 to 7.*{said}"):
        matlab.read(tmp_path / "a.mat")


def test_cells_that_are_deep_but_not_too_deep_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(HEAD + in_cells(20))
    assert list(matlab.read(tmp_path / "a.mat")) == ["x"]


def test_other_versions_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    with pytest.raises(BadInput, match=r"a\.mat: MATLAB 7\.3, which is another format; save it"):
        matlab.read(tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "b.mat", {"a": np.ones(3)}, format="4")
    with pytest.raises(BadInput, match=r"b\.mat: not a MATLAB file of version 5 to 7.*; fetch it"):
        matlab.read(tmp_path / "b.mat", "fetch it again")
