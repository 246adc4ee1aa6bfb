"""The steps of `gpu.py`: what each costs and needs, and which of them fit into the time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from passerby.errors import BadInput, nearest

ENDING_S = 10.0
"""Seconds that are kept free for the table at the end."""
SPARE_S = 10.0
"""Between the duration that a flexible step aims at and its time limit."""

PARTS = {
    "train": ("bounding_box_train", "market1501-train.tar.xz"),
    "query": ("query", "market1501-query.tar.xz"),
    "gallery": ("bounding_box_test", "market1501-gallery.tar.xz"),
}
"""Parts of Market-1501: the folder of each, and the name of its archive."""


@dataclass(frozen=True)
class Step:
    """One step, which runs in a process of its own.

    Attributes:
        name: Its name on the command line and in the results.
        what: What it measures, in one line.
        module: The module whose function `name` does it.
        cost_s: Estimated duration on a GPU; those of `machine` to `pretrain` follow measurements.
        limit_s: It is killed when it has taken this long.
        quick_s: Estimated duration of a quick run on a CPU.
        least_s: Shortest duration that is of use, for a step that measures as much as it has time
            for; `None` for the others.
        needs: Parts of Market-1501 that it needs.
        open_ended: Whether it uses all the time that is left.
    """

    name: str
    what: str
    module: str
    cost_s: float
    limit_s: float
    quick_s: float
    needs: tuple[str, ...] = ()
    open_ended: bool = False
    least_s: float | None = None

    def cost(self, quick: bool) -> float:
        """Estimated duration in seconds."""
        return self.quick_s if quick else self.cost_s

    def least(self, quick: bool) -> float:
        """The step is left out if fewer seconds than these are left."""
        return self.cost(quick) if quick or self.least_s is None else self.least_s

    def limit(self, quick: bool) -> float:
        """Time limit in seconds; a quick run has a generous one, since CPUs are often busy."""
        return max(120.0, 20 * self.quick_s) if quick else self.limit_s


STEPS = (
    Step("machine", "versions; how fast the card copies and multiplies", "_gpu_card", 15, 60, 4),
    Step("tests", "the tests that need a GPU", "_gpu_tests", 150, 300, 10),
    Step("syncs", "where a step makes the host wait for the GPU", "_gpu_step", 30, 90, 5),
    Step(
        "speeds",
        "pairs per second of passerby's pretraining",
        "_gpu_speeds",
        90,
        240,
        12,
        least_s=50,
    ),
    Step("profile", "the kernels of a training step", "_gpu_step", 30, 90, 6),
    Step("views", "views by passerby's kernels and by torch's operations", "_gpu_step", 30, 90, 5),
    Step(
        "pretrain",
        "pretraining by torchrun: stopped, resumed, mined",
        "_gpu_chain",
        240,
        400,
        35,
        ("train",),
    ),
    Step("finetune", "finetuning twice with few labels", "_gpu_chain", 60, 180, 15, ("train",)),
    Step(
        "evaluate",
        "scores, and features compared with those of the CPU",
        "_gpu_evaluate",
        60,
        180,
        10,
        ("query", "gallery"),
    ),
    Step("rival", "pretraining compared with the published way", "_gpu_speeds", 110, 240, 12),
    Step("compiled", "pretraining with torch.compile and without", "_gpu_speeds", 110, 300, 4),
    Step(
        "longer",
        "pretraining for all the time that is left",
        "_gpu_chain",
        60,
        3600,
        15,
        ("train",),
        open_ended=True,
    ),
)
"""In the order in which they run: the most important first."""


def chosen(only: str) -> list[Step]:
    """The steps that a comma-separated list names, in the order of `STEPS`; by default all.

    Raises:
        BadInput: a name that no step has.

    Example:
        >>> [step.name for step in chosen("views, machine")]
        ['machine', 'views']
    """
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = [step.name for step in STEPS]
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            raise BadInput(f"--only: no step is called '{name}'{hint}; known: {', '.join(known)}")
    return [step for step in STEPS if not names or step.name in names]


def obstacle(step: Step, left_s: float, parts: Collection[str], quick: bool) -> str:
    """Why a step cannot run now; an empty text if it can.

    Args:
        step: The step.
        left_s: Seconds that are left for this and all later steps.
        parts: Parts of Market-1501 that are there.
        quick: Whether this is a quick run.

    Example:
        >>> obstacle(chosen("views")[0], 25, [], quick=False)
        'needs about 30 s, and 15 s are left'
    """
    missing = [part for part in step.needs if part not in parts]
    if missing:
        wanted = " and ".join("{} ({})".format(*PARTS[part]) for part in missing)
        return f"Market-1501 lacks {wanted}"
    usable_s = max(left_s - ENDING_S, 0)
    if step.least(quick) > usable_s:
        return f"needs about {step.least(quick):.0f} s, and {usable_s:.0f} s are left"
    return ""


def seconds(step: Step, left_s: float, quick: bool) -> tuple[float, float]:
    """The duration that a step shall aim at, and its time limit, in seconds.

    Args:
        step: The step.
        left_s: Seconds that are left for this and all later steps.
        quick: Whether this is a quick run.

    Example:
        >>> seconds(chosen("views")[0], 200, quick=False)
        (30, 90)
        >>> seconds(chosen("speeds")[0], 75, quick=False)
        (55.0, 65.0)
        >>> seconds(chosen("longer")[0], 200, quick=False)
        (160.0, 190.0)
    """
    usable_s = left_s - ENDING_S
    if step.open_ended and not quick:
        # A run that is asked to stop needs time for its last steps and its checkpoint.
        return max(usable_s - 30, step.cost_s / 2), usable_s
    aim_s = step.cost(quick)
    if step.least_s is not None:
        aim_s = min(aim_s, usable_s - SPARE_S)
    return aim_s, min(step.limit(quick), usable_s)


def listing(steps: Sequence[Step]) -> str:
    """The steps as a table of plain text."""
    lines = [f"{'step':<10}{'about s':>8}{'limit s':>9}{'quick s':>9}  what it measures"]
    for step in steps:
        needs = f" (of Market-1501: {', '.join(step.needs)})" if step.needs else ""
        costs = f"{step.cost_s:>8.0f}{step.limit_s:>9.0f}{step.quick_s:>9.0f}"
        lines.append(f"{step.name:<10}{costs}  {step.what}{needs}")
    return "\n".join(lines)
