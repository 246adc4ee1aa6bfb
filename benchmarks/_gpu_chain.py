"""Steps `pretrain`, `finetune` and `longer`: the stages of the graph, run as a user runs them."""

import shutil
from pathlib import Path
from typing import Any

import _gpu_data
from _gpu_context import Context, Failed
from _gpu_stages import Stage, last_number, run
from passerby import files
from passerby.crops.store import CropStore
from passerby.errors import STOPPED
from passerby.pretrain.loop import HISTORY, MONITOR, ROWS_PER_EPOCH
from passerby.settings import read

PAIRS, ITERATIONS = r"([\d.,]+) pairs/s", r"iterations  ([\d.e+]+)/s  done"
STEP = r"stopped at step ([\d,]+) of"
STOPPING_S = 15.0
"""Time for a run that is asked to stop: its last steps and its checkpoint."""
SHARE_TRAINED = 0.8
"""Share of the time of the step `longer` for training; mining and the monitor take the rest."""
GUESSED_PAIRS_PER_S = {"cuda": 3_500.0, "cpu": 300.0}
"""Where nothing was measured, the length of the step `longer` is computed from these."""


def pretrain(context: Context) -> None:
    """Stop a pretraining by torchrun and resume it, then pretrain with mined pairs.

    Raises:
        Failed: a stage did not end as it should, or a resumed run lacks steps.
    """
    folder = _gpu_data.prepared(context)
    context.keep(data=_gpu_data.about(folder))
    _stopped_and_resumed(context, folder)
    stage = run(folder, "pretrain", "mined")
    rows = table(folder, "mined", HISTORY)
    mined = [row for row in rows if row["epoch"] >= 1]
    context.keep(
        mined={
            "pairs_per_s": last_number(PAIRS, stage.text),
            "epochs": rows[-1]["epoch"] + 1,
            "mined_pairs": mined[-1]["pairs"],
            "right_pairs": mined[-1]["right_pairs"],
            "monitor": table(folder, "mined", MONITOR),
        }
    )


def _stopped_and_resumed(context: Context, folder: Path) -> None:
    """Stop a run by SIGTERM after a third of its steps, and resume it until its end."""
    arm = read(folder / "params.yaml").arm("tracklet")
    shutil.rmtree(folder / "data" / "pretrain" / "tracklet", ignore_errors=True)
    enough = ROWS_PER_EPOCH * arm.epochs // 3
    first = Stage(folder, "pretrain", "tracklet")
    first.stop_when(lambda: len(table(folder, "tracklet", HISTORY)) >= enough)
    first_s = first.ended(STOPPED)
    at = last_number(STEP, first.text)
    told: dict[str, Any] = {"stopped_at_step": at, "stopped_after_s": first_s}
    context.keep(tracklet=told)
    second = Stage(folder, "pretrain", "tracklet")
    second_s = second.ended()
    rows = table(folder, "tracklet", HISTORY)
    steps = [row["step"] for row in rows]
    told |= {
        "pairs_per_s": last_number(PAIRS, second.text),
        "steps": steps[-1],
        "resumed_for_s": second_s,
        "loss_first": rows[0]["loss"],
        "loss_last": rows[-1]["loss"],
        "monitor": table(folder, "tracklet", MONITOR),
    }
    context.keep(tracklet=told)
    if at is None or not 0 < at < steps[-1] or steps != sorted(set(steps)):
        raise Failed(f"stopped at step {at}; the history of the whole run has the steps {steps}")


def table(folder: Path, arm: str, name: str) -> list[dict[str, float | None]]:
    """Read a table that a pretraining writes while it runs; empty if it is not there yet."""
    path = folder / "data" / "pretrain" / arm / name
    text = path.read_text() if path.exists() else ""
    lines = text.splitlines()[: text.count("\n")]  # the last line may not be whole yet
    names = lines[0].split("\t") if lines else []
    rows = [[float(cell) for cell in line.split("\t")] for line in lines[1:]]
    # JSON has no NaN, which stands for the share of right pairs where there are no pairs.
    return [
        {key: cell if cell == cell else None for key, cell in zip(names, row, strict=True)}
        for row in rows
    ]


def finetune(context: Context) -> None:
    """Keep the speed of finetuning, and whether a second run gives the same bytes."""
    folder = _gpu_data.prepared(context)
    asked = ("random", "published", "10", "0")
    model = folder / "data" / "models" / "-".join(asked)
    told: list[dict[str, Any]] = []
    for turn in ("first", "second"):
        shutil.rmtree(model, ignore_errors=True)
        stage = Stage(folder, "finetune", *asked)
        took_s = stage.ended()
        hashes = {path.name: files.sha256(path) for path in sorted(model.glob("weights.*"))}
        rate = last_number(ITERATIONS, stage.text)
        told.append({"run": turn, "iterations_per_s": rate, "took_s": took_s, "sha256": hashes})
        context.keep(data=_gpu_data.about(folder), runs=told)
    plan = read(folder / "params.yaml").recipe("published")
    context.keep(
        iterations=plan.iterations,
        iterations_per_s=told[-1]["iterations_per_s"],
        same_bytes=told[0]["sha256"] == told[1]["sha256"],
    )


def longer(context: Context) -> None:
    """Pretrain for the time that is left, and keep the monitor's curve.

    Positives are tracklets for the first fifth, and mined pairs after it. The number of epochs is
    chosen so that the run ends about in time; if it does not, it is stopped.
    """
    folder = _gpu_data.prepared(context)
    crops = len(CropStore(folder / "data" / "crops.lmdb"))
    usable_s = max(context.left_s - 2 * STOPPING_S, 5.0)
    epochs = max(int(SHARE_TRAINED * usable_s * expected(context) / crops), 3)
    arm = {
        "start": "random",
        "positives": "mined",
        "epochs": epochs,
        "mining": {"from_epoch": max(epochs // 5, 1), "every_epochs": 2},
        "monitor": {"every_epochs": max(epochs // 8, 1)},
    }
    _gpu_data.prepared(context, {"longer": arm})
    shutil.rmtree(folder / "data" / "pretrain" / "longer", ignore_errors=True)
    stage = Stage(folder, "pretrain", "longer")

    def late() -> bool:
        curve = table(folder, "longer", MONITOR)
        if curve != context.found.get("monitor"):
            context.keep(epochs_planned=epochs, monitor=curve)
        # Only a run that trains can be asked to stop.
        return context.left_s < STOPPING_S and bool(table(folder, "longer", HISTORY))

    stage.stop_when(late, period_s=0.5)
    took_s = stage.ended(0, STOPPED)
    context.keep(
        data=_gpu_data.about(folder),
        epochs_planned=epochs,
        came_to_its_end=stage.code == 0,
        took_s=took_s,
        pairs_per_s=last_number(PAIRS, stage.text),
        monitor=table(folder, "longer", MONITOR),
        history=table(folder, "longer", HISTORY)[:: max(ROWS_PER_EPOCH, 1)],
    )


def expected(context: Context) -> float:
    """Pairs per second of a pretraining here: measured by the step `pretrain`, or a guess."""
    path = context.work / "results" / "pretrain.json"
    found = files.read_json(path)["result"] if path.exists() else {}
    rate = found.get("mined", {}).get("pairs_per_s")
    return float(rate or GUESSED_PAIRS_PER_S[context.kind])
