"""What benchmarks train on: drawn pictures, crops of a store, and the same ones as JPEG files."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from passerby import parallel, seeds
from passerby.crops.source import COLUMNS, Source
from passerby.crops.store import CropStore, writing
from passerby.images import encoded
from passerby.pretrain.cropset import CropSet

HEIGHT_PX, WIDTH_PX = 256, 128
JPEG_QUALITY = 95
NOISE = 6.0


def draw(path: Path, count: int, seed: int = 0) -> None:
    """Write a store of `count` drawn crops without tracks."""
    number = np.arange(count)
    zero, none = np.zeros(count), np.full(count, -1)
    columns = {
        "frame": number,
        "index": zero,
        "box": np.tile([0.0, 0.0, WIDTH_PX, HEIGHT_PX], (count, 1)),
        "track": none,
        "camera": zero,
        "width": np.full(count, WIDTH_PX),
        "height": np.full(count, HEIGHT_PX),
        "person": none,
    }
    with ThreadPoolExecutor(parallel.workers()) as pool:
        jpegs = list(pool.map(lambda n: encoded(picture(seed, n), JPEG_QUALITY), range(count)))
    columns = {key: columns[key].astype(dtype) for key, dtype in COLUMNS.items()}
    with writing(path) as writer:
        writer.add(Source("drawn", "images", ("drawn",), count, jpegs=jpegs, columns=columns))


def picture(
    seed: int, number: int, height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX
) -> np.ndarray:
    """Smooth colours with a camera's noise on them, uint8 `(H, W, 3)` RGB."""
    rng = seeds.stream(seed, "benchmark picture", number)
    patches = rng.uniform(0, 255, (8, 4, 3)).astype(np.float32)
    smooth = cv2.resize(patches, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    noisy = smooth + NOISE * rng.standard_normal(smooth.shape, np.float32)
    return np.rint(noisy).clip(0, 255).astype(np.uint8)


def chosen(path: Path, most: int) -> CropSet:
    """At most `most` crops of a store, spread evenly over it."""
    every = CropSet.of(CropStore(path))
    at = np.linspace(0, len(every) - 1, min(most, len(every))).astype(np.int64)
    names = ("rows", "track", "camera", "frame", "person", "shape")
    return dataclasses.replace(every, **{name: getattr(every, name)[at] for name in names})


def write_files(crops: CropSet, folder: Path) -> list[Path]:
    """Write the store's own JPEG bytes, a file a crop; their paths in the order of `crops`."""
    folder.mkdir()
    paths = [folder / f"{row:08}.jpg" for row in crops.rows.tolist()]
    for row, path in zip(crops.rows.tolist(), paths, strict=True):
        path.write_bytes(crops.store.jpeg(row))
    return paths
