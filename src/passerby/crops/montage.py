"""A montage: many crops in one picture, so that people can look at what was cut."""

from pathlib import Path

import cv2
import numpy as np

from passerby import files
from passerby.crops.store import CropStore
from passerby.images import encoded

CELL_PX = (128, 64)
"""Height and width of a crop in a montage."""
_GAP_PX = 2
_BACKGROUND = 40
_QUALITY = 90


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, evenly spaced, int64.

    Example:
        >>> evenly(10, 4), evenly(2, 4)
        (array([0, 3, 6, 9]), array([0, 1]))
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def by_tracks(store: CropStore, count: int, each: int) -> list[np.ndarray]:
    """Crops of `count` tracks, evenly spaced over the store, at most `each` of a track.

    A store without tracks gives as many groups of crops that are evenly spaced over it.
    """
    if not store.header["tracks"]:
        return in_groups(evenly(len(store), count * each), each)
    tracked = np.flatnonzero(store.track >= 0)
    order = tracked[np.argsort(store.track[tracked], kind="stable")]
    # Tracks are numbered without gaps: number n begins at begins[n].
    begins = np.append(np.flatnonzero(np.diff(store.track[order], prepend=-1)), len(order))
    members = [order[begins[n] : begins[n + 1]] for n in evenly(len(begins) - 1, count)]
    return [crops[evenly(len(crops), each)] for crops in members]


def in_groups(crops: np.ndarray, each: int) -> list[np.ndarray]:
    """Cut `(N,)` into groups of `each`, in order.

    Example:
        >>> in_groups(np.arange(5), 3)
        [array([0, 1, 2]), array([3, 4])]
    """
    return [crops[begin : begin + each] for begin in range(0, len(crops), each)]


def montage(groups: list[list[np.ndarray]], each: int, columns: int) -> np.ndarray:
    """Lay groups of images out side by side, each image shrunk or enlarged to fit its cell.

    Args:
        groups: Images uint8 `(H, W, 3)`, RGB; at most `each` in a group.
        each: Cells of a group.
        columns: Cells of a row, a multiple of `each`.

    Returns:
        uint8 `(H, W, 3)`, RGB; one empty row where there is no image.
    """
    high, wide = CELL_PX[0] + _GAP_PX, CELL_PX[1] + _GAP_PX
    rows = max(1, -(-len(groups) * each // columns))
    sheet = np.full((rows * high, columns * wide, 3), _BACKGROUND, np.uint8)
    for number, group in enumerate(groups):
        for cell, image in enumerate(group, start=number * each):
            fitted = _fitted(image)
            top = cell // columns * high
            left = cell % columns * wide + (CELL_PX[1] - fitted.shape[1]) // 2
            sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet


def draw(
    store: CropStore, groups: list[np.ndarray], each: int, columns: int, path: str | Path
) -> None:
    """Write the montage of groups of numbered crops as a JPEG file."""
    images = [[store.image(int(i)) for i in group] for group in groups]
    with files.written_whole(path) as beside:
        beside.write_bytes(encoded(montage(images, each, columns), _QUALITY))


def _fitted(image: np.ndarray) -> np.ndarray:
    """The image as large as a cell takes it, its aspect kept."""
    high, wide = image.shape[:2]
    scale = min(CELL_PX[0] / high, CELL_PX[1] / wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=way)
