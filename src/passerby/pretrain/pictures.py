"""The pictures that views are made of: kept in memory, or decoded at each use; the same bytes."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from passerby.errors import BadInput
from passerby.pretrain.cropset import CropSet
from passerby.progress import Progress
from passerby.text import say
from passerby.training.upload import uploaded

BLOCK = 256
_MEMINFO = Path("/proc/meminfo")


class Resident:
    """The crops of a run at one size, on the device.

    Args:
        crops: Where they come from.
        size: Height and width in pixels that all are brought to.
        threads: That decode.
        device: Where they are kept.
        quiet: Show no progress.

    Attributes:
        pictures: uint8 `(N, h, w, 3)` RGB.
    """

    def __init__(
        self,
        crops: CropSet,
        size: tuple[int, int],
        threads: int,
        device: torch.device,
        quiet: bool = False,
    ) -> None:
        self.pictures = torch.empty((len(crops), *size, 3), dtype=torch.uint8, device=device)

        def decode(begin: int) -> int:
            places = range(begin, min(begin + BLOCK, len(crops)))
            block = np.stack([at_size(crops.image(place), size) for place in places])
            self.pictures[begin : begin + BLOCK] = torch.from_numpy(block)
            return len(places)

        cv2.setNumThreads(0)  # the pool below is parallel enough
        line = Progress("decode", len(crops), "crops", quiet=quiet)
        with line, ThreadPoolExecutor(threads) as pool:
            for count in pool.map(decode, range(0, len(crops), BLOCK)):
                line.step(count)

    def take(self, places: np.ndarray) -> Tensor:
        """Some of the pictures, uint8 `(n, h, w, 3)`, on the device."""
        (at,) = uploaded([places], self.pictures.device)
        return self.pictures[at]

    def found(self, places: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """All pictures, on the device, and the rows of the wanted ones, which are `places`."""
        return self.pictures, places


def at_size(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at a height and width; shrunk by the mean over areas, enlarged bilinearly."""
    if image.shape[:2] == size:
        return image
    way = cv2.INTER_AREA if image.shape[0] > size[0] else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=way)


def size_bytes(count: int, size: tuple[int, int]) -> int:
    """What so many crops take."""
    return count * size[0] * size[1] * 3


class Streaming:
    """The crops of a run, decoded at each use: for those that do not fit in memory.

    The pictures are the bytes that `Resident` keeps.

    Args:
        crops: Where they come from.
        size: Height and width in pixels that all are brought to.
        threads: That decode.
        device: Where they are wanted.
    """

    def __init__(
        self, crops: CropSet, size: tuple[int, int], threads: int, device: torch.device
    ) -> None:
        cv2.setNumThreads(0)
        self._crops, self._size, self._device = crops, size, device
        self._pool = ThreadPoolExecutor(threads, "decode")

    def take(self, places: np.ndarray) -> Tensor:
        """Some of the pictures, uint8 `(n, h, w, 3)`, on the device."""
        decoded = self._pool.map(
            lambda place: at_size(self._crops.image(place), self._size), places.tolist()
        )
        return uploaded([np.stack(list(decoded))], self._device)[0]

    def found(self, places: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """The wanted pictures, on the device, and their rows, which are 0 to n - 1."""
        return self.take(places), np.arange(len(places))


Pictures = Resident | Streaming


def opened(
    crops: CropSet,
    size: tuple[int, int],
    feed: str,
    threads: int,
    device: torch.device,
    processes: int,
    quiet: bool,
) -> Pictures:
    """The crops' pictures as `feed` asks for them.

    Args:
        crops: Where they come from.
        size: Height and width in pixels that all are brought to.
        feed: `resident`, `streaming`, or `auto`: resident where half of the free memory holds them.
        threads: That decode.
        device: Where they are wanted.
        processes: Number of processes on this machine; each keeps all pictures.
        quiet: Say nothing.

    Raises:
        BadInput: `resident` is asked for, and there is too little memory.
    """
    wanted, free = size_bytes(len(crops), size), free_bytes(device, processes)
    if feed == "resident" and wanted > free:
        raise BadInput(
            f"pretrain.feed: 'resident' needs {wanted / 1e9:.2f} GB for {len(crops):,} pictures of "
            f"{size[0]}x{size[1]} px in each process, and {free / 1e9:.2f} GB are free on "
            f"'{device.type}': ask for 'streaming' or 'auto', or for a smaller 'resident_scale'"
        )
    if feed == "auto":
        feed = "resident" if wanted <= free / 2 else "streaming"
    if not quiet:
        told = f"{wanted / 1e9:.2f} GB of pictures, {free / 1e9:.1f} GB free: {feed}"
        say(f"pretrain: {told}")
    if feed == "resident":
        return Resident(crops, size, threads, device, quiet)
    return Streaming(crops, size, threads, device)


def free_bytes(device: torch.device, processes: int = 1) -> int:
    """Free memory that this process may use: of its GPU, or of the machine for a CPU.

    Each process has a GPU of its own; all processes share the memory of the machine.

    Args:
        device: The device of this process.
        processes: Number of processes on this machine.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    for line in _MEMINFO.read_text().splitlines() if _MEMINFO.exists() else ():
        if line.startswith("MemAvailable:"):  # what files in the cache take is free, too
            return (int(line.split()[1]) << 10) // processes
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // processes
