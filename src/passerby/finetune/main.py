"""One process of a finetuning under torchrun: `python -m passerby.finetune.main SCRATCH`.

`SCRATCH/job.json`, which `passerby.finetune.run` writes, says what to do; what comes out is
`SCRATCH/model`.
"""

from pathlib import Path

from passerby import files
from passerby.finetune import compat, run
from passerby.finetune.job import Job
from passerby.training import launch, processes, stopping


def main(folder: Path) -> None:
    """Train, and leave the model in `folder`."""
    job = Job.model_validate(files.read_json(folder / run.JOB))
    with (
        processes.joined(job.threads),
        stopping.watched(folder / launch.STOP) as stop_asked,
    ):
        compat.join_processes()
        run.train(job, folder, stop_asked)


if __name__ == "__main__":
    launch.worker(main)
