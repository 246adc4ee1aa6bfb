"""A pretraining of seconds: 64 tiny crops, ResNet-18 at 32x16; run as a program, it is one.

python pretrain_samples.py FOLDER
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "crops"))
from crop_samples import make_source, picture

from passerby import errors
from passerby.crops.source import COLUMNS
from passerby.crops.store import writing
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.images import encoded
from passerby.models import backbones, init_file
from passerby.models.init_file import InitHeader
from passerby.pretrain.run import pretrain
from passerby.settings import Encoder, Monitor, Pretrain

ENCODER = Encoder(architecture="resnet18", last_stride=2)
ARM = Pretrain(
    height_px=32,
    width_px=16,
    epochs=10,
    batch=16,
    queue=40,
    dim=16,
    bn_groups=4,
    warmup_steps=4,
    lr=0.05,
    resident_scale=1.0,
    precision="fp32",
    checkpoint_s=1e-3,
    monitor=Monitor(benchmark="people", people=4),
)
"""40 steps; a checkpoint every ten."""


def write_crops(path: Path, count: int = 64, person: np.ndarray | None = None) -> None:
    """Two videos; tracks of eight crops, and of each video's crops the last has none.

    The same people, one a track, walk past both cameras; or `person`, of a video's crops.
    """
    half = count // 2
    number = np.arange(half)
    columns = {
        "frame": number,
        "index": number * 0,
        "box": np.stack([number, number, number + 20, number + 40], axis=1),
        "track": np.where(number == half - 1, -1, number // 8),
        "camera": number * 0,
        "width": np.full(half, 20),
        "height": np.full(half, 40),
        "person": number // 8 if person is None else person,
    }
    columns = {key: columns[key].astype(dtype) for key, dtype in COLUMNS.items()}
    with writing(path) as writer:
        for name in ("de+bonn+a", "de+bonn+b"):
            writer.add(make_source(name, count=half, columns=columns))


def write_people(folder: Path, count: int = 6) -> Path:
    """A labelled set whose training people are seen twice by each of two cameras; its index."""
    rows, hashes = [], []
    for person, camera, number in product(range(1, count + 1), (1, 2), (0, 1)):
        name = f"{person:04}_c{camera}_{number}.jpg"
        data = encoded(picture(person * 10 + camera * 2 + number), 95)
        (folder / name).write_bytes(data)
        rows.append(Row("train", name, person, camera, 0, number))
        hashes.append(hashlib.sha256(data).hexdigest()[:16])
    header = {"name": "people", "kind": "market1501", "counts": {}}
    Benchmark(header, folder, tuple(rows), tuple(hashes)).write(folder / "people.tsv")
    return folder / "people.tsv"


def write_start(path: Path, encoder: Encoder = ENCODER) -> None:
    """Random weights whose header says that one tensor started afresh."""
    header = InitHeader.of(encoder, "random, seed 0", fresh=("layer4.0.conv1.weight",), title="rnd")
    init_file.write(path, backbones.build(encoder).state_dict(), header)


def prepare(folder: Path, arm: Pretrain = ARM, encoder: Encoder = ENCODER) -> None:
    """Crops, start and settings for `run` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_crops(folder / "crops.lmdb")
    write_start(folder / "start.safetensors")
    write_people(folder)
    prepare_settings(folder, arm, encoder)


def prepare_settings(folder: Path, arm: Pretrain, encoder: Encoder = ENCODER) -> None:
    """Settings for `run` in `folder`."""
    asked = {"arm": arm.model_dump(mode="json"), "encoder": encoder.model_dump(mode="json")}
    (folder / "asked.json").write_text(json.dumps(asked))


def started(folder: Path, processes: int = 1) -> subprocess.Popen[str]:
    """The pretraining in a process group of its own, its scratch in `folder`."""
    return subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        env={**os.environ, "PASSERBY_PROCESSES": str(processes), "DVC_ROOT": str(folder)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, processes: int = 1) -> tuple[int, str]:
    """The pretraining to its end: exit code and what it said."""
    process = started(folder, processes)
    out, errors = process.communicate(timeout=300)
    return process.returncode, out + errors


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of all that came out."""
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def living(folder: Path) -> list[int]:
    """Processes whose command line names `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def workers(folder: Path) -> list[int]:
    """The processes that train, not the launcher and not torchrun."""
    found = []
    for number in living(folder):
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        if b"passerby.pretrain.main" in words and b"torch.distributed.run" not in words:
            found.append(number)
    return found


def wait_for(question: Any, limit_s: float = 60) -> Any:
    """Ask until the answer is yes, and return it."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if answer := question():
            return answer
        time.sleep(0.002)
    raise AssertionError(f"nothing came in {limit_s} s")


def main(folder: Path) -> None:
    asked = json.loads((folder / "asked.json").read_text())
    pretrain(
        "moco",
        Pretrain.model_validate(asked["arm"]),
        Encoder.model_validate(asked["encoder"]),
        threads=1,
        crops=str(folder / "crops.lmdb"),
        init=str(folder / "start.safetensors"),
        benchmark=(str(folder / "people.tsv"), str(folder)),
        out=str(folder / "out"),
    )


if __name__ == "__main__":
    errors.run(main, Path(sys.argv[1]))
