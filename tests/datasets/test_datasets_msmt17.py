"""MSMT17: both versions, people of both parts kept apart, and every line and file accounted for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from passerby.datasets import index, msmt17
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.settings import BenchmarkSource

LISTS = {
    "list_train.txt": [
        "0000/0000_000_01_0303morning_0008_0.jpg 0",
        "0001/0001_004_15_0114noon_0036_1_ex.jpg 1",
    ],
    "list_val.txt": ["0001/0001_000_02_0303morning_0036_1.jpg 1"],
    "list_query.txt": ["0000/0000_000_01_0303morning_0015_0.jpg 0"],
    "list_gallery.txt": [
        "0000/0000_001_14_0302afternoon_1015_2.jpg 0",
        "0002/0002_000_03_0303morning_0001_0.jpg 2",
    ],
}
MSMT = Callable[..., Path]


@pytest.fixture
def msmt(lay, tmp_path: Path) -> MSMT:
    """Lay out a small MSMT17 of one version; gives its root."""

    def lay_out(train: str = "train", test: str = "test") -> Path:
        for name, lines in LISTS.items():
            folder = train if name in ("list_train.txt", "list_val.txt") else test
            (tmp_path / name).write_text("\r\n".join(lines) + "\r\n\r\n")
            for line in lines:
                path = Path(folder, line.split()[0])
                lay(str(path.parent), [path.name])
        return tmp_path

    return lay_out


def rewrite(root: Path, name: str, *lines: str) -> None:
    (root / name).write_text("\n".join(lines))


def test_lists_give_people_of_both_parts_numbers_of_their_own(msmt: MSMT) -> None:
    assert msmt17.read(msmt()) == [
        Row("train", "train/0000/0000_000_01_0303morning_0008_0.jpg", 1, 1, 3, 8),
        Row("train", "train/0001/0001_004_15_0114noon_0036_1_ex.jpg", 2, 15, 1, 36),
        Row("train", "train/0001/0001_000_02_0303morning_0036_1.jpg", 2, 2, 3, 36),
        Row("query", "test/0000/0000_000_01_0303morning_0015_0.jpg", 3, 1, 3, 15),
        Row("gallery", "test/0000/0000_001_14_0302afternoon_1015_2.jpg", 3, 14, 2, 1015),
        Row("gallery", "test/0002/0002_000_03_0303morning_0001_0.jpg", 5, 3, 3, 1),
    ]


def test_the_second_version_is_found_by_its_folders(msmt: MSMT) -> None:
    rows = msmt17.read(msmt("mask_train_v2", "mask_test_v2"))
    assert [row.path.split("/")[0] for row in rows] == ["mask_train_v2"] * 3 + ["mask_test_v2"] * 3


@pytest.mark.parametrize(("more", "found"), [((), "neither"), (("test", "mask_test_v2"), "both")])
def test_one_version_is_wanted(tmp_path: Path, more: tuple[str, ...], found: str) -> None:
    for folder in more:
        (tmp_path / folder).mkdir()
    message = f"folders train and test or mask_train_v2 and mask_test_v2 wanted, {found} found"
    with pytest.raises(BadInput, match=message):
        msmt17.read(tmp_path)


def test_half_a_version_is_said(msmt: MSMT) -> None:
    root = msmt()
    (root / "test").rename(root / "tset")
    with pytest.raises(BadInput, match=r"test: no such folder; .* holds list_gallery\.txt"):
        msmt17.read(root)


def test_a_missing_list_is_named(msmt: MSMT) -> None:
    root = msmt()
    (root / "list_val.txt").unlink()
    with pytest.raises(
        BadInput, match=r"list_val\.txt: no such file; MSMT17 has the lists list_train"
    ):
        msmt17.read(root)


def test_all_that_does_not_agree_is_said_at_once(msmt: MSMT, lay) -> None:
    root = msmt()
    lay("train/0001", ["0001_009_02_0303morning_0036_1.jpg", "Thumbs.db"])
    lay("test/0000", ["plain.jpg"])
    (root / "test/0002/0002_000_03_0303morning_0001_0.jpg").unlink()
    rewrite(root, "list_train.txt", LISTS["list_train.txt"][0], "0001/0001_004_15_x.jpg one")
    rewrite(root, "list_query.txt", LISTS["list_query.txt"][0], "", "0000/plain.jpg 0")
    rewrite(root, "list_val.txt", *LISTS["list_val.txt"] * 2)
    with pytest.raises(BadInput) as refused:
        msmt17.read(root)
    assert str(refused.value).splitlines() == [
        f"{root}: lists and files of MSMT17 do not agree",
        "  1 lines are not 'path number': list_train.txt line 2 ('0001/0001_004_15_x.jpg one')",
        "  1 lines name no camera: list_query.txt line 3 (test/0000/plain.jpg)",
        "  1 lines name a file that is missing: list_gallery.txt line 2 "
        "(test/0002/0002_000_03_0303morning_0001_0.jpg)",
        "  1 lines name a file again: train/0001/0001_000_02_0303morning_0036_1.jpg",
        "  2 files that no list names: train/0001/0001_004_15_0114noon_0036_1_ex.jpg, "
        "train/0001/0001_009_02_0303morning_0036_1.jpg",
        "  unpack the set again and whole, and move other files out of its folders",
    ]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("0000_000_01_0303morning_0008_0.jpg", ("1", "0303morning", "0008")),
        ("0000_000_12.jpg", ("12", None, None)),
        ("0000_000_12_noon.jpg", ("12", "noon", None)),
    ],
)
def test_a_name_needs_no_more_than_its_camera(name: str, parts: tuple[str | None, ...]) -> None:
    match = msmt17.NAME.fullmatch(name)
    assert match is not None
    assert match.groups() == parts


@pytest.mark.parametrize("name", ["0000_000_00_x.jpg", "0000_000_c1_x.jpg", "0000_01.jpg"])
def test_a_name_without_a_camera_has_none(name: str) -> None:
    assert msmt17.NAME.fullmatch(name) is None


def test_a_parents_name_is_no_label(msmt: MSMT, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = msmt()
    elsewhere = tmp_path_factory.mktemp("x") / "0009_000_09_exp-7_c2"
    root.rename(elsewhere)
    assert [row.camera for row in msmt17.read(elsewhere)] == [1, 15, 2, 1, 14, 3]


def test_a_part_of_it_has_not_the_published_counts(msmt: MSMT) -> None:
    source = BenchmarkSource(kind="msmt17", root=str(msmt()), counts="msmt17")
    with pytest.raises(BadInput, match="train_images: 32,621 wanted, 3 found"):
        index.build("msmt17", source)
