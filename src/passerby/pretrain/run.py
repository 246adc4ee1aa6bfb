"""One pretraining from beginning to end: the job, its scratch, torchrun, and what comes out."""

import shutil
from pathlib import Path
from typing import Any

import torch

from passerby import files
from passerby.contract import of_run
from passerby.crops.store import CropStore
from passerby.datasets import index
from passerby.pretrain import monitor
from passerby.settings import Encoder, Pretrain, Section
from passerby.training import boards, checkpoint, launch, precision, processes

MODULE = "passerby.pretrain.main"
WEIGHTS = "weights.safetensors"
JOB = "job.json"
FOLLOWED = ("pretrain", "crops", "datasets", "evaluation", "models", "training")
"""Rooms whose code decides the result."""
_DECIDE_NOTHING = ("checkpoint_s", "feed")


class Job(Section):
    """What the processes of one run are told."""

    name: str
    """Of the arm."""
    arm: Pretrain
    encoder: Encoder
    threads: int
    number_format: str
    device: str
    """Kind of device, `cpu` or `cuda`: views and sums differ between them."""
    crops: str
    init: str
    benchmark: str
    """Index of the labelled set that the monitor looks at."""
    benchmark_root: str
    out: str
    """Folder where the histories grow."""
    hashes: dict[str, str]
    """Of the files that decide the result, by what they are."""

    def contract_of_run(self) -> dict[str, Any]:
        """What decides the result; where files lie and how many processes share it does not.

        The number of processes moves the last digits: a run that goes on with another one says so.
        Another kind of device changes more than that, so a run is resumed only on the same kind.
        """
        paths = {"crops", "init", "benchmark", "benchmark_root", "out"}
        told = self.model_dump(mode="json", exclude=paths)
        for key in _DECIDE_NOTHING:
            del told["arm"][key]
        return of_run(told, FOLLOWED)


def pretrain(
    name: str,
    arm: Pretrain,
    encoder: Encoder,
    threads: int,
    crops: str,
    init: str,
    benchmark: tuple[str, str],
    out: str,
) -> None:
    """Run one arm: MoCo on the crops, from `init`.

    Args:
        name: Of the arm.
        arm: Its settings.
        encoder: The network.
        threads: Of each process.
        crops: A crop store.
        init: A start, `data/init/START.safetensors`.
        benchmark: Index of the labelled set that the monitor looks at, and the set's folder.
        out: Folder for `weights.safetensors`, and for `history.tsv` and `monitor.tsv`, which grow
            while it runs.

    Raises:
        BadInput: crops, start or settings cannot be used, or more processes were asked for than
            there are GPUs.
        Stopped: SIGTERM came; what was done is in scratch.
    """
    kind = processes.device_kind()
    count = launch.processes(torch.cuda.device_count() if kind == "cuda" else 0)
    CropStore(crops)  # what cannot be used is refused before anything starts
    boards.require()
    if arm.monitor.every_epochs or arm.monitor.hold_out:
        monitor.people(index.read(*benchmark), arm.monitor)
    job = Job(
        name=name,
        arm=arm,
        encoder=encoder,
        threads=threads,
        number_format=precision.decide(arm.precision, kind),
        device=kind,
        crops=str(Path(crops).resolve()),
        init=str(Path(init).resolve()),
        benchmark=str(Path(benchmark[0]).resolve()),
        benchmark_root=str(Path(benchmark[1]).resolve()),
        out=str(Path(out).resolve()),
        hashes={
            "crops": files.sha256(crops),
            "init": files.sha256(init),
            "benchmark": files.sha256(benchmark[0]),
        },
    )
    contract = job.contract_of_run()
    with files.scratch(f"pretrain@{name}", contract) as folder:
        checkpoint.begin(folder, contract)
        files.write_json(folder / JOB, job.model_dump(mode="json"))
        launch.torchrun(MODULE, folder, count, threads)
        with files.written_whole(Path(out) / WEIGHTS) as beside:
            shutil.copyfile(folder / WEIGHTS, beside)
