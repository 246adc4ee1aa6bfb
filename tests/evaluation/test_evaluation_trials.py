"""Trials of CUHK03's classic protocol and of CUHK01: who is asked for, who is searched in."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.evaluation import classic_cuhk03, cuhk01, draw_test_sets
from passerby.evaluation.trials import Trials

PEOPLE = np.repeat(np.arange(1, 31), 7)
VIEWS = np.tile([1, 1, 1, 2, 2, 2, 2], 30)
TEST_SETS = ((3, 5, 8), (5, 21), tuple(range(1, 31)))


def digest(trials: Trials) -> str:
    drawn = hashlib.sha256()
    for trial in trials.trials:
        drawn.update(trial.query.astype("<i8").tobytes() + b"|")
        drawn.update(trial.gallery.astype("<i8").tobytes() + b"|")
    return drawn.hexdigest()[:16]


def of(people: tuple[int, ...], view: int) -> list[int]:
    """Places of their pictures of one view, by a loop over all."""
    return [
        place
        for place, (person, which) in enumerate(zip(PEOPLE, VIEWS, strict=True))
        if person in people and which == view
    ]


def test_classic_asks_for_every_picture_of_view_1_in_one_each_of_view_2() -> None:
    trials = classic_cuhk03(PEOPLE, VIEWS, TEST_SETS, repeats=4).trials
    assert len(trials) == 3 * 4
    for number, trial in enumerate(trials):
        people = TEST_SETS[number // 4]
        assert trial.query.tolist() == of(people, 1)
        assert set(trial.gallery.tolist()) <= set(of(people, 2))
        assert PEOPLE[trial.gallery].tolist() == list(people)


def test_every_picture_of_view_2_is_drawn_about_as_often() -> None:
    trials = classic_cuhk03(PEOPLE, VIEWS, [(1, 2)], repeats=2_000).trials
    drawn = Counter(place for trial in trials for place in trial.gallery.tolist())
    assert set(drawn) == set(of((1, 2), 2))
    assert all(abs(times - 500) < 5 * np.sqrt(500 * 0.75) for times in drawn.values())


def test_a_draw_hangs_on_its_split_and_its_number_alone() -> None:
    few = classic_cuhk03(PEOPLE, VIEWS, TEST_SETS[:2], repeats=2).trials
    more = classic_cuhk03(PEOPLE, VIEWS, TEST_SETS, repeats=5).trials
    for split, repeat in np.ndindex(2, 2):
        assert few[2 * split + repeat].gallery.tolist() == more[5 * split + repeat].gallery.tolist()


def test_another_seed_draws_other_galleries_of_the_same_people() -> None:
    first, second = (classic_cuhk03(PEOPLE, VIEWS, TEST_SETS, seed=seed) for seed in (0, 1))
    assert digest(first) != digest(second)
    assert digest(first) == digest(classic_cuhk03(PEOPLE, VIEWS, TEST_SETS))
    assert [t.query.tolist() for t in first.trials] == [t.query.tolist() for t in second.trials]


def test_somebody_of_one_view_is_on_one_side_only() -> None:
    (trial,) = classic_cuhk03([1, 2, 2, 3], [1, 1, 2, 2], [(1, 2, 3)], repeats=1).trials
    assert (trial.query.tolist(), trial.gallery.tolist()) == ([0, 1], [2, 3])


def test_cuhk01_goes_both_ways_in_each_split() -> None:
    trials = cuhk01(PEOPLE, VIEWS, TEST_SETS).trials
    assert len(trials) == 3 * 2
    for number, trial in enumerate(trials):
        views = (1, 2) if number % 2 == 0 else (2, 1)
        people = TEST_SETS[number // 2]
        sides = [trial.query.tolist(), trial.gallery.tolist()]
        assert sides == [of(people, view) for view in views]


def test_cuhk01_single_shot_searches_in_one_picture_each() -> None:
    multi, single = (
        cuhk01(PEOPLE, VIEWS, TEST_SETS, shots).trials for shots in ("multi", "single")
    )
    for number, (all_of_it, one_each) in enumerate(zip(multi, single, strict=True)):
        assert one_each.query.tolist() == all_of_it.query.tolist()
        assert set(one_each.gallery.tolist()) <= set(all_of_it.gallery.tolist())
        assert PEOPLE[one_each.gallery].tolist() == list(TEST_SETS[number // 2])


def test_the_protocols_say_their_rules() -> None:
    made = [
        classic_cuhk03(PEOPLE, VIEWS, TEST_SETS),
        *(cuhk01(PEOPLE, VIEWS, TEST_SETS, shots) for shots in ("multi", "single")),
    ]
    assert [(trials.protocol, trials.rules) for trials in made] == [
        (
            "cuhk03-classic",
            "3 test sets; queries of view 1, gallery of one picture each of view 2, drawn 10 times",
        ),
        ("cuhk01-multi-shot", "3 splits; queries of one view, gallery of the other, both ways"),
        (
            "cuhk01-single-shot",
            "3 splits; queries of one view, gallery of the other, both ways, one picture each, "
            "drawn",
        ),
    ]


@pytest.mark.parametrize("test_sets", [[(1, 2, 3)] * 3, [(1, 2, 3), (3, 2, 1)], [(1, 2, 3)]])
def test_trials_of_the_same_people_say_what_their_deviation_is_of(test_sets) -> None:
    rules = [
        classic_cuhk03(PEOPLE, VIEWS, test_sets).rules,
        *(cuhk01(PEOPLE, VIEWS, test_sets, shots).rules for shots in ("multi", "single")),
    ]
    same = "; all are of the same 3 people: the deviation is of"
    assert [rule.partition(same)[2] for rule in rules] == [
        " the gallery's draws only",
        " the two ways only",
        " the two ways and the gallery's draws only",
    ]
    assert "deviation" not in classic_cuhk03(PEOPLE, VIEWS, [(1, 2)], repeats=1).rules


def test_trials_of_nearly_the_same_people_say_how_many_are_the_same() -> None:
    people, views = np.repeat(np.arange(1, 131), 2), np.tile([1, 2], 130)
    for size, said in ((129, " 99% of their people in"), (110, " 8"), (90, ""), (40, "")):
        rules = classic_cuhk03(people, views, draw_test_sets(people, views, 20, size)).rules
        assert ("; two test sets have" + said in rules) == bool(said)
        assert ("the deviation says little of other people" in rules) == bool(said)


def test_test_sets_are_drawn_of_people_seen_in_both_views() -> None:
    people, views = [*PEOPLE, 31, 32], [*VIEWS, 1, 2]
    drawn = draw_test_sets(people, views, splits=50, size=10, seed=3)
    assert len(set(drawn)) == 50
    assert {person for chosen in drawn for person in chosen} == set(range(1, 31))
    assert all(len(set(chosen)) == 10 and list(chosen) == sorted(chosen) for chosen in drawn)
    assert draw_test_sets(people, views, splits=2, size=10, seed=3) == drawn[:2]
    assert draw_test_sets(people, views, splits=2, size=10, seed=4) != drawn[:2]


def test_all_draws_are_the_same_on_every_machine() -> None:
    drawn = draw_test_sets(PEOPLE, VIEWS, splits=4, size=20)
    assert digest(classic_cuhk03(PEOPLE, VIEWS, drawn, repeats=3)) == "12dfbb0091e6eaee"
    assert digest(cuhk01(PEOPLE, VIEWS, drawn, "single")) == "bde006a0d317ab37"


@pytest.mark.parametrize(
    ("people", "views", "test_sets", "message"),
    [
        ([1, 1], [1], [(1,)], "2 people, but 1 views; one of each wanted"),
        ([1.0, 1.0], [1, 2], [(1,)], r"people: float64 of shape \(2,\) found, whole numbers"),
        ([1, 1], [[1], [2]], [(1,)], r"views: int64 of shape \(2, 1\) found, whole numbers"),
        ([1, 1], [0, 1], [(1,)], "views: 0 found; a picture is of view 1 or 2"),
        ([1, 1], [1, 2], [], r"test_sets: \[\] people found; some in each wanted"),
        ([1, 1], [1, 2], [(1,), ()], r"test_sets: \[1, 0\] people found; some in each wanted"),
        (
            [1, 1],
            [1, 2],
            [(1, 7), (1, 9)],
            "people: no picture of 2 of the 3 people who test: 7, 9",
        ),
    ],
)
@pytest.mark.parametrize("protocol", [classic_cuhk03, cuhk01])
def test_labels_that_do_not_fit_are_refused(
    protocol, people: list, views: list, test_sets: list, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        protocol(people, views, test_sets)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: classic_cuhk03(PEOPLE, VIEWS, TEST_SETS, repeats=0),
            "repeats: 0 found; each test set wants a gallery, at least",
        ),
        (
            lambda: cuhk01(PEOPLE, VIEWS, TEST_SETS, shots="some"),
            "shots: 'some' found, one of single, multi wanted",
        ),
        (
            lambda: draw_test_sets(PEOPLE, VIEWS, size=31),
            "20 test sets of 31 people asked for; 30 are seen in both views",
        ),
        (lambda: draw_test_sets(PEOPLE, VIEWS, size=0), "20 test sets of 0 people asked for"),
        (lambda: draw_test_sets(PEOPLE, VIEWS, 0, 5), "0 test sets of 5 people asked for"),
        (lambda: draw_test_sets(PEOPLE, VIEWS[:-1]), "210 people, but 209 views"),
    ],
    ids=["no gallery", "shots", "too many people", "nobody", "no set", "labels"],
)
def test_draws_that_cannot_be_are_refused(draw, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        draw()
