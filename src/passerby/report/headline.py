"""The sentences that say whether pretraining helped, computed from the numbers."""

from collections.abc import Sequence
from itertools import groupby

from passerby.report.rows import Gain
from passerby.settings import Params

NO_ARM = "Whether pretraining helps was not measured: no pretrained start was finetuned."
NO_RIVAL = (
    "Whether pretraining helped was not measured for {arm}: its start {start} was not finetuned."
)


def sentences(found: Sequence[Gain], params: Params) -> list[str]:
    """The verdict on all gains, then a sentence for each pretrained start, recipe and percent.

    Where there is only one of those, its sentence is the verdict.
    """
    arms = [init for init in params.branches.inits if init in params.arms]
    if not arms:
        return [NO_ARM]
    alike = groupby(found, key=lambda gain: (gain.arm, gain.recipe, gain.percent))
    groups = [list(group) for _, group in alike]
    alone = [arm for arm in arms if arm not in {gain.arm for gain in found}]
    return [
        *([_overall(found)] if len(groups) > 1 else []),
        *(_sentence(group, params) for group in groups),
        *(NO_RIVAL.format(arm=arm, start=params.arms[arm].start) for arm in alone),
    ]


def _overall(found: Sequence[Gain]) -> str:
    """What all gains together say."""
    points = [gain.points for gain in found]
    above = sum(value > 0 for value in points)
    if above == len(found):
        verdict, count = "Pretraining helped everywhere", "all"
    elif above:
        verdict, count = "Pretraining helped in part", f"{above} of"
    elif min(points) < 0:
        verdict, count = "Pretraining did not help", "none of"
    else:
        verdict, count = "Pretraining made no difference", "none of"
    span = f"{signed(min(points))} to {signed(max(points))}"
    return (
        f"{verdict}: {count} {len(found)} gains in mAP over the same start without pretraining "
        f"are above zero ({span} points)."
    )


def signed(points: float) -> str:
    """Percent points with their sign.

    Example:
        >>> signed(4.13), signed(-0.5), signed(0.0)
        ('+4.1', '−0.5', '±0.0')
    """
    rounded = round(points, 1)
    if rounded == 0:
        return "±0.0"
    return f"{rounded:+.1f}".replace("-", "−")


def _sentence(group: Sequence[Gain], params: Params) -> str:
    first = group[0]
    recipe = f", {first.recipe}" if len(params.branches.recipes) > 1 else ""
    labels = f", {first.percent} % of the labels" if first.percent < 100 else ""
    parts = [
        f"{signed(gain.points)} mAP{f' over {gain.start}' if gain is first else ''} on {gain.set}"
        f"{' (never seen in training)' if never_seen(gain.set, params) else ''}"
        for gain in group
    ]
    return f"{_verdict(group)} ({first.arm}{recipe}{labels}): {_joined(parts)}; {_seeds(group)}."


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _verdict(group: Sequence[Gain]) -> str:
    """What the mean gains say; a mean that is shown as 0.0 is no gain."""
    better = [gain.set for gain in group if gain.points > 0]
    worse = [gain.set for gain in group if gain.points < 0]
    if len(better) == len(group):
        return "Pretraining helped"
    if better:
        return f"Pretraining helped on {_joined(better)} only"
    return "Pretraining hurt" if worse else "Pretraining made no difference"


def _seeds(group: Sequence[Gain]) -> str:
    """How many seeds the means are of, and whether the seeds agree."""
    count = len(group[0].values)
    if count == 1:
        return "one training seed, so the spread is not measured"
    spans = ", ".join(
        f"{signed(100 * min(gain.values))} to {signed(100 * max(gain.values))}" for gain in group
    )
    above = sum(all(gain.values[seed] > 0 for gain in group) for seed in range(count))
    where = {1: "there", 2: "on both"}.get(len(group), f"on all {len(group)}")
    return f"mean of {count} seeds (from seed to seed {spans}), {above} of {count} gain {where}"


def never_seen(set_name: str, params: Params) -> bool:
    """Whether a set took part in no training: not finetuned on, not among the unlabelled crops."""
    return set_name != params.finetune.benchmark and set_name not in params.crops.benchmarks
