"""CUHK03 as pictures in one folder: labels of the published split, every picture accounted for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from passerby.datasets import cuhk03, index
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.files import write_json
from passerby.settings import BenchmarkSource

NAMES = [
    cuhk03.file_name(pair, person, image)
    for pair, person in ((1, 1), (1, 843), (2, 1), (5, 49))
    for image in (1, 6, 7)
]
SPLIT: dict[str, Any] = {
    "filelist": np.array(NAMES, object),
    "labels": np.repeat([1, 843, 844, 1467], 3),
    "camId": np.tile([1, 2, 2], 4),
    "train_idx": np.arange(1, 7),
    "query_idx": np.array([7, 8, 10, 11]),
    "gallery_idx": np.array([9, 12]),
}


def split_file(folder: Path, **changes: Any) -> Path:
    """A file in the published one's form; a change to `None` leaves a variable out."""
    path = folder / "split.mat"
    columns = {**SPLIT, **changes}
    scipy.io.savemat(
        path, {name: value[:, None] for name, value in columns.items() if value is not None}
    )
    return path


def test_rows_have_the_part_person_and_camera_of_the_published_file(lay, tmp_path: Path) -> None:
    root = lay("detected", [*NAMES, "Thumbs.db"])
    rows = cuhk03.read(root, split_file(root).name)
    assert rows[0] == Row("train", "1_001_1_01.png", 1, 1, frame=1)
    assert rows[6:] == [
        Row("query", "2_001_1_01.png", 844, 1, frame=1),
        Row("query", "2_001_2_06.png", 844, 2, frame=6),
        Row("gallery", "2_001_2_07.png", 844, 2, frame=7),
        Row("query", "5_049_1_01.png", 1467, 1, frame=1),
        Row("query", "5_049_2_06.png", 1467, 2, frame=6),
        Row("gallery", "5_049_2_07.png", 1467, 2, frame=7),
    ]


def test_people_are_numbered_over_all_pairs_each_once() -> None:
    numbers = [
        cuhk03.number(pair, person)
        for pair, people in enumerate(cuhk03.PEOPLE_OF_PAIR, start=1)
        for person in range(1, people + 1)
    ]
    assert numbers == list(range(1, 1468))


@pytest.mark.parametrize(("pair", "person"), [(0, 1), (6, 1), (1, 0), (1, 844), (5, 50)])
def test_a_person_who_is_not_in_cuhk03_is_refused(pair: int, person: int) -> None:
    with pytest.raises(BadInput, match=f"no person {person} of camera pair {pair} in CUHK03"):
        cuhk03.number(pair, person)


@pytest.mark.parametrize(
    "name",
    ["1_001_1_06.png", "1_001_2_05.png", "1_000_1_01.png", "6_001_1_01.png", "1_001_1_01.jpg",
     "1_001_2_11.png", "1_001_1_00.png"],
)  # fmt: skip
def test_a_name_that_no_picture_has_carries_no_labels(name: str) -> None:
    assert cuhk03.labels_of(name) is None


def test_all_missing_and_all_foreign_pictures_are_told_in_one_error(lay, tmp_path: Path) -> None:
    root = lay("labeled", [*NAMES[2:], "3_001_1_01.png"])
    path = split_file(root)
    with pytest.raises(BadInput) as refused:
        cuhk03.read(root, path.name)
    assert str(refused.value).splitlines() == [
        f"{root}: its pictures are not those of split.mat",
        "  2 of 12 are missing: 1_001_1_01.png, 1_001_2_06.png",
        "  1 are not in its list: 3_001_1_01.png",
        "  extract cuhk-03.mat again and whole ('passerby extract'); detected and labeled pictures "
        "have a split file each",
    ]


def test_other_files_in_the_folder_are_named(lay, tmp_path: Path) -> None:
    root = lay("detected", [*NAMES, "0001_c1_1.png"])
    with pytest.raises(BadInput, match=r"1 files whose names hold no labels: 0001_c1_1\.png; want"):
        cuhk03.read(root, split_file(root).name)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"detected: no such folder"):
        cuhk03.read(tmp_path / "detected", "split.mat")


def test_a_missing_split_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"split\.mat: no such file"):
        cuhk03.split(tmp_path / "split.mat")


def test_what_is_no_matlab_5_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "split.mat").write_bytes(b"MATLAB 7.3 MAT-file")
    with pytest.raises(BadInput, match=r"split\.mat: MATLAB 7\.3, which is another format"):
        cuhk03.split(tmp_path / "split.mat")


def test_a_split_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = split_file(tmp_path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(BadInput, match=r"split\.mat: not a MATLAB file of version 5 to 7"):
        cuhk03.split(path)


def test_another_matlab_file_is_answered_with_what_is_wanted(tmp_path: Path) -> None:
    path = split_file(tmp_path, labels=None, query_idx=None)
    with pytest.raises(BadInput, match=r"no labels, query_idx in it, found filelist, camId, train"):
        cuhk03.split(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.ones(11, int)}, "found 12 filelist, 11 labels, 12 camId; one each for each"),
        ({"camId": np.full(12, "1")}, "camId: columns of whole numbers wanted"),
        ({"query_idx": np.ones((2, 2), int)}, "query_idx: columns of whole numbers wanted"),
        ({"labels": np.full(12, 0.5)}, "labels: columns of whole numbers wanted"),
    ],
    ids=["lengths", "texts", "matrix", "fractions"],
)  # fmt: skip
def test_columns_that_are_none_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        cuhk03.split(split_file(tmp_path, **changes))


def test_all_that_does_not_hold_together_is_said_at_once(tmp_path: Path) -> None:
    path = split_file(
        tmp_path,
        filelist=np.array([*NAMES[:-2], "0001_c1_1.png", NAMES[0]], object),
        labels=np.array([1, 1, 2, *SPLIT["labels"][3:-1], 1]),
        camId=np.array([2, 2, 2, *SPLIT["camId"][3:-1], 1]),
        train_idx=np.array([0, 1, 2, 3, 4, 6, 7, 13]),
    )
    with pytest.raises(BadInput) as refused:
        cuhk03.split(path)
    assert str(refused.value).splitlines() == [
        f"{path}: not the new protocol's split",
        "  1 pictures have names other than 1_001_1_01.png: 0001_c1_1.png",
        "  2 pictures are of another person or camera than their names say: 1_001_1_01.png, "
        "1_001_2_07.png",
        "  2 pictures are listed again: 1_001_1_01.png, 1_001_1_01.png",
        "  2 pictures are not in one part exactly: 1_843_2_06.png, 2_001_1_01.png",
        "  2 places are not in the list: 0, 13",
        "  fetch the file again",
    ]


def source(root: Path, path: Path, **changes: int) -> BenchmarkSource:
    counts = {"train_images": 6, "train_people": 2, "query_images": 4, "gallery_images": 2}
    manifest = root.parent / "manifest.json"
    known = {"mine": counts | changes}
    write_json(manifest, {"format": "passerby.world/1", "counts": known})
    return BenchmarkSource(
        kind="cuhk03", root=str(root), counts=str(manifest), split_file=path.name
    )


def test_an_index_of_it_has_the_new_protocols_name(lay, tmp_path: Path) -> None:
    root = lay("detected", NAMES)
    built = index.build("mine", source(root, split_file(root)))
    assert (built.kind, built.protocol) == ("cuhk03", "cuhk03-np")
    assert built.people("query") == built.people("gallery") == (844, 1467)
    assert built.split("gallery").frame.tolist() == [7, 7]


def test_counts_of_it_are_checked(lay, tmp_path: Path) -> None:
    root = lay("detected", NAMES)
    with pytest.raises(BadInput, match="gallery_images: 5 wanted, 2 found"):
        index.build("mine", source(root, split_file(root), gallery_images=5))
