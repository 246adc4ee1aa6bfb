"""What a benchmark of finetuning trains on: drawn people with labels, and weights to start from."""

from pathlib import Path

from _pictures import JPEG_QUALITY, picture
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.images import encoded
from passerby.models import backbones, init_file
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder

HEIGHT_PX, WIDTH_PX = 128, 64
CAMERAS = 6
NAME = "drawn"


def draw(folder: Path, people: int, each: int, seed: int = 0) -> Path:
    """Write a labelled set: JPEGs of Market-1501's size, and the index of them.

    Args:
        folder: Made.
        people: That are drawn.
        each: Pictures of each, by one camera after the other.
        seed: Of the pictures.

    Returns:
        The index; its root is `folder`.
    """
    (folder / "train").mkdir(parents=True)
    rows = []
    for number in range(people * each):
        person, camera = number // each + 1, number % each % CAMERAS + 1
        name = f"train/{person:04}_c{camera}_{number:06}.jpg"
        drawn = picture(seed, number, HEIGHT_PX, WIDTH_PX)
        (folder / name).write_bytes(encoded(drawn, JPEG_QUALITY))
        rows.append(Row("train", name, person, camera))
    header = {"name": NAME, "kind": "market1501", "counts": {}}
    hashes = tuple(f"{number:016x}" for number in range(len(rows)))
    index = folder / "index.tsv"
    Benchmark(header, folder, tuple(rows), hashes).write(index)
    return index


def write_start(path: Path, encoder: Encoder) -> Path:
    """Write random weights to start from; their path."""
    state = backbones.build(encoder, seed=0).state_dict()
    init_file.write(path, state, InitHeader.of(encoder, "random, seed 0"))
    return path
