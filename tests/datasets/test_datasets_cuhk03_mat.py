"""Taking `cuhk-03.mat` apart, on small files of its layout: pixels, names, test sets, refusals."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from damage import damaged
from PIL import Image

from passerby import cli, seeds
from passerby.datasets import cuhk03, cuhk03_mat, cuhk03_testsets
from passerby.errors import BadInput

needs.require("the package 'h5py'")
import h5py  # noqa: E402

PEOPLE = (2, 1, 1, 1, 1)
LACKING = ((1, 2, 1), (1, 2, 5), (3, 1, 10))
"""Pair, person and image of which there is no picture."""
TEST_SETS = [[(1, 1), (2, 1)], [(1, 2), (5, 1)]]
Change = Callable[[Any], None]


def picture(boxes: str, name: str) -> np.ndarray:
    """Noise of a size of its own, `uint8 (H, W, 3)`."""
    rng = seeds.stream(0, boxes, name)
    return rng.integers(0, 256, (*rng.integers(4, 9, 2), 3)).astype(np.uint8)


def pictures(boxes: str) -> dict[str, np.ndarray]:
    names = [
        cuhk03.file_name(pair, person, image)
        for pair, people in enumerate(PEOPLE, start=1)
        for person in range(1, people + 1)
        for image in range(1, 11)
        if (pair, person, image) not in LACKING
    ]
    return {name: picture(boxes, name) for name in names}


class Layout:
    """Writes arrays into an HDF5 file as MATLAB does: axes reversed, cells by reference."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def put(self, array: np.ndarray) -> Any:
        """The reference of an array, whose axes are in MATLAB's order."""
        name = f"#refs#/{len(self.file.require_group('#refs#'))}"
        return self.file.create_dataset(name, data=array.T).ref

    def cells(self, name: str, references: np.ndarray) -> Any:
        """A matrix of references, its axes in MATLAB's order."""
        made = self.file.create_dataset(name, references.T.shape, dtype=h5py.ref_dtype)
        made[...] = references.T
        return made.ref


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    """A small file in the layout of the published one."""
    path = tmp_path / "cuhk-03.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        layout = Layout(file)
        empty = file.create_dataset("#refs#/empty", data=np.zeros(2, np.uint64)).ref
        for boxes in cuhk03_mat.BOXES:
            there = {name: layout.put(pixels) for name, pixels in pictures(boxes).items()}
            pairs = []
            for pair, people in enumerate(PEOPLE, start=1):
                matrix = np.empty((people, 10), object)
                for person, image in np.ndindex(matrix.shape):
                    name = cuhk03.file_name(pair, person + 1, image + 1)
                    matrix[person, image] = there.get(name, empty)
                pairs.append(layout.cells(f"#refs#/{boxes}{pair}", matrix))
            layout.cells(boxes, np.array(pairs, object)[:, None])
        sets = [layout.put(np.array(people, float)) for people in TEST_SETS]
        layout.cells("testsets", np.array(sets, object)[:, None])
    return path


@pytest.fixture
def changed(mat: Path) -> Callable[[Change], Path]:
    """The same file, something in it changed."""

    def change(how: Change) -> Path:
        with h5py.File(mat, "r+") as file:
            how(file)
        return mat

    return change


def test_every_picture_is_there_pixel_for_pixel_and_no_other(mat: Path, tmp_path: Path) -> None:
    counts = cuhk03_mat.extract(mat, tmp_path / "out")
    assert counts == {"detected": 57, "labeled": 57, "testsets": 2}
    for boxes in ("detected", "labeled"):
        wanted = pictures(boxes)
        found = {path.name: path for path in (tmp_path / "out" / boxes).iterdir()}
        assert set(found) == set(wanted)
        for name, path in found.items():
            with Image.open(path) as image:
                assert (image.format, image.mode) == ("PNG", "RGB")
                assert np.array_equal(np.asarray(image), wanted[name])


def test_the_test_sets_are_a_table_of_them(mat: Path, tmp_path: Path) -> None:
    cuhk03_mat.extract(mat, tmp_path / "out")
    assert cuhk03_testsets.read(tmp_path / "out" / "testsets.tsv") == ((1, 844), (2, 1419))


def test_the_verb_says_what_it_wrote(
    mat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    cli.extract(mat, out)
    assert capsys.readouterr().out == f"{out}: 57 detected, 57 labeled, 2 testsets\n"


def test_an_extraction_that_was_cut_short_is_done_again(mat: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "detected").mkdir(parents=True)
    (out / "detected" / "1_001_1_01.png").write_bytes(b"\x89PNG begun")
    cuhk03_mat.extract(mat, out)
    with Image.open(out / "detected" / "1_001_1_01.png") as image:
        assert np.array_equal(np.asarray(image), picture("detected", "1_001_1_01.png"))
    with pytest.raises(BadInput, match=r"out/testsets\.tsv: extracted already; name a new folder"):
        cuhk03_mat.extract(mat, out)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cuhk-03\.mat: no such file"):
        cuhk03_mat.extract(tmp_path / "cuhk-03.mat", tmp_path / "out")


def test_a_missing_h5py_is_said(mat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)  # as Python marks what cannot be imported
    with pytest.raises(BadInput, match=r"takes h5py, which is missing: pip install h5py"):
        cuhk03_mat.extract(mat, tmp_path / "out")


@pytest.mark.parametrize("kept_bytes", [0, 5_000])
def test_a_file_that_is_cut_short_is_refused(mat: Path, tmp_path: Path, kept_bytes: int) -> None:
    mat.write_bytes(mat.read_bytes()[:kept_bytes])
    with pytest.raises(BadInput, match=r"cuhk-03\.mat: not HDF5, or it is cut short"):
        cuhk03_mat.extract(mat, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def another_file(file: Any) -> None:
    del file["labeled"], file["testsets"]


def two_pairs(file: Any) -> None:
    references = file["labeled"][:, :2]
    del file["labeled"]
    file.create_dataset("labeled", (1, 2), dtype=h5py.ref_dtype)[...] = references


def numbers_for_references(file: Any) -> None:
    del file["detected"]
    file["detected"] = np.zeros((1, 5))


def twelve_images(file: Any) -> None:
    file["detected"][0, 1] = file.create_dataset("#refs#/x", (12, 3), dtype=h5py.ref_dtype).ref


def grey_picture(file: Any) -> None:
    of_pair = file[file["detected"][0, 0]]
    of_pair[6, 0] = file.create_dataset("#refs#/x", data=np.zeros((1, 4, 6), np.uint8)).ref


def empty_picture(file: Any) -> None:
    of_pair = file[file["detected"][0, 0]]
    of_pair[6, 0] = file.create_dataset("#refs#/x", (3, 0, 6), np.uint8).ref


def reference_to_nothing(file: Any) -> None:
    file[file["labeled"][0, 4]][0, 0] = h5py.Reference()


def three_columns(file: Any) -> None:
    file["testsets"][0, 1] = file.create_dataset("#refs#/x", data=np.ones((3, 9))).ref


def half_a_person(file: Any) -> None:
    file[file["testsets"][0, 1]][1, 0] = 0.5


def stranger(file: Any) -> None:
    file[file["testsets"][0, 1]][1, 0] = 900


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (another_file, "no labeled, testsets in it, found #refs#, detected; is it cuhk-03.mat?"),
        (two_pairs, "labeled: 2 pairs of cameras found, 5 wanted"),
        (numbers_for_references, "detected: float64 found, references wanted"),
        (twelve_images, "detected, pair 2: references (3, 12) found, (people, 10) wanted"),
        (grey_picture, "detected, 1_001_2_07.png: uint8 (6, 4, 1) found, uint8 (H, W, 3) wanted"),
        (empty_picture, "detected, 1_001_2_07.png: uint8 (6, 0, 3) found, uint8 (H, W, 3) wanted"),
        (reference_to_nothing, "labeled, 5_001_1_01.png: not whole ("),
        (three_columns, "testsets, split 2: float64 (9, 3) found, numbers (people, 2) wanted"),
        (half_a_person, "testsets, split 2: float64 (2, 2) found, numbers (people, 2) wanted"),
        (stranger, "testsets, split 2: no person 900 of camera pair 1 in CUHK03"),
    ],
)
def test_another_layout_is_refused_by_place(
    changed: Callable[[Change], Path], tmp_path: Path, how: Change, message: str
) -> None:
    with pytest.raises(BadInput, match=rf"cuhk-03\.mat[:,] {re.escape(message)}"):
        cuhk03_mat.extract(changed(how), tmp_path / "out")
    assert not (tmp_path / "out" / "testsets.tsv").exists()


def external(file: Any) -> None:
    """Values of a test set that lie in another file of the machine."""
    made = file.create_dataset("#refs#/x", (2, 9), np.uint8, external=[("/etc/hostname", 0, 18)])
    file["testsets"][0, 1] = made.ref


def virtual(file: Any) -> None:
    """A picture that is put together of another file's."""
    layout = h5py.VirtualLayout((3, 4, 6), np.uint8)
    layout[...] = h5py.VirtualSource("/somewhere/else.h5", "x", (3, 4, 6))
    of_pair = file[file["detected"][0, 0]]
    of_pair[6, 0] = file.create_virtual_dataset("#refs#/x", layout).ref


def soft_link(file: Any) -> None:
    file.move("labeled", "#refs#/labeled")
    file["labeled"] = h5py.SoftLink("/#refs#/labeled")


def link_to_another_file(file: Any) -> None:
    del file["testsets"]
    file["testsets"] = h5py.ExternalLink("/somewhere/else.h5", "/testsets")


def claimed_picture(file: Any) -> None:
    """192 GiB of which not a byte is stored."""
    shape = (3, 1 << 18, 1 << 18)
    of_pair = file[file["detected"][0, 0]]
    of_pair[6, 0] = file.create_dataset("#refs#/x", shape, np.uint8, chunks=(3, 64, 64)).ref


def claimed_piece(file: Any) -> None:
    """A small picture, stored in one piece of 3 GiB."""
    made = file.create_dataset(
        "#refs#/x", (3, 4, 6), np.uint8, chunks=(3, 1 << 15, 1 << 15), maxshape=(None, None, None)
    )
    file[file["detected"][0, 0]][6, 0] = made.ref


def claimed_references(file: Any) -> None:
    made = file.create_dataset("#refs#/x", (10, 1 << 33), h5py.ref_dtype, chunks=(10, 64))
    file["detected"][0, 1] = made.ref


def texts(file: Any) -> None:
    del file["labeled"]
    file.create_dataset("labeled", (1, 5), h5py.string_dtype())


def group(file: Any) -> None:
    file["detected"][0, 1] = file.create_group("#refs#/x").ref


def endless_numbers(file: Any) -> None:
    file[file["testsets"][0, 1]][1, 0] = np.inf


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (external, "testsets, split 2: its values lie in other files, which are not opened"),
        (virtual, "detected, 1_001_2_07.png: its values lie in other files, which are not opened"),
        (soft_link, "labeled is a link to another place, which is not followed"),
        (link_to_another_file, "testsets is a link to another place, which is not followed"),
        (claimed_picture, "detected, 1_001_2_07.png: 206,158,430,208 numbers of shape (3, 262144"),
        (claimed_piece, "detected, 1_001_2_07.png: numbers in pieces of shape (3, 32768, 32768)"),
        (claimed_references, "detected, pair 2: 85,899,345,920 references of shape (10, 858993"),
        (texts, "labeled: object found, references wanted"),
        (group, "detected, pair 2: not whole (a group where values were wanted)"),
        (endless_numbers, "testsets, split 2: float64 (2, 2) found, numbers (people, 2) wanted"),
    ],
)
def test_what_leads_elsewhere_or_claims_too_much_is_refused(
    changed: Callable[[Change], Path], tmp_path: Path, how: Change, message: str
) -> None:
    path = changed(how)
    with pytest.raises(BadInput, match=rf"cuhk-03\.mat[:,] {re.escape(message)}"):
        cuhk03_mat.extract(path, tmp_path / "out")
    assert not (tmp_path / "out" / "testsets.tsv").exists()


@pytest.mark.slow
def test_a_damaged_file_is_extracted_or_refused(mat: Path, tmp_path: Path) -> None:
    data = mat.read_bytes()
    refused = 0
    for number, bad in enumerate(damaged(data, 150)):
        mat.write_bytes(bad)
        try:
            cuhk03_mat.extract(mat, tmp_path / str(number))
        except BadInput:
            refused += 1
    assert refused > 50
