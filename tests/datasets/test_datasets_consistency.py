"""Labels of a set against each other and against its pictures: what is refused, what is said."""

import shutil
import unicodedata
from pathlib import Path

import pytest

from passerby.datasets import consistency, index
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.settings import BenchmarkSource


def built(root: Path, kind: str = "folder") -> Benchmark:
    return index.build("mine", BenchmarkSource(kind=kind, root=str(root)))


def refusal(root: Path, kind: str = "folder") -> str:
    with pytest.raises(BadInput) as refused:
        built(root, kind)
    return str(refused.value)


@pytest.fixture
def people(lay, tmp_path: Path) -> Path:
    """Two people train and two test, by two cameras."""
    for person in ("ann", "bo"):
        lay(f"train/{person}", ["1_c1.jpg", "2_c2.jpg"])
    for person in ("cy", "di"):
        lay(f"query/{person}", ["1_c1.jpg"])
        lay(f"gallery/{person}", ["2_c2.jpg", "3_c2.jpg"])
    return tmp_path


def table(root: Path, *lines: str) -> Path:
    """The set of `people` as a table, and some more lines."""
    rows = ["path,person,split,camera"]
    for path in sorted(root.rglob("*.jpg")):
        split, person, name = path.relative_to(root).parts
        rows.append(f"{split}/{person}/{name},{person},{split},{name[-5]}")
    (root / "labels.csv").write_text("\n".join((*rows, *lines)) + "\n")
    return root


def test_it_is_always_said_of_how_many_pictures_the_camera_is_known(people: Path, lay) -> None:
    assert built(people).remarks() == (
        "mine: cameras known of 4 of 4 pictures in train\n"
        "mine: cameras known of 6 of 6 pictures in query and gallery"
    )
    lay("unknown/query/ann", ["1.jpg"])
    lay("unknown/gallery/ann", ["2.jpg", "3.jpg"])
    said = built(people / "unknown").remarks()
    assert said == "mine: cameras known of 0 of 3 pictures in query and gallery"


@pytest.mark.parametrize("split", ["query", "gallery"])
def test_one_file_name_without_a_camera_is_refused_by_name(people: Path, lay, split: str) -> None:
    lay(f"{split}/cy", ["extra.jpg"])
    told = refusal(people)
    assert told.startswith(
        "mine: cameras known of 6 of 7 pictures in query and gallery, not of "
        f"{split}/cy/extra.jpg, but of "
    )
    assert "give all of them a camera" in told


def test_an_empty_cell_among_cameras_is_refused_by_name(people: Path, lay) -> None:
    table(people, "more/x.jpg,cy,gallery,9", "more/y.jpg,bo,train,")
    lay("more", ["x.jpg", "y.jpg"])
    told = refusal(people, "csv")
    assert "cameras known of 4 of 5 pictures in train, not of more/y.jpg" in told


def test_training_pictures_may_lack_cameras_where_test_pictures_have_them(
    people: Path, lay
) -> None:
    shutil.rmtree(people / "train")
    lay("train/ann", ["1.jpg", "2.jpg"])
    mine = built(people)
    assert mine.split("train").camera.tolist() == [0, 0]
    assert mine.split("query").camera.tolist() == [1, 1]


def test_a_camera_0_of_a_published_layout_is_refused(market: Path) -> None:
    old = market / "bounding_box_test" / "0001_c2s1_000301_02.jpg"
    old.rename(old.with_name("0001_c0s1_000301_02.jpg"))
    with pytest.raises(BadInput, match=r"known of 4 of 5 .* not of .*0001_c0s1_000301_02\.jpg"):
        consistency.check_cameras(index.READERS["market1501"](market, 0), "mine")


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_junk_in_the_gallery_counts_for_nothing_and_is_said(people: Path, lay, kind: str) -> None:
    lay("gallery/-1", ["1_c1.jpg", "2_c2.jpg", "3_c9.jpg"])
    mine = built(table(people), kind)
    assert mine.people("gallery") == mine.people("query") == (3, 4)
    assert len(mine.split("gallery")) == 4
    assert mine.header["counts"]["gallery_images"] == 4
    assert "mine: 3 pictures of the gallery are junk ('-1') and count for" in mine.remarks()


def test_junk_needs_no_camera(people: Path, lay) -> None:
    lay("gallery/-1", ["cut.jpg"])
    assert "known of 6 of 6 pictures in query and gallery" in built(people).remarks()


@pytest.mark.parametrize("split", ["train", "query"])
def test_junk_outside_the_gallery_is_refused(people: Path, lay, split: str) -> None:
    lay(f"{split}/-1", ["1_c1.jpg"])
    assert f"outside the gallery: 1 in {split}; take them out" in refusal(people)


@pytest.mark.parametrize("name", ["-2", "-01", "-17"])
def test_other_numbers_below_zero_are_nobody_that_is_known(people: Path, lay, name: str) -> None:
    lay(f"gallery/{name}", ["1_c1.jpg"])
    assert f"people named {name}; only '-1' is known for pictures that count" in refusal(people)


@pytest.mark.parametrize(
    ("name", "told"),
    [("-1.0", "-1.0"), ("-1 ", "'-1 '"), ("\u22121", r"'\u22121'"), ("\u20131", r"'\u20131'")],
    ids=["as a table program writes it", "a blank behind it", "a minus sign", "a dash"],
)
def test_other_spellings_of_minus_one_are_refused(people: Path, lay, name: str, told: str) -> None:
    lay(f"gallery/{name}", ["1_c1.jpg"])
    assert f"people named {told}; only '-1' is known for pictures that count" in refusal(people)


@pytest.mark.parametrize("kind", ["folder", "csv"])
@pytest.mark.parametrize("other", ["an na", "an\u00a0na", "an\u200b na", "\uff41n na"])
def test_people_whose_names_look_alike_are_refused(
    people: Path, lay, kind: str, other: str
) -> None:
    lay("query/an na", ["1_c1.jpg"])
    lay(f"gallery/{other}", ["2_c2.jpg"])
    root = table(people) if kind == "csv" else people
    if other == "an na":
        assert len(built(root, kind).people("gallery")) == 3
    else:
        said = refusal(root, kind)
        assert "people whose names look alike: 'an na' and " in said
        assert f"{other!a}; give one person one name" in said


def test_0000_is_a_person_whom_nobody_asks_for(people: Path, lay) -> None:
    lay("gallery/0000", ["1_c1.jpg"])
    mine = built(people)
    assert len(mine.people("gallery")) == 3
    assert len(mine.people("query")) == 2


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_composed_and_decomposed_letters_are_one_person(people: Path, lay, kind: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))
    lay(f"query/{composed}", ["1_c1.jpg"])
    lay(f"gallery/{decomposed}", ["2_c2.jpg"])
    mine = built(table(people), kind)
    assert len({row.person for row in mine.rows}) == 5
    assert mine.people("query") == mine.people("gallery")


def copy(root: Path, old: str, new: str) -> None:
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / old, root / new)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("query/cy/1_c1.jpg", "query/di/8_c1.jpg", ["(query: person 3)", "(query: person 4)"]),
        ("train/ann/1_c1.jpg", "gallery/di/8_c1.jpg", ["(gallery: person 4)", "(train: person 1)"]),
        ("train/ann/1_c1.jpg", "train/bo/8_c1.jpg", ["(train: person 1)", "(train: person 2)"]),
        ("query/cy/1_c1.jpg", "gallery/cy/8_c2.jpg", ["(query: camera 1)", "(gallery: camera 2)"]),
        ("query/cy/1_c1.jpg", "gallery/-1/8_c1.jpg", ["(query: person 3)", "(gallery: junk)"]),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_a_picture_with_two_labels_is_refused(
    people: Path, old: str, new: str, said: list[str], kind: str
) -> None:
    copy(people, old, new)
    told = refusal(table(people), kind)
    assert "mine: 1 pictures are in the set again (equal bytes) with another label" in told
    assert all(part in told for part in (old, new, *said))


def test_a_picture_that_a_table_names_twice_has_one_camera(people: Path) -> None:
    table(people, "query/cy/1_c1.jpg,cy,gallery,2")
    assert "query/cy/1_c1.jpg (gallery: camera 2)" in refusal(people, "csv")


def test_the_same_picture_again_is_said_and_never_matches_itself(people: Path) -> None:
    copy(people, "query/cy/1_c1.jpg", "gallery/cy/8_c1.jpg")
    mine = built(people)
    assert "1 pictures are in the set under several names (equal bytes)" in mine.remarks()
    assert "gallery/cy/8_c1.jpg = query/cy/1_c1.jpg" in mine.remarks()
    query, gallery = mine.split("query"), mine.split("gallery")
    same = gallery.hashes.index(query.hashes[0])
    assert gallery.views[same] == query.views[0]


def test_a_published_set_is_left_as_it_is_and_what_is_wrong_is_said() -> None:
    rows = [Row("query", "a", 1, 1), Row("gallery", "b", 2, 1), Row("gallery", "c", 1, 2)]
    said = Benchmark({"name": "m", "kind": "market1501"}, Path(), tuple(rows), ("0", "0", "1"))
    assert said.remarks().splitlines()[1:] == [
        "m: 1 pictures are in the set under several names (equal bytes): a = b",
        "m: 1 pictures are labelled in several ways: a (query: person 1), b (gallery: person 2)",
    ]
