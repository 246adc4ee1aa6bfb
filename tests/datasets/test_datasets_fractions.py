"""Shares of labelled people: nested draws, LUPerson's lists, and lists that do not fit."""

from pathlib import Path

import pytest

from passerby.datasets.fractions import labelled_people
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
