"""Protocols whose figure is a mean over repeated trials: CUHK03's classic one, and CUHK01's.

Features of all test pictures are computed once; a trial is which of them are asked for and which
are searched in. Each draw has a random stream of its own, named by its split and its number, so a
trial can be drawn again without those before it. `repeated.evaluate_trials` evaluates them.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from passerby import seeds
from passerby.errors import BadInput, listing

VIEWS = (1, 2)
MOSTLY_SHARED = 0.75
"""Share of their people that two test sets have in common, above which it is said. Of CUHK01's
published splits it is a half."""
Shots = Literal["single", "multi"]
Labels = Sequence[int] | np.ndarray
TestSets = Sequence[Collection[int]]
"""Numbers of the people who test, of each split."""


@dataclass(frozen=True)
class Trial:
    """Places in a list of pictures, from 0."""

    query: np.ndarray
    """`int64 (Q,)`."""
    gallery: np.ndarray
    """`int64 (G,)`."""


@dataclass(frozen=True)
class Trials:
    """The trials of one protocol."""

    protocol: str
    rules: str
    """The rules in one sentence, for people."""
    trials: tuple[Trial, ...]


def draw_test_sets(
    people: Labels, views: Labels, splits: int = 20, size: int = 100, seed: int = 0
) -> tuple[tuple[int, ...], ...]:
    """Test people of a set that was published without test sets, or of a part of CUHK03.

    Args:
        people: `(N,)`, of each picture.
        views: `(N,)`, 1 or 2.
        splits: How many test sets.
        size: How many people in each, of those who are seen in both views.
        seed: Draws them.

    Raises:
        BadInput: labels that are not one of each for each picture; too few people.
    """
    person, view = _labels(people, views)
    known = np.intersect1d(*(person[view == which] for which in VIEWS))
    if not 1 <= size <= len(known) or splits < 1:
        raise BadInput(
            f"{splits} test sets of {size} people asked for; {len(known):,} are seen in both views"
        )
    drawn = [
        seeds.stream(seed, "test set", split).permutation(known)[:size] for split in range(splits)
    ]
    return tuple(tuple(sorted(chosen.tolist())) for chosen in drawn)


def classic_cuhk03(
    people: Labels, views: Labels, test_sets: TestSets, repeats: int = 10, seed: int = 0
) -> Trials:
    """CUHK03's classic protocol (Li et al., "DeepReID", CVPR 2014): a gallery of one picture each.

    Of each test set every picture of view 1 is a query, and one picture of view 2 of each person,
    drawn anew `repeats` times, is the gallery. (torchreid and fast-reid have all pictures of both
    views on both sides, and draw a gallery for each query.) Somebody without a picture of view 2,
    as one person of the labeled set is without one of view 1, is not searched in, and the queries
    of that person are left out as queries without a match.

    Args:
        people: `(N,)`, of each picture; a part of all, but for the people of the test sets whole.
        views: `(N,)`, 1 or 2.
        test_sets: The published twenty (`datasets.cuhk03_testsets.read`), or `draw_test_sets`.
        repeats: Galleries of each test set.
        seed: Draws them.

    Raises:
        BadInput: labels that are not one of each for each picture, or test sets that they do not
            cover; no gallery asked for.

    Example:
        >>> drawn = classic_cuhk03([1, 1, 1, 2, 2], [1, 2, 2, 1, 2], [(1, 2)], repeats=2)
        >>> [trial.query.tolist() for trial in drawn.trials]
        [[0, 3], [0, 3]]
        >>> [len(trial.gallery) for trial in drawn.trials]
        [2, 2]
    """
    if repeats < 1:
        raise BadInput(f"repeats: {repeats} found; each test set wants a gallery, at least")
    person, view = _covered(people, views, test_sets)
    trials = []
    for split, chosen in enumerate(test_sets):
        query, gallery = _of(person, view, chosen)
        for repeat in range(repeats):
            rng = seeds.stream(seed, "classic cuhk03", split, repeat)
            trials.append(Trial(query, _one_of_each(gallery, person, rng)))
    return Trials(
        "cuhk03-classic",
        f"{len(test_sets)} test sets; queries of view 1, gallery of one picture each of view 2, "
        f"drawn {repeats} times" + _same_people(test_sets, trials, "the gallery's draws"),
        tuple(trials),
    )


def cuhk01(
    people: Labels, views: Labels, test_sets: TestSets, shots: Shots = "multi", seed: int = 0
) -> Trials:
    """CUHK01: from view 1 to view 2 and back, of each split a trial each way.

    Args:
        people: `(N,)`, of each picture; a part of all, but for the people of the test sets whole.
        views: `(N,)`, 1 or 2.
        test_sets: Usually the ten of 486 people (`datasets.cuhk01.splits`).
        shots: `multi`: every picture of the other view is searched in; `single`: one of each
            person, drawn.
        seed: Draws it.

    Raises:
        BadInput: labels that are not one of each for each picture, or test sets that they do not
            cover; other shots.
    """
    if shots not in get_args(Shots):
        raise BadInput(f"shots: '{shots}' found, one of {', '.join(get_args(Shots))} wanted")
    person, view = _covered(people, views, test_sets)
    trials = []
    for split, chosen in enumerate(test_sets):
        sides = _of(person, view, chosen)
        for asked, (query, gallery) in zip(VIEWS, (sides, sides[::-1]), strict=True):
            if shots == "single":
                rng = seeds.stream(seed, "cuhk01", "gallery", split, asked)
                gallery = _one_of_each(gallery, person, rng)
            trials.append(Trial(query, gallery))
    return Trials(
        f"cuhk01-{shots}-shot",
        f"{len(test_sets)} splits; queries of one view, gallery of the other, both ways"
        + (", one picture each, drawn" if shots == "single" else "")
        + _same_people(
            test_sets, trials, "the two ways" + " and the gallery's draws" * (shots == "single")
        ),
        tuple(trials),
    )


def _same_people(test_sets: TestSets, trials: Sequence[Trial], cause: str) -> str:
    """What the rules add where all trials are of the same people: `cause` alone makes them differ.

    A deviation over such trials tells nothing of other people, and little where nearly all people
    are the same.
    """
    first, *others = [frozenset(chosen) for chosen in test_sets]
    if len(trials) == 1:
        return ""
    if all(other == first for other in others):
        return f"; all are of the same {len(first):,} people: the deviation is of {cause} only"
    times = np.array(list(Counter(one for chosen in test_sets for one in set(chosen)).values()))
    shared = (times * (times - 1)).sum() / (times.sum() * (len(test_sets) - 1))
    if shared <= MOSTLY_SHARED:
        return ""
    return (
        f"; two test sets have {shared:.0%} of their people in common: the deviation says little "
        "of other people"
    )


def _of(person: np.ndarray, view: np.ndarray, chosen: Collection[int]) -> tuple[np.ndarray, ...]:
    """Places of the pictures of these people, of view 1 and of view 2."""
    theirs = np.isin(person, list(chosen))
    return tuple(np.flatnonzero(theirs & (view == which)) for which in VIEWS)


def _one_of_each(places: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One place of each person, drawn; sorted by person."""
    ordered = places[np.argsort(person[places], kind="stable")]
    _, first, number = np.unique(person[ordered], return_index=True, return_counts=True)
    return ordered[first + rng.integers(0, number)]


def _labels(people: Labels, views: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Labels that were looked at."""
    person, view = np.asarray(people), np.asarray(views)
    for name, column in (("people", person), ("views", view)):
        if column.ndim != 1 or column.dtype.kind not in "iu":
            raise BadInput(
                f"{name}: {column.dtype} of shape {column.shape} found, "
                "whole numbers in one dimension wanted"
            )
    if len(person) != len(view):
        raise BadInput(f"{len(person):,} people, but {len(view):,} views; one of each wanted")
    other = np.setdiff1d(view, VIEWS)
    if len(other):
        raise BadInput(f"views: {listing(list(other))} found; a picture is of view 1 or 2")
    return person, view


def _covered(people: Labels, views: Labels, test_sets: TestSets) -> tuple[np.ndarray, np.ndarray]:
    """The labels, if there are pictures of everybody who tests."""
    person, view = _labels(people, views)
    if not len(test_sets) or not all(map(len, test_sets)):
        raise BadInput(f"test_sets: {list(map(len, test_sets))} people found; some in each wanted")
    tested = {int(one) for chosen in test_sets for one in chosen}
    missing = sorted(tested.difference(person.tolist()))
    if missing:
        raise BadInput(
            f"people: no picture of {len(missing):,} of the {len(tested):,} people who test: "
            f"{listing(missing)}; give all pictures of the set, or draw test sets of a part"
        )
    return person, view
