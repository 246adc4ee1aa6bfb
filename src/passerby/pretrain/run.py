"""One pretraining from beginning to end: the job, its scratch, torchrun, and what comes out."""

import shutil
from pathlib import Path
from typing import Any

import torch

from passerby import files
from passerby.crops.store import CropStore
from passerby.settings import Encoder, Pretrain, Section
from passerby.training import launch, precision, processes

MODULE = "passerby.pretrain.main"


class Job(Section):
    """What the processes of one run are told."""

    name: str
    """Of the arm."""
    arm: Pretrain
    encoder: Encoder
    threads: int
    number_format: str
    crops: str
    init: str
    hashes: dict[str, str]
    """Of the files that decide the result, by what they are."""

    def run_contract(self, world: int) -> dict[str, Any]:
        """What decides the bytes of the result; where files lie does not."""
        told = self.model_dump(mode="json", exclude={"crops", "init"})
        del told["arm"]["checkpoint_s"]
        return {**told, "processes": world, "torch": str(torch.__version__)}


def pretrain(
    name: str, arm: Pretrain, encoder: Encoder, threads: int, crops: str, init: str, out: str
) -> None:
    """Run one arm: MoCo on the crops, from `init`.

    Args:
        name: Of the arm.
        arm: Its settings.
        encoder: The network.
        threads: Of each process.
        crops: A crop store.
        init: A start, `data/init/START.safetensors`.
        out: Folder for `weights.safetensors` and `history.tsv`.

    Raises:
        BadInput: crops, start or settings cannot be used.
        Stopped: SIGTERM came; what was done is in scratch.
    """
    kind = processes.device_kind()
    CropStore(crops)  # a store that cannot be read is refused before anything starts
    job = Job(
        name=name,
        arm=arm,
        encoder=encoder,
        threads=threads,
        number_format=precision.decide(arm.precision, kind),
        crops=str(Path(crops).resolve()),
        init=str(Path(init).resolve()),
        hashes={"crops": files.sha256(crops), "init": files.sha256(init)},
    )
    count = launch.processes(torch.cuda.device_count() if kind == "cuda" else 0)
    with files.scratch(f"pretrain@{name}", job.run_contract(count)) as folder:
        files.write_json(folder / "job.json", job.model_dump(mode="json"))
        launch.torchrun(MODULE, folder, count, threads)
        _take_out(folder, Path(out))


def _take_out(folder: Path, out: Path) -> None:
    for name, inside in (("weights.safetensors",) * 2, ("history.tsv", "history-0.tsv")):
        with files.written_whole(out / name) as beside:
            shutil.copyfile(folder / inside, beside)
