"""Folders of people: names become numbers, cameras come from file names or are not known."""

import os
from pathlib import Path

import numpy as np
import pytest

from passerby.datasets import folder, index
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.evaluation import evaluate
from passerby.settings import BenchmarkSource


def built(root: Path) -> Benchmark:
    return index.build("mine", BenchmarkSource(kind="folder", root=str(root)))


@pytest.fixture
def people(lay, tmp_path: Path) -> Path:
    """Two people train, two test; no camera is known."""
    lay("train/zoe", ["1.jpg", "2.PNG"])
    lay("train/0007", ["1.jpeg"])
    lay("query/anna", ["1.jpg"])
    lay("query/Bo Li", ["1.jpg"])
    lay("gallery/anna", ["2.jpg", "Thumbs.db"])
    lay("gallery/Bo Li", ["2.png"])
    return tmp_path


def test_people_are_numbered_by_their_sorted_names(people: Path) -> None:
    assert folder.read(people) == [
        Row("train", "train/0007/1.jpeg", 1, 0),
        Row("train", "train/zoe/1.jpg", 4, 0),
        Row("train", "train/zoe/2.PNG", 4, 0),
        Row("query", "query/Bo Li/1.jpg", 2, 0),
        Row("query", "query/anna/1.jpg", 3, 0),
        Row("gallery", "gallery/Bo Li/2.png", 2, 0),
        Row("gallery", "gallery/anna/2.jpg", 3, 0),
    ]


@pytest.mark.parametrize(
    ("names", "cameras"),
    [
        (["x_c2.jpg", "y_c11_003.png"], [2, 11]),
        (["0002_c1s1_000451_03.jpg", "0002_c6s3_077467_00.jpg"], [1, 6]),
        (["x_c0.jpg", "x_c3-a.jpg"], [1, 4]),
        (["x_c2.jpg", "y.jpg"], [2, 0]),
        (["x_c0.jpg", "y.jpg", "z_c1.jpg"], [1, 0, 2]),
        (["x_cat2.jpg", "y_c3po.jpg"], [0, 0]),
        (["x_c" + 30 * "9" + "_1.jpg"], [0]),
    ],
)
def test_a_camera_is_known_where_the_name_has_one(names: list[str], cameras: list[int]) -> None:
    assert folder.cameras(names) == cameras


def test_labels_come_only_from_names_below_the_root(lay, tmp_path: Path) -> None:
    lay("exp-7_c2/train/anna_c5", ["1.jpg"])
    lay("exp-7_c2/train/bo", ["1_c3.jpg"])
    rows = folder.read(tmp_path / "exp-7_c2")
    assert [(row.person, row.camera) for row in rows] == [(1, 0), (2, 3)]


def test_files_that_are_no_pictures_of_a_person_are_named(people: Path, lay) -> None:
    lay("train", ["loose.jpg"])
    lay("query/anna/deep", ["1.jpg"])
    lay("gallery/anna", ["notes.txt"])
    with pytest.raises(BadInput) as refused:
        folder.read(people)
    assert str(refused.value) == (
        f"{people}: 3 files that are no PERSON/NAME.jpg (or .jpeg, .png) below their part: "
        "train/loose.jpg, query/anna/deep/1.jpg, gallery/anna/notes.txt; move them out"
    )


@pytest.mark.parametrize(
    ("folders", "found"), [((), "none of them"), (("train", "query"), "train, query")]
)
def test_parts_that_are_of_no_use_are_refused(
    tmp_path: Path, folders: tuple[str, ...], found: str
) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(BadInput, match=f"query and gallery, or all three wanted, {found} found"):
        folder.read(tmp_path)


def test_linked_folders_are_read_but_none_twice(people: Path, lay) -> None:
    lay("elsewhere", ["9.jpg"])
    (people / "gallery" / "cy").symlink_to(people / "elsewhere")
    assert [row.path for row in folder.read(people)][-1] == "gallery/cy/9.jpg"
    (people / "gallery" / "di").symlink_to("anna")
    with pytest.raises(BadInput, match="links to folders that are read already: di; take them"):
        folder.read(people)


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train" / "anna").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"no picture in any part; wanted train/PERSON/NAME\.jpg"):
        folder.read(tmp_path)


def test_a_set_to_train_on_needs_no_test_part(lay, tmp_path: Path) -> None:
    lay("train/anna", ["1.jpg"])
    mine = built(tmp_path)
    assert (len(mine.split("train")), len(mine.split("query"))) == (1, 0)


def test_a_person_in_both_parts_is_named_by_the_folders(people: Path, lay) -> None:
    lay("train/anna", ["9.jpg"])
    message = (
        r"training and in the test part: 3; each must be in one of them only "
        r"\(such as train/anna/9\.jpg and query/anna/1\.jpg\)"
    )
    with pytest.raises(BadInput, match=message):
        built(people)


def test_the_index_says_what_was_found_where_no_counts_are_wanted(people: Path) -> None:
    header = built(people).header
    assert header == {
        "name": "mine",
        "kind": "folder",
        "counts": {
            "train_images": 3, "train_people": 2, "query_images": 2, "query_people": 2,
            "gallery_images": 2, "gallery_people": 2,
        },
    }  # fmt: skip


def test_the_index_reads_back_as_it_was_built(people: Path, tmp_path: Path) -> None:
    mine = built(people)
    mine.write(tmp_path / "mine.tsv")
    assert index.read(tmp_path / "mine.tsv", people) == mine


def test_a_name_that_would_break_the_index_is_refused(people: Path, lay) -> None:
    lay("train/zoe", ["a\tb.jpg"])
    with pytest.raises(BadInput, match=r"tabs or line ends in names: 'train/zoe/a\\tb\.jpg'"):
        built(people)


def test_a_name_that_is_no_text_is_refused(people: Path) -> None:
    picture = people / "train" / "zoe" / "1.jpg"
    picture.rename(picture.with_name(os.fsdecode(b"caf\xe9.jpg")))
    with pytest.raises(BadInput, match=r"names that are no text in UTF-8: 'train/zoe/caf\\udce9"):
        built(people)


def test_known_cameras_are_the_views(lay, tmp_path: Path) -> None:
    lay("train/anna", ["1_c2.jpg", "2_c1.jpg"])
    train = built(tmp_path).split("train")
    assert train.views is train.camera
    assert train.views.tolist() == [2, 1]


def test_without_cameras_a_view_is_the_very_picture(people: Path) -> None:
    copy = (people / "query" / "anna" / "1.jpg").read_bytes()
    (people / "gallery" / "anna" / "copy.jpg").write_bytes(copy)
    mine = built(people)
    query, gallery = mine.split("query").views, mine.split("gallery").views
    assert len({*query.tolist(), *gallery.tolist()}) == 4
    assert (query < 0).all()
    assert np.flatnonzero(gallery == query[1]).tolist() == [2]


def test_a_set_without_cameras_is_evaluated_with_only_the_querys_picture_left_out(
    people: Path,
) -> None:
    copy = (people / "query" / "anna" / "1.jpg").read_bytes()
    (people / "gallery" / "anna" / "copy.jpg").write_bytes(copy)
    mine = built(people)
    query, gallery = mine.split("query"), mine.split("gallery")
    features = {"query": [[1.0, 0.0], [0.0, 1.0]], "gallery": [[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]]}
    found = evaluate(
        np.array(features["query"]), np.array(features["gallery"]), query.person, gallery.person,
        query.views, gallery.views, protocol=mine.kind, fars=(),
    )  # fmt: skip
    # Bo Li's match is first. Anna's copy, at distance 0, is left out; her other picture leads.
    assert found.map == 1.0
    assert found.counts["genuine_pairs"] == 2
    assert found.counts["queries_without_match"] == 0
