"""`cuhk-03.mat`, in which CUHK03 was published, taken apart into pictures and test sets.

The file is MATLAB 7.3, which is HDF5 with the axes reversed; h5py reads it. As torchreid reads it
(`torchreid/data/datasets/image/cuhk03.py`):

- `labeled`, `detected`: a reference for each of the five pairs of cameras, to a matrix of
  references, people by ten images (five of each view), to `uint8 (H, W, 3)`, RGB. Where there is no
  image, the reference is to something of fewer dimensions.
- `testsets`: twenty references, each to a matrix of people by two: pair, and person of that pair.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passerby import places
from passerby.datasets import cuhk03, cuhk03_testsets, hdf5
from passerby.errors import BadInput
from passerby.foreign import is_file
from passerby.progress import Progress

BOXES = ("detected", "labeled")
"""How the pictures were cut: by a detector, and by hand."""
TEST_SETS = "testsets"
IMAGES = 2 * cuhk03.IMAGES_OF_VIEW
MOST_REFERENCES = IMAGES * max(cuhk03.PEOPLE_OF_PAIR)
MOST_NUMBERS = 1 << 24
"""Of a picture: 5 megapixels; CUHK03's largest has a third of one."""


def extract(path: Path, out: Path) -> dict[str, int]:
    """Write the pictures as PNG files, and the test sets as a table, which comes last.

    A folder without the table is unfinished: extracting again writes all of it anew.

    Args:
        path: `cuhk-03.mat`.
        out: A folder, for `detected/`, `labeled/` and `testsets.tsv`.

    Returns:
        How many pictures of each kind and how many test sets there are.

    Raises:
        BadInput: h5py is not installed; the file is missing, broken or another one, leads to other
            files or claims shapes that are none of CUHK03's; the folder is whole already.
    """
    table = out / cuhk03_testsets.NAME
    if is_file(table):
        raise BadInput(f"{table}: extracted already; name a new folder")
    places.require_folder(out)
    with hdf5.opened(path, (*BOXES, TEST_SETS), "cuhk-03.mat") as file:
        test_sets = _test_sets(file)
        counts = {boxes: _write(_pictures(file, boxes), out / boxes) for boxes in BOXES}
    cuhk03_testsets.write(table, test_sets)
    return {**counts, TEST_SETS: len(test_sets)}


def _write(pictures: Iterator[tuple[str, np.ndarray]], folder: Path) -> int:
    """Write pictures into a folder, and count them."""
    places.make_folder(folder)
    with Progress(f"extract {folder.name}", None, "pictures") as progress:
        for name, picture in pictures:
            with places.written_to(folder / name):
                Image.fromarray(picture).save(folder / name)
            progress.step()
    return progress.done


def _pictures(file: Any, boxes: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and pixels of every picture, `uint8 (H, W, 3)`, RGB."""
    for name, reference in _images(file, boxes):
        where = f"{boxes}, {name}"
        pixels = hdf5.read(file, reference, where, "numbers", MOST_NUMBERS)
        if pixels.ndim < 3:
            continue  # the person has no such image
        if pixels.dtype != np.uint8 or pixels.shape[2:] != (3,) or not pixels.size:
            raise _otherwise(file, where, f"{pixels.dtype} {pixels.shape}", "uint8 (H, W, 3)")
        yield name, pixels


def _images(file: Any, boxes: str) -> Iterator[tuple[str, Any]]:
    """Name and reference of every image that somebody could have."""
    pairs = _references(file, boxes, boxes).ravel()
    if len(pairs) != len(cuhk03.PEOPLE_OF_PAIR):
        raise _otherwise(file, boxes, f"{len(pairs)} pairs of cameras", "5")
    for pair, reference in enumerate(pairs, start=1):
        where = f"{boxes}, pair {pair}"
        people = _references(file, reference, where)
        if people.shape[1:] != (IMAGES,):
            raise _otherwise(file, where, f"references {people.shape}", f"(people, {IMAGES})")
        for person, images in enumerate(people, start=1):
            for image, of_image in enumerate(images, start=1):
                yield cuhk03.file_name(pair, person, image), of_image


def _test_sets(file: Any) -> list[list[tuple[int, int]]]:
    """Pair and person of everybody in each test set."""
    sets = []
    for split, reference in enumerate(_references(file, TEST_SETS, TEST_SETS).ravel(), start=1):
        where = f"{TEST_SETS}, split {split}"
        people = hdf5.read(file, reference, where, "numbers", MOST_NUMBERS)
        if people.shape[1:] != (2,) or people.dtype.kind not in "iuf" or not _are_whole(people):
            raise _otherwise(file, where, f"{people.dtype} {people.shape}", "numbers (people, 2)")
        sets.append([(int(pair), int(person)) for pair, person in people])
        for person in sets[-1]:
            _check_person(person, f"{file.filename}, {where}")
    return sets


def _are_whole(numbers: np.ndarray) -> bool:
    """Whether they are whole numbers that can be of people."""
    return bool(
        np.isfinite(numbers).all() and ((numbers % 1) == 0).all() and (abs(numbers) < 2**31).all()
    )


def _check_person(person: tuple[int, int], where: str) -> None:
    try:
        cuhk03.number(*person)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def _references(file: Any, key: Any, where: str) -> np.ndarray:
    return hdf5.read(file, key, where, "references", MOST_REFERENCES)


def _otherwise(file: Any, where: str, found: str, wanted: str) -> BadInput:
    return BadInput(f"{file.filename}, {where}: {found} found, {wanted} wanted; is it cuhk-03.mat?")
