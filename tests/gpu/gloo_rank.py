"""One of several processes that train together over gloo on one device; it saves its weights.

python gloo_rank.py FOLDER RANK WORLD DEVICE
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path += [str(Path(__file__).parent.parent / name) for name in ("pretrain", "crops")]

import double_samples

from passerby.training.processes import Group


def main(folder: Path, rank: int, world: int, device: torch.device) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet-{world}", rank=rank, world_size=world
    )
    double_samples.train(folder, Group(rank, world, device))
    dist.barrier()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), torch.device(sys.argv[4]))
    os._exit(0)  # otherwise gloo's threads may wait for each other for ever
