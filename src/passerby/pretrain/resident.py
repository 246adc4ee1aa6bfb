"""All crops decoded once, as one array in memory: the feed of a run whose crops fit there."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor

from passerby.crops.store import CropStore
from passerby.progress import Progress

BLOCK = 256


class Resident:
    """The crops of a store at one size.

    Args:
        store: Where they come from.
        height_px: Height that all are brought to.
        width_px: Width.
        threads: That decode.
        quiet: Show no progress.

    Attributes:
        pictures: uint8 `(N, h, w, 3)` RGB.
        shapes: Width by height of each crop as it was cut, `(N,)`; drawing a view needs it.
    """

    def __init__(
        self, store: CropStore, height_px: int, width_px: int, threads: int, quiet: bool = False
    ) -> None:
        self.shapes = np.asarray(store.width, float) / store.height
        self.pictures = np.empty((len(store), height_px, width_px, 3), np.uint8)

        def decode(begin: int) -> int:
            rows = range(begin, min(begin + BLOCK, len(store)))
            for row in rows:
                image = store.image(row)
                way = cv2.INTER_AREA if image.shape[0] > height_px else cv2.INTER_LINEAR
                self.pictures[row] = cv2.resize(image, (width_px, height_px), interpolation=way)
            return len(rows)

        cv2.setNumThreads(0)  # the pool below is parallel enough
        line = Progress("decode", len(store), "crops", quiet=quiet)
        with line, ThreadPoolExecutor(threads) as pool:
            for count in pool.map(decode, range(0, len(store), BLOCK)):
                line.step(count)

    def take(self, rows: np.ndarray, device: torch.device) -> Tensor:
        """Some of the pictures, on the device."""
        return torch.from_numpy(self.pictures[rows]).to(device)
