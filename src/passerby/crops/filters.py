"""Which boxes become crops: rules over boxes, before any picture is decoded, and over crops.

Arrays in, reasons out. A reason is a number into `source.REASONS`; `KEPT` is none of them.
"""

from typing import Any

import cv2
import numpy as np

from passerby.crops.source import REASONS, Reason
from passerby.settings import Crops

KEPT = -1
SHARPNESS_HEIGHT_PX = 128
HASH_PX = 8


def code(reason: Reason) -> int:
    """The number of a reason."""
    return REASONS.index(reason)


def counted(reasons: np.ndarray) -> dict[str, int]:
    """How often each reason stands in `reasons` `(N,)`, less those that do not.

    Example:
        >>> counted(np.array([KEPT, code("small"), KEPT, code("small"), code("every")]))
        {'small': 2, 'every': 1}
    """
    counts = np.bincount(reasons[reasons != KEPT], minlength=len(REASONS))
    return {reason: int(n) for reason, n in zip(REASONS, counts, strict=True) if n}


def clipped(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes `(N, 4)` without what lies outside a picture of `width` x `height`.

    Example:
        >>> clipped(np.array([[-5, 10, 20, 300]], np.float32), 100, 200)
        array([[  0.,  10.,  20., 200.]], dtype=float32)
    """
    return np.clip(box, 0, np.array([width, height, width, height], box.dtype))


def rectangles(box: np.ndarray) -> np.ndarray:
    """The least rectangles of whole pixels around clipped boxes, int32 `(N, 4)`, end exclusive.

    Example:
        >>> rectangles(np.array([[0.5, 2.0, 3.2, 7.0]]))
        array([[0, 2, 4, 7]], dtype=int32)
    """
    return np.concatenate([np.floor(box[:, :2]), np.ceil(box[:, 2:])], axis=1).astype(np.int32)


def chosen(
    frame: np.ndarray, box: np.ndarray, track: np.ndarray, size: tuple[int, int], settings: Crops
) -> np.ndarray:
    """Judge the boxes of one video by shape, then by time.

    A box uses its track's turn when it is chosen here, whatever its picture turns out to be: so it
    is known which frames to decode before the first one is.

    Args:
        frame: `(N,)`, not falling.
        box: `(N, 4)` xyxy pixels, as detected.
        track: `(N,)`, -1: none.
        size: Width and height of the pictures.
        settings: Section `crops`.

    Returns:
        Reasons, int8 `(N,)`; `KEPT` where the crop is worth a look.
    """
    reasons = by_shape(box, size, settings)
    shapely = np.flatnonzero(reasons == KEPT)
    early = too_soon(frame[shapely], track[shapely], settings.every)
    reasons[shapely[early]] = code("every")
    return reasons


def by_shape(box: np.ndarray, size: tuple[int, int], settings: Crops) -> np.ndarray:
    """Judge each box `(N, 4)` alone, by where it lies and by the size of what is visible.

    Returns:
        Reasons, int8 `(N,)`.
    """
    readable = np.isfinite(box).all(axis=1)
    whole = np.where(readable[:, None], box, 0).astype(np.float64)
    inside = clipped(whole, *size)
    left, top, right, bottom = rectangles(inside).T
    width, height = right - left, bottom - top
    area, visible = _area(whole), _area(inside)
    rules: list[tuple[Reason, Any]] = [
        ("empty", area == 0),
        ("outside", visible == 0),
        ("cut", visible < settings.min_visible * area),
        ("small", height < settings.min_height_px),
        ("narrow", width < settings.min_width_px),
        ("aspect", (height < settings.min_aspect * width) | (height > settings.max_aspect * width)),
    ]
    codes = [np.int8(code(reason)) for reason, _ in rules]
    return np.select([broken for _, broken in rules], codes, np.int8(KEPT))


def _area(box: np.ndarray) -> np.ndarray:
    return np.clip(box[:, 2] - box[:, 0], 0, None) * np.clip(box[:, 3] - box[:, 1], 0, None)


def too_soon(frame: np.ndarray, track: np.ndarray, every: int) -> np.ndarray:
    """Whether a box comes less than `every` frames after the last of its track that did not.

    Boxes without a track take turns together: all of a frame are used, or none.

    Args:
        frame: `(N,)`, not falling.
        track: `(N,)`, -1: none.
        every: In frames.

    Returns:
        bool `(N,)`.

    Example:
        >>> too_soon(np.array([0, 0, 3, 5]), np.array([1, 2, 1, 1]), every=5)
        array([False, False,  True, False])
    """
    early = np.zeros(len(frame), bool)
    last: dict[int, int] = {}
    for row, (now, who) in enumerate(zip(frame.tolist(), track.tolist(), strict=True)):
        before = last.get(who)
        same_turn = who < 0 and before == now
        if before is None or now - before >= every or same_turn:
            last[who] = now
        else:
            early[row] = True
    return early


def sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian of a grey crop `(H, W)`, brought to a height of 128 pixels.

    At one height, so that a far and a near person can be compared.
    """
    high, wide = grey.shape
    width = max(1, round(wide * SHARPNESS_HEIGHT_PX / high))
    way = cv2.INTER_AREA if high > SHARPNESS_HEIGHT_PX else cv2.INTER_LINEAR
    same = cv2.resize(grey, (width, SHARPNESS_HEIGHT_PX), interpolation=way)
    return float(cv2.Laplacian(same, cv2.CV_64F).var())


def difference_hash(grey: np.ndarray) -> int:
    """64 bits: whether each of 8 x 8 places of a grey crop `(H, W)` is darker than its right one.

    Survives changes of size, light and compression; differs where the picture moves.
    """
    tiny = cv2.resize(grey, (HASH_PX + 1, HASH_PX), interpolation=cv2.INTER_AREA)
    bits = tiny[:, 1:] > tiny[:, :-1]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def is_repeat(hashed: int, seen: list[int], max_same_bits: int) -> bool:
    """Whether a hash differs from one of `seen` in at most `max_same_bits` bits.

    Example:
        >>> is_repeat(0b1011, [0b1000], 2), is_repeat(0b1011, [0b1000], 1), is_repeat(0, [], 64)
        (True, False, False)
    """
    return any((hashed ^ other).bit_count() <= max_same_bits for other in seen)
