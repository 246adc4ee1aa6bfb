"""Small pictures and sources with known contents."""

import json
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np

from passerby import seeds
from passerby.crops import checksums
from passerby.crops.source import COLUMNS, Source
from passerby.images import encoded


def picture(seed: int, width: int = 20, height: int = 40) -> np.ndarray:
    """A smooth coloured picture, uint8 `(H, W, 3)`, of its own for each seed."""
    tiny = seeds.stream(seed, "picture").integers(0, 256, (5, 3, 3), np.uint8)
    return cv2.resize(tiny, (width, height), interpolation=cv2.INTER_LINEAR)


def make_source(name: str, count: int = 6, **changes: object) -> Source:
    """A video of `count` crops in tracks 7 and 3 (every fifth has none), and two small boxes."""
    number = np.arange(count)
    columns = {
        "frame": number // 2,
        "index": number % 2,
        "box": np.stack([number, number + 1, number + 21.5, number + 41], axis=1),
        "track": np.where(number % 5 == 4, -1, np.where(number % 2, 3, 7)),
        "camera": np.zeros(count),
        "width": np.full(count, 20),
        "height": np.full(count, 40),
        "person": np.where(number % 5 == 4, -1, number % 2),
    }
    fields = {
        "name": name,
        "kind": "video",
        "cameras": (name,),
        "boxes": count + 2,
        "left_out": {"small": 2},
        "jpegs": [encoded(picture(hash_of(name) + n), 95) for n in range(count)],
        "columns": {key: columns[key].astype(dtype) for key, dtype in COLUMNS.items()},
    }
    return Source(**(fields | changes))  # type: ignore[arg-type]


def rewritten(path: Path, header: dict[str, Any], columns: dict[str, bytes] | None = None) -> Path:
    """Change keys of a store's header and whole columns, in place; all checksums are right."""
    with lmdb.open(str(path), subdir=False, lock=False) as env, env.begin(write=True) as put:
        told = json.loads(put.get(b"header"))
        del told["sha256"]
        for name, data in (columns or {}).items():
            put.put(f"column/{name}".encode(), data)
            told["columns"][name] = checksums.of_column(data)
        put.put(b"header", checksums.with_checksum(told | header))
    return path


def flip(path: Path, share: float) -> None:
    """Change one bit of a file, at this share of its length."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 16
    path.write_bytes(content)


def hash_of(name: str) -> int:
    return sum(name.encode()) * 1000


def write_video(path: Path, images: list[np.ndarray], fps: int = 10) -> None:
    """Write a lossless mp4, a keyframe every ten frames; images uint8 `(H, W, 3)`, RGB."""
    import av  # absent on machines where the GPU tests run

    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=fps, options={"crf": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
