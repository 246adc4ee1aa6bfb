"""Cross-validation of a recipe: each part of the labelled people held out in turn.

How to finetune is chosen by it, inside the labels that are there: no test set takes part, and no
label beyond the share that the comparison allows itself.
"""

from pathlib import Path

from passerby import files, sealed
from passerby.finetune import run
from passerby.finetune.job import Job
from passerby.sealed import Damaged
from passerby.training import checkpoint

COLUMNS = ("fold", "people", "held_out", "iteration", "map", "rank_1")
AT_THE_END = 10**9
"""Epochs between two scores: only the last weights are scored."""


def crossvalidate(job: Job, folds: int, out: str | Path, quiet: bool = False) -> None:
    """Finetune once for each fold, and write what the people held out said of it.

    Args:
        job: The finetuning; what its plan says of validation is replaced.
        folds: Parts that the labelled people are dealt into.
        out: The table, a row a fold: mAP and rank-1 in [0, 1].
        quiet: Whether to show no progress.

    Raises:
        BadInput: as `run.finetune`.
        Stopped: SIGTERM came; folds that are done are kept.
    """
    lines = ["\t".join(COLUMNS)]
    contract = {**job.contract_of_run(), "folds": folds}
    with files.scratch(job.name, contract) as folder:
        checkpoint.begin(folder, contract)
        for fold in range(folds):
            held = _of_fold(job, folds, fold)
            kept = folder / f"fold-{fold}.json"
            scores = _kept(kept, job.name)
            if scores is None:
                run.finetune(held, folder / f"fold-{fold}", quiet)
                scores = (folder / f"fold-{fold}" / run.VALIDATION).read_text().splitlines()[-1]
                sealed.write_json(kept, scores)
            counts = f"{fold}\t{len(held.people)}\t{len(held.held_out)}"
            lines.append(f"{counts}\t{scores}")
    files.write_text(out, "\n".join(lines) + "\n")


def _kept(path: Path, name: str) -> str | None:
    """The scores of a fold that an earlier run has done; `None` if there are none, or damaged."""
    if not path.exists():
        return None
    try:
        scores: str = sealed.read_json(path)
    except Damaged as error:
        sealed.say_again(name, error, "the fold is done again")
        return None
    return scores


def _of_fold(job: Job, folds: int, fold: int) -> Job:
    asked = {"folds": folds, "fold": fold, "every_epochs": AT_THE_END, "keep": "last"}
    plan = job.plan.model_validate({**job.plan.model_dump(), "validation": asked})
    told = {**job.model_dump(), "name": f"{job.name}-fold-{fold}", "plan": plan}
    return Job.model_validate(told)
