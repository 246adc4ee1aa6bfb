"""Readers of the three layouts: labels out of names, and what they refuse."""

import hashlib
from pathlib import Path

import pytest

from passerby.datasets import cuhk01, cuhk03_np, market1501
from passerby.datasets.rows import Row
from passerby.errors import BadInput


def test_market_labels_come_from_names(market: Path) -> None:
    rows = market1501.read(market)
    assert rows[0] == Row("train", "bounding_box_train/0002_c1s1_000451_03.jpg", 2, 1, 1, 451)
    assert rows[2] == Row("train", "bounding_box_train/0007_c6s3_077467_00.jpg", 7, 6, 3, 77467)
    assert [row.person for row in rows if row.split == "gallery"] == [-1, 0, 1, 3]


def test_market_takes_names_that_end_twice(market: Path) -> None:
    row = market1501.read(market)[4]
    assert row == Row("query", "query/0003_c2s2_012345_00.jpg.jpg", 3, 2, 2, 12345)


def test_market_passes_over_what_a_desktop_left_behind(market: Path) -> None:
    assert len(market1501.read(market)) == 9


def test_market_names_files_that_carry_no_labels(market: Path) -> None:
    (market / "query" / "0001.jpg").write_bytes(b"")
    (market / "query" / "notes.txt").write_bytes(b"")
    with pytest.raises(
        BadInput, match=r"query: 2 files whose names hold no labels: 0001\.jpg, notes\.txt; wanted"
    ):
        market1501.read(market)


def test_a_parent_folders_name_is_no_label(lay, tmp_path: Path) -> None:
    inside = "0009_c9s9_000000_00/-1_c3"
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        lay(f"{inside}/{folder}", ["0002_c1s1_000451_03.jpg"])
    rows = market1501.read(tmp_path / inside)
    assert {(row.person, row.camera) for row in rows} == {(2, 1)}


def test_a_missing_folder_is_said_with_what_lies_there(market: Path) -> None:
    for path in (market / "bounding_box_test").iterdir():
        path.unlink()
    (market / "bounding_box_test").rmdir()
    with pytest.raises(
        BadInput, match=r"bounding_box_test: no such folder; .* holds bounding_box_train, query"
    ):
        market1501.read(market)


def test_a_missing_root_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"query: no such folder, nor is there .*nowhere; unpack"):
        market1501.matched(tmp_path / "nowhere" / "query", market1501.NAME, "x")


def test_cuhk03_reads_png_and_jpg(lay, tmp_path: Path) -> None:
    lay("bounding_box_train", ["0001_c1_1.png", "0001_c2_10.png"])
    lay("query", ["0003_c1_22.jpg"])
    lay("bounding_box_test", ["0003_c2_25.jpg"])
    assert cuhk03_np.read(tmp_path) == [
        Row("train", "bounding_box_train/0001_c1_1.png", 1, 1, 0, 1),
        Row("train", "bounding_box_train/0001_c2_10.png", 1, 2, 0, 10),
        Row("query", "query/0003_c1_22.jpg", 3, 1, 0, 22),
        Row("gallery", "bounding_box_test/0003_c2_25.jpg", 3, 2, 0, 25),
    ]


def cuhk01_names(people: int) -> list[str]:
    return [
        f"{person:04}{image:03}.png" for person in range(1, people + 1) for image in range(1, 5)
    ]


def test_cuhk01_splits_people_in_half_and_views_in_two(lay) -> None:
    rows = cuhk01.read(lay("campus", cuhk01_names(7)), 0)
    train = {row.person for row in rows if row.split == "train"}
    query = {(row.person, row.camera) for row in rows if row.split == "query"}
    gallery = {(row.person, row.camera) for row in rows if row.split == "gallery"}
    assert len(train) == 3
    assert query == {(person, 1) for person in set(range(1, 8)) - train}
    assert gallery == {(person, 2) for person in set(range(1, 8)) - train}
    assert [row.camera for row in rows[:4]] == [1, 1, 2, 2]


def test_cuhk01_draws_another_split_from_another_seed(lay) -> None:
    folder = lay("campus", cuhk01_names(20))
    assert cuhk01.read(folder, 0) == cuhk01.read(folder, 0)
    assert cuhk01.read(folder, 0) != cuhk01.read(folder, 1)


def test_cuhk01_has_the_same_ten_splits_on_every_machine() -> None:
    people = list(range(1, 972))
    splits = cuhk01.splits(people)
    assert [len(test) for test in splits] == [486] * 10
    assert hashlib.sha256(repr(splits).encode()).hexdigest()[:16] == "9e8cb5d647471ff4"
    assert set(splits[3]) == set(people) - cuhk01.train_people(people, 3)


def test_cuhk01_names_an_image_beyond_the_fourth(lay) -> None:
    folder = lay("campus", [*cuhk01_names(2), "0002005.png"])
    with pytest.raises(BadInput, match=r"numbered 001 to 004, two a camera; found 0002005\.png"):
        cuhk01.read(folder, 0)
