"""Intervals: equal to drawing people literally, and not fooled by many pictures of few people."""

import evaluation_samples as plain
import numpy as np
import pytest

from passerby import seeds
from passerby.evaluation import intervals as intervals_module
from passerby.evaluation import verification, weights
from passerby.evaluation.intervals import Intervals, intervals
from passerby.evaluation.pairs import Pairs, checked
from passerby.evaluation.ranking import rank
from passerby.evaluation.verification import verify

FARS = (0.01, 0.1)
SEARCHED = (0.1,)
DRAWS = 40


def found(distances: np.ndarray, pairs: Pairs, draws: int = DRAWS) -> Intervals:
    ranking = rank(plain.blocks(distances), pairs)
    return intervals(
        pairs, ranking, verify(plain.blocks(distances), pairs, FARS), (1, 5), FARS, draws
    )


def without_junk(seed: int, levels: int | None = None) -> tuple[np.ndarray, Pairs]:
    distances, pairs = plain.drawn(seed, levels=levels)
    return distances[:, pairs.counting], pairs.without_junk()


def literally(distances: np.ndarray, pairs: Pairs, draws: int) -> list[list[float]]:
    """All figures of each draw, by copies of people's rows.

    mAP, rank-1, rank-5; TAR at both FARs, TAR and FAR at their thresholds; TPIR at both FPIRs.
    """
    people = np.unique([*pairs.query_people, *pairs.gallery_people[pairs.gallery_people > 0]])
    strangers = np.flatnonzero(pairs.gallery_people == 0)
    ranking = rank(plain.blocks(distances), pairs)
    genuine, impostor = plain.genuine(pairs), plain.impostor(pairs)
    measured = verify(plain.blocks(distances), pairs, FARS)
    points = [measured.true_accept_rate(far) for far in FARS]
    limits = [point[1] for point in points if point]
    rng = seeds.stream(0, "evaluation", "intervals")
    rows = []
    for _ in range(draws):
        times = dict(
            zip(people, rng.multinomial(len(people), [1 / len(people)] * len(people)), strict=True)
        )
        of_stranger = rng.multinomial(len(strangers), [1 / len(strangers)] * len(strangers))
        copies = np.array([times.get(person, 0) for person in pairs.gallery_people])
        copies[strangers] = of_stranger
        asked = np.repeat(ranking.query, [times[pairs.query_people[q]] for q in ranking.query])
        place = np.searchsorted(ranking.query, asked)
        near, far = [], []
        for q, person in enumerate(pairs.query_people):
            near += [*np.repeat(distances[q, genuine[q]], times[person])]
            each = np.repeat(distances[q, impostor[q]], copies[impostor[q]])
            far += [*np.tile(each, times[person])]
        rows.append(
            [
                ranking.average_precision[place].mean(),
                (ranking.first_rank[place] <= 1).mean(),
                (ranking.first_rank[place] <= 5).mean(),
                *(rate(np.array(near), np.sort(far), allowed) for allowed in FARS),
                *((np.array(near) <= limit).mean() for limit in limits),
                *((np.array(far) <= limit).mean() for limit in limits),
                *(searched(distances, pairs, times, allowed) for allowed in SEARCHED),
            ]
        )
    return rows


def rate(near: np.ndarray, far: np.ndarray, allowed: float) -> float:
    """TAR at the nearest distance with which too many would be accepted, exclusive."""
    return float((near < far[int(allowed * len(far) + 1e-9)]).mean())


def searched(distances: np.ndarray, pairs: Pairs, times: dict[int, int], allowed: float) -> float:
    """TPIR of copied queries in the gallery as it is, the threshold chosen among these queries."""
    genuine, impostor = plain.genuine(pairs), plain.impostor(pairs)
    asked = np.repeat(np.arange(len(distances)), [times[p] for p in pairs.query_people])
    stranger = np.sort([distances[q, impostor[q]].min() for q in asked])
    refused = stranger[int(allowed * len(stranger) + 1e-9)]
    found = []
    for q in asked:
        if genuine[q].any():
            order = np.argsort(distances[q], kind="stable")
            first = next(item for item in order if genuine[q, item] or impostor[q, item])
            match = distances[q, genuine[q]].min()
            found.append(bool(genuine[q, first]) and match < refused)
    return float(np.mean(found))


@pytest.mark.parametrize("levels", [None, 30])
def test_intervals_equal_those_of_people_copied_literally(levels: int | None) -> None:
    distances, pairs = without_junk(3, levels)
    ours = found(distances, pairs)
    low, high = np.quantile(literally(distances, pairs, DRAWS), [0.025, 0.975], axis=0)
    wanted = list(zip(low, high, strict=True))
    by_rate = (ours.tar, ours.tar_at_threshold, ours.far_at_threshold)
    spans = [ours.map, ours.cmc[1], ours.cmc[5], *(one[far] for one in by_rate for far in FARS)]
    assert ours.tpir[0.01] is None  # less than one of the 40 queries
    for span, theirs in zip([*spans, ours.tpir[0.1]], wanted, strict=True):
        assert span == pytest.approx(theirs, abs=1e-9)


def test_intervals_do_not_depend_on_how_pairs_and_draws_are_parted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distances, pairs = without_junk(8, levels=40)
    whole = found(distances, pairs)
    monkeypatch.setattr(weights, "LEAST_PART", 16)
    monkeypatch.setattr(weights, "MOST_PARTS", 10_000)
    monkeypatch.setattr(intervals_module, "MOST_DRAWS", 7)
    parted = found(distances, pairs)
    assert parted.to_dict() == whole.to_dict()


def test_at_a_given_threshold_tar_and_far_move_and_the_far_is_not_held() -> None:
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(1, 31), 3)
    look = rng.normal(size=(31, 3))[people]
    cameras = np.tile([1, 2, 3], 30)
    pairs = checked(people, people, cameras, cameras)
    features = look + 0.3 * rng.normal(size=look.shape)
    apart = np.linalg.norm(features[:, None] - features, axis=2).astype(np.float32)
    ours = found(apart, pairs, draws=300)
    low, high = ours.far_at_threshold[0.01] or (0, 0)
    assert low < 0.005
    assert high > 0.015
    anew, fixed = ours.tar[0.01], ours.tar_at_threshold[0.01]
    assert anew is not None
    assert fixed is not None
    assert anew != fixed


def test_more_pictures_of_the_same_people_do_not_narrow_them() -> None:
    rng = np.random.default_rng(0)
    people, times = 40, 5
    centres = rng.normal(size=(people, 6))
    query = centres + 0.8 * rng.normal(size=centres.shape)

    def width(copies: int) -> float:
        labels = np.tile(np.arange(1, people + 1), copies)
        apart = np.linalg.norm(
            np.tile(query, (copies, 1))[:, None] - np.tile(centres, (copies, 1)), axis=2
        )
        pairs = checked(labels, labels, np.full(len(labels), 1), np.full(len(labels), 2))
        span = found(apart.astype(np.float32), pairs, draws=200).tar[0.01]
        assert span is not None
        return span[1] - span[0]

    assert width(1) > 0.1
    assert width(times) == pytest.approx(width(1), rel=0.02)


def test_the_figure_lies_within_and_a_rate_that_cannot_be_measured_has_none() -> None:
    distances, pairs = without_junk(5)
    measured = verify(plain.blocks(distances), pairs, FARS)
    ranking = rank(plain.blocks(distances), pairs)
    ours = intervals(pairs, ranking, measured, (1,), (1e-9, 0.1), 100)
    assert ours.map[0] < ranking.average_precision.mean() < ours.map[1]
    point = measured.true_accept_rate(0.1)
    span = ours.tar[0.1]
    assert point is not None
    assert span is not None
    assert span[0] <= point[0] <= span[1]
    assert ours.tar[1e-9] is None
    told = ours.to_dict()
    assert told["tar_at_far"] == {"1e-09": None, "0.1": span}
    for name in ("tar_at_threshold", "far_at_threshold", "tpir_at_fpir"):
        assert told[name]["1e-09"] is None
        assert told[name]["0.1"] is not None


def test_too_few_kept_pairs_give_no_rate_that_is_too_high(monkeypatch: pytest.MonkeyPatch) -> None:
    distances, pairs = without_junk(6)
    exact = found(distances, pairs).tar[0.1]
    monkeypatch.setattr(verification, "KEPT_AT_LEAST", 1)
    monkeypatch.setattr(verification, "MARGIN", 1.01)
    few = found(distances, pairs).tar[0.1]
    assert exact is not None
    assert few is not None
    assert few[0] <= exact[0]
    assert few[1] <= exact[1]


@pytest.mark.parametrize("people", range(2, 20))
def test_where_one_person_alone_has_a_match_draws_without_that_person_are_drawn_again(
    people: int,
) -> None:
    of_query, of_gallery = np.arange(1, people + 1), np.arange(people + 1)
    of_gallery[1:-1] = people + 1
    of_gallery[-1] = 1
    pairs = checked(of_query, of_gallery, np.ones(people, int), np.full(people + 1, 2))
    distances = np.arange(1.0, pairs.query_people.size * len(of_gallery) + 1, dtype=np.float32)
    spread = found(distances.reshape(people, -1), pairs, draws=1)
    assert spread.draws == 1
    assert spread.map[0] == spread.map[1] == pytest.approx(1 / (people + 1))


@pytest.mark.parametrize("people", range(2, 5))
def test_draws_of_one_person_alone_have_no_impostors_and_are_drawn_again(people: int) -> None:
    person = np.arange(1, people + 1)
    pairs = checked(person, person, np.ones(people, int), np.full(people, 2))
    # Everybody looks like somebody else: the only TAR is 0, and the only FAR of all distances 1.
    distances = np.where(np.eye(people, dtype=bool), 2.0, 1.0).astype(np.float32)
    ranking, measured = (
        rank(plain.blocks(distances), pairs),
        verify(plain.blocks(distances), pairs, ()),
    )
    assert intervals(pairs, ranking, measured, (1,), (0.99,), 200).tar[0.99] == (0.0, 0.0)
    units = weights.Units.of(pairs)
    drawn = np.concatenate([*intervals_module.drawn_weights(pairs, ranking, 200, 1)])
    assert (units.pairs(drawn) > 0).all()
