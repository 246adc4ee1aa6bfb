"""A labelled set of eight people in noise, and the smallest training on it."""

from pathlib import Path

import numpy as np
from PIL import Image

from passerby import files, seeds
from passerby.datasets import index
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.models import backbones, init_file
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Finetune

PEOPLE = 8
PLAN = Finetune(
    benchmark="noise",
    height_px=32,
    width_px=16,
    iterations=4,
    iterations_per_epoch=2,
    people_per_batch=4,
    images_per_person=2,
    warmup_share=0.0,
    precision="fp32",
)


class Killed(BaseException):
    """Raised in the place of a kill; nothing catches it by chance."""


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): files.sha256(path) for path in paths}


def write_benchmark(folder: Path) -> Benchmark:
    """The set's pictures in `folder`, and its index, `folder/noise.tsv`."""
    root = folder / "exp-7_c2"  # D7: fast-reid would take labels from this folder's name
    (root / "train").mkdir(parents=True)
    rows = []
    for person in range(1, PEOPLE + 1):
        rng = seeds.stream(person, "looks")
        look = rng.integers(0, 256, (4, 2, 3))
        for camera in (1, 2, 3):
            picture = np.kron(look, np.ones((16, 16, 1))) + rng.normal(0, 30, (64, 32, 3))
            name = f"train/{person:04d}_c{camera}.jpg"
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / name, quality=95)
            rows.append(Row("train", name, person, camera))
    rows.append(Row("query", "query/0099_c1.jpg", 99, 1))
    header = {"name": "noise", "kind": "market1501", "counts": {}}
    whole = Benchmark(header, root, tuple(rows), ("0" * 16,) * len(rows))
    whole.write(folder / "noise.tsv")
    return index.read(folder / "noise.tsv", root)


def write_start(path: Path, encoder: Encoder) -> Path:
    """Random weights for a ResNet of ours."""
    state = backbones.build(encoder, seed=3).state_dict()
    init_file.write(path, state, InitHeader.of(encoder, "a test", title="MoCo"))
    return path
