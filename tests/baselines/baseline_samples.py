"""Eight people in noise with an attribute file, and the smallest training on them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passerby import seeds
from passerby.baselines.attributes import Job
from passerby.datasets.attributes import COLOURS, PLAIN
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.models import backbones, init_file
from passerby.models.init_file import InitHeader
from passerby.settings import Attributes, Encoder

PEOPLE = 8


def write_annotations(path: Path, people: range) -> Path:
    """The course's CSV; women are the even people, everything else is alike but the hat."""
    plain = [column for column, _ in PLAIN.values()]
    colours = [start + colour for start, names in COLOURS.values() for colour in names]
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", *plain, *colours])
        for person in people:
            values = {"gender": 2 - person % 2, "hat": 2 if person == 1 else 1}
            marks = [2 if name in ("upred", "downblue") else 1 for name in colours]
            table.writerow([person, *(values.get(name, 1) for name in plain), *marks])
    return path


def write_pictures(folder: Path) -> Benchmark:
    """The labelled set."""
    root = folder / "pictures"
    (root / "train").mkdir(parents=True)
    rows = []
    for person in range(1, PEOPLE + 1):
        rng = seeds.stream(person, "looks")
        look = rng.integers(0, 256, (4, 2, 3))
        for camera in (1, 2):
            picture = np.kron(look, np.ones((16, 16, 1))) + rng.normal(0, 30, (64, 32, 3))
            name = f"train/{person:04d}_c{camera}.jpg"
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / name)
            rows.append(Row("train", name, person, camera))
    rows.append(Row("query", "query/0099_c1.jpg", 99, 1))
    header = {"name": "noise", "kind": "market1501", "counts": {}}
    return Benchmark(header, root, tuple(rows), ("0" * 16,) * len(rows))


def write_start(folder: Path, encoder: Encoder) -> Path:
    """Random weights."""
    init = folder / "init" / "random.safetensors"
    state = backbones.build(encoder, seed=3).state_dict()
    init_file.write(init, state, InitHeader.of(encoder, "a test"))
    return init


def training(folder: Path, labelled_set: Benchmark, **changes: Any) -> Job:
    """A training of two epochs of three steps; keywords change the settings."""
    values = {
        "benchmark": "noise",
        "annotations": str(folder / "annotations.csv"),
        "height_px": 32,
        "width_px": 16,
        "epochs": 2,
        "batch": 4,
        "hidden": 8,
        "validation_share": 0.25,
        "precision": "fp32",
    }
    plan = Attributes.model_validate(values | changes)
    init = folder / "init" / "random.safetensors"
    return Job(init, labelled_set, plan, Encoder(), threads=1)
