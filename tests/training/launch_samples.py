"""Programs that tests run under torchrun: `FOLDER/do` says which."""

import os
import signal
import time
from pathlib import Path

import torch

from passerby import files
from passerby.errors import BadInput, Stopped
from passerby.training import launch, processes, stopping


def main(folder: Path) -> None:
    rank = os.environ["RANK"]
    what = (folder / "do").read_text()
    if what == "refuse":
        raise BadInput("found a horse, wanted a cow; ask the farmer")
    if what == "fill":
        (folder / "big").write_bytes(bytes(10_000_000))
    if what == "crash" and rank == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait":
        wait(folder, rank)
    if what == "interfaces":
        names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
        files.write_json(folder / "interfaces.json", [os.environ[name] for name in names])
    if what in ("collect", "crash"):
        collect(folder)


def wait(folder: Path, rank: str) -> None:
    with stopping.watched(folder / launch.STOP) as asked:
        (folder / f"ready-{rank}").touch()
        while not asked():
            time.sleep(0.01)
    raise Stopped("saved at step 12")


def collect(folder: Path) -> None:
    with processes.joined(threads=1) as group:
        mine = torch.arange(6.0).view(6, 1)[group.share(6)]
        found = {
            "world": group.world,
            "threads": torch.get_num_threads(),
            "omp": os.environ["OMP_NUM_THREADS"],
            "gathered": group.gathered(mine).flatten().tolist(),
            "mean": group.mean(torch.tensor([1.0 + group.rank, 0.0])).tolist(),
            "anybody": processes.anybody(group.rank == 1, False),
            "told": group.told(f"by {group.rank}"),
        }
        group.wait()
        files.write_json(folder / f"found-{group.rank}.json", found)


if __name__ == "__main__":
    launch.worker(main)
