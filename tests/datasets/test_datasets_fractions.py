"""Shares of labels: nested draws, LUPerson's lists, and lists that do not fit."""

from collections import Counter
from pathlib import Path

import pytest

from passerby.datasets.fractions import labelled_images, labelled_people
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.errors import BadInput


def of_people(count: int) -> Benchmark:
    rows = tuple(Row("train", f"{person}.jpg", person, 1) for person in range(2, count + 2))
    return Benchmark({"name": "city", "kind": "market1501"}, Path(), rows, ("",) * count)


def test_a_share_is_rounded_down_and_sorted() -> None:
    people = labelled_people(of_people(75), 10, seed=0)
    assert len(people) == 7
    assert list(people) == sorted(people)


def test_a_smaller_share_lies_within_a_larger_one() -> None:
    tenth, third, half = (set(labelled_people(of_people(60), p, seed=4)) for p in (10, 30, 50))
    assert tenth < third < half


def test_seeds_draw_other_people_and_the_whole_is_everybody() -> None:
    assert labelled_people(of_people(60), 30, seed=0) != labelled_people(of_people(60), 30, seed=1)
    assert labelled_people(of_people(60), 100, seed=0) == tuple(range(2, 62))


def test_less_than_one_person_is_refused() -> None:
    with pytest.raises(BadInput, match=r"1 percent of 60 training people is nobody; .* 2 percent"):
        labelled_people(of_people(60), 1, seed=0)


def test_lists_decide_where_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "used_ids_0.10.txt").write_text("9 \r\n\n3 \n")
    assert labelled_people(of_people(20), 10, 0, str(tmp_path)) == (3, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "3\n0002_c1.jpg; 0; 0 \n",
            r"line 2: a person's number wanted, '0002_c1\.jpg; 0; 0 ' found",
        ),
        (
            "3\n900\n",
            "people who are not in the training set: 900; is this the list of another set",
        ),
        ("3\n", r"2 people wanted \(10 percent of 20\), 1 found; fetch the list again"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "used_ids_0.10.txt").write_text(text)
    with pytest.raises(BadInput, match=message):
        labelled_people(of_people(20), 10, 0, str(tmp_path))


def test_a_share_without_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"one file used_\*_0\.15\.txt wanted, 0 found"):
        labelled_people(of_people(20), 15, 0, str(tmp_path))


@pytest.mark.parametrize("kind", ["msmt17", "folder", "csv"])
def test_numbers_that_were_given_while_reading_are_in_no_list(kind: str, tmp_path: Path) -> None:
    numbered = Benchmark({"name": "city", "kind": kind}, Path(), of_people(20).rows, ("",) * 20)
    (tmp_path / "used_ids_0.10.txt").write_text("9\n3\n")
    with pytest.raises(BadInput, match=rf"numbers, but those of city \(kind '{kind}'\) were given"):
        labelled_people(numbered, 10, 0, str(tmp_path))
    assert len(labelled_people(numbered, 10, 0)) == 2


IMAGES = {2: 1, 3: 4, 7: 10, 9: 5}
"""How many images each person of `of_images` has: 20 in all."""


def of_images() -> Benchmark:
    rows = [
        Row("train", f"bounding_box_train/{person:04}_c1_{n}.png", person, 1)
        for person, count in IMAGES.items()
        for n in range(count)
    ]
    rows.append(Row("query", "query/0001_c1_1.png", 1, 1))
    return Benchmark({"name": "city", "kind": "cuhk03-np"}, Path(), tuple(rows), ("",) * len(rows))


def kept(paths: tuple[str, ...]) -> dict[int, int]:
    return dict(sorted(Counter(int(path.split("/")[1][:4]) for path in paths).items()))


@pytest.mark.parametrize(
    ("percent", "level", "more"),
    [(1, 1, 0), (20, 1, 0), (35, 2, 0), (50, 3, 0), (65, 4, 0), (60, 3, 2), (75, 5, 0), (90, 8, 0)],
)
def test_everybody_keeps_as_many_images_or_one_more(percent: int, level: int, more: int) -> None:
    images = labelled_images(of_images(), percent, seed=0)
    counts, least = kept(images), {p: min(n, level) for p, n in IMAGES.items()}
    assert len(images) == max(4, 20 * percent // 100) == sum(least.values()) + more
    assert all(counts[p] in (least[p], min(n, level + 1)) for p, n in IMAGES.items())
    assert list(images) == sorted(set(images))


def test_a_smaller_share_of_images_lies_within_a_larger_one() -> None:
    shares = [set(labelled_images(of_images(), p, seed=4)) for p in (10, 30, 60, 100)]
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert shares[3] == {row.path for row in of_images().rows if row.split == "train"}


def test_seeds_draw_other_images() -> None:
    assert labelled_images(of_images(), 30, seed=0) == labelled_images(of_images(), 30, seed=0)
    assert labelled_images(of_images(), 30, seed=0) != labelled_images(of_images(), 30, seed=1)


def test_who_keeps_one_more_does_not_hang_on_how_many_there_are() -> None:
    rows = tuple(
        Row("train", f"{p}_{n}.jpg", p, 1) for p in (1, 2) for n in range(2 if p == 1 else 50)
    )
    two = Benchmark({"name": "city", "kind": "market1501"}, Path(), rows, ("",) * len(rows))
    more = [kept_one_more(labelled_images(two, 6, seed)) for seed in range(200)]
    assert 70 < sum(person == "1" for person in more) < 130


def kept_one_more(images: tuple[str, ...]) -> str:
    """Of two people with three images together, who has two."""
    assert len(images) == 3
    return Counter(path.split("_")[0] for path in images).most_common(1)[0][0]


def test_no_training_images_are_no_share() -> None:
    with pytest.raises(BadInput, match="city: no training images, so no share of them"):
        labelled_images(Benchmark({"name": "city", "kind": "folder"}, Path(), (), ()), 10, 0)


GOOD = ("0002_c1_0", "0003_c1_3", "0007_c1_9", "0009_c1_2")


def listed(folder: Path, *lines: str) -> str:
    (folder / "used_ims_0.10.txt").write_text(" \r\n".join(lines) + " \r\n\r\n")
    return str(folder)


@pytest.mark.parametrize("end", [".png", ".jpg"])
def test_lists_of_images_decide_whatever_their_ends(tmp_path: Path, end: str) -> None:
    lists = listed(tmp_path, *(f"{name}{end}; 0; 0" for name in GOOD))
    assert labelled_images(of_images(), 10, 0, lists) == tuple(
        f"bounding_box_train/{name}.png" for name in GOOD
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["0002_c1_0.png; 0; 0", "13", "0003_c1_3.png; x; 0"],
            r"lines 2, 3 are not 'name; person; camera' \(the first is '13 '\); a list of people",
        ),
        (
            ["0002_c1_0.png; 0; 0", "0044_c1_0.png; 0; 0", "0001_c1_1.png; 0; 0"],
            "2 names that are not of one training image: 0044_c1_0.png, 0001_c1_1.png; is this",
        ),
        (
            [f"{name}.png; 0; 0" for name in (*GOOD[:3], "0007_c1_1")],
            "4 images wanted, of everybody; 4 found, and none of 1 people; fetch the list again",
        ),
        (
            [f"{name}.png; 0; 0" for name in (*GOOD, "0007_c1_1")],
            "4 images wanted, of everybody; 5 found, and none of 0 people; fetch the list again",
        ),
    ],
)
def test_a_list_of_images_that_does_not_fit_is_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        labelled_images(of_images(), 10, 0, listed(tmp_path, *lines))


def test_a_list_of_images_is_said_to_be_none_of_people(tmp_path: Path) -> None:
    lists = listed(tmp_path, "0002_c1_0.png; 0; 0")
    with pytest.raises(BadInput, match=r"a list of images \(few_ims\) says no people: .* few_ids"):
        labelled_people(of_people(20), 10, 0, lists)
