"""What the first sentences say of gains, losses and ties."""

from collections.abc import Callable
from pathlib import Path

import pytest

from passerby.report import headline, outcomes, rows
from passerby.settings import Params

Make = Callable[..., tuple[Params, Path]]


def said(params: Params, data: Path) -> list[str]:
    table = rows.rows(outcomes.read(data / "results", params.branches), params)
    return headline.sentences(rows.gains(table, params), params)


def maps(main: float, unseen: float) -> Callable[..., float]:
    """Moco's gain on both sets over a random start's 20 %."""

    def of(init: str, percent: int | None, seed: int | None, set_name: str) -> float:
        gain = main if set_name == "city-market1501" else unseen
        return 0.2 + (gain if init == "moco" else 0)

    return of


@pytest.mark.parametrize(
    ("main", "unseen", "begins"),
    [
        (0.041, 0.019, "Pretraining helped (moco): +4.1 mAP over random on city-market1501 and "
         "+1.9 mAP on city-cuhk03 (never seen in training); one training seed"),
        (-0.02, -0.01, "Pretraining hurt (moco): −2.0 mAP over random on city-market1501 and −1.0"),
        (0.02, -0.01, "Pretraining helped on city-market1501 only (moco): +2.0 mAP"),
        (-0.02, 0.01, "Pretraining helped on city-cuhk03 only (moco): −2.0 mAP"),
        (0.0, 0.0, "Pretraining made no difference (moco): ±0.0 mAP"),
        (0.0004, -0.0004, "Pretraining made no difference (moco): ±0.0 mAP"),
        (0.0, -0.01, "Pretraining hurt (moco): ±0.0 mAP"),
    ],
)  # fmt: skip
def test_gains_losses_and_ties_are_named(
    make: Make, main: float, unseen: float, begins: str
) -> None:
    first, *others = said(*make(maps(main, unseen)))
    assert first.startswith(begins)
    assert others == []


def test_seeds_are_pooled_and_those_above_are_counted(make: Make) -> None:
    def of(init: str, percent: int | None, seed: int | None, set_name: str) -> float:
        return 0.2 + ((0.03 * (seed or 0) - 0.01) if init == "moco" else 0)

    (first,) = said(*make(of, seeds=[0, 1, 2]))
    assert first == (
        "Pretraining helped (moco): +2.0 mAP over random on city-market1501 and +2.0 mAP on "
        "city-cuhk03 (never seen in training); mean of 3 seeds (from seed to seed −1.0 to +5.0, "
        "−1.0 to +5.0), 2 of 3 gain on both."
    )


def test_several_arms_and_percents_begin_with_one_verdict(several: tuple[Params, Path]) -> None:
    sentences = said(*several)
    assert sentences[0] == (
        "Pretraining helped in part: 6 of 12 gains in mAP over the same start without pretraining "
        "are above zero (−2.0 to +6.0 points)."
    )
    assert len(sentences) == 5
    assert sentences[1].startswith("Pretraining helped (moco): +6.0 mAP over random on city-market")
    assert (
        "+6.0 mAP on city-cuhk01 (never seen in training) and +6.0 mAP on city-cuhk03"
        in (sentences[1])
    )
    assert sentences[1].endswith("3 of 3 gain on all 3.")
    assert sentences[2].startswith("Pretraining helped (moco, 10 % of the labels): +0.6 mAP")
    assert sentences[3].startswith("Pretraining hurt (part-moco): −2.0 mAP over part on")


@pytest.mark.parametrize(
    ("gain", "begins"),
    [
        (0.02, "Pretraining helped everywhere: all 4 gains"),
        (-0.02, "Pretraining did not help: none of 4 gains"),
        (0.0, "Pretraining made no difference: none of 4 gains"),
    ],
)
def test_the_verdict_on_all_gains(make: Make, gain: float, begins: str) -> None:
    assert said(*make(maps(gain, gain), percents=[10, 100]))[0].startswith(begins)


def test_without_a_pretrained_start_it_is_said(make: Make) -> None:
    assert said(*make(inits=["random"])) == [headline.NO_ARM]


def test_an_arm_whose_start_was_not_finetuned_has_no_gain(make: Make) -> None:
    assert said(*make(inits=["moco"])) == [
        "Whether pretraining helped was not measured for moco: its start random was not finetuned."
    ]


def test_a_set_among_the_unlabelled_crops_is_not_called_unseen(make: Make) -> None:
    (first,) = said(*make(maps(0.1, 0.1), sections={"crops": {"benchmarks": ["city-cuhk03"]}}))
    assert "never seen" not in first
