"""Cuts people out of one video: every box becomes a crop or is counted with the reason why not."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np

from passerby.crops import filters
from passerby.crops.source import COLUMNS, Reason, Source, numbers_in_frame
from passerby.errors import BadInput
from passerby.images import encoded
from passerby.settings import Crops
from passerby.text import say
from passerby.video.decode import VideoReader, describe
from passerby.video.detections import Boxes
from passerby.video.people import of_tracks


class Picture(NamedTuple):
    """A crop as it is stored."""

    jpeg: bytes
    width: int
    height: int

    @classmethod
    def of(cls, crop: np.ndarray, settings: Crops) -> "Picture":
        """Shrink and encode a crop, uint8 `(H, W, 3)`, RGB."""
        image = shrunk(crop, settings.store_height_px)
        return cls(encoded(image, settings.jpeg_quality), image.shape[1], image.shape[0])


def cut_video(
    path: Path,
    name: str,
    boxes: Boxes,
    size: tuple[int, int],
    settings: Crops,
    people: Mapping[int, int] = MappingProxyType({}),
) -> Source:
    """Cut the people out of one video.

    Args:
        path: The video.
        name: `country+city+id`; also the name of its one camera.
        boxes: What was detected in it.
        size: Width and height of the pictures that the boxes were found in.
        settings: Section `crops`.
        people: Who its tracks are, where that is known.

    Raises:
        BadInput: it is no whole video, or not the one that the boxes were found in.
    """
    reasons = filters.chosen(boxes.frame, boxes.box, boxes.track, size, settings)
    looked_at = np.flatnonzero(reasons == filters.KEPT)
    reasons[looked_at] = filters.code("damaged")  # until its frame has come
    pictures: dict[int, Picture] = {}
    for row, reason, crop in _judged(_opened(path, boxes, size), boxes, looked_at, settings):
        if reason is None:
            reasons[row] = filters.KEPT
            pictures[row] = Picture.of(crop, settings)
        else:
            reasons[row] = filters.code(reason)
    return _source(name, boxes, size, reasons, pictures, people)


def _judged(
    reader: VideoReader, boxes: Boxes, rows: np.ndarray, settings: Crops
) -> Iterator[tuple[int, Reason | None, np.ndarray]]:
    """Yield `(row, reason, crop)` for the rows whose frames can be decoded."""
    rows_at = _by_frame(boxes.frame, rows)
    size = reader.info.width, reader.info.height
    rectangle = filters.rectangles(filters.clipped(boxes.box[rows], *size))
    cuts = dict(zip(rows.tolist(), rectangle.tolist(), strict=True))
    seen: dict[int, list[int]] = {}
    for number, image in reader.frames(rows_at):
        kept = defaultdict(list)
        for row in rows_at[number]:
            left, top, right, bottom = cuts[row]
            crop, track = image[top:bottom, left:right], int(boxes.track[row])
            reason, hashed = look(crop, seen.get(track, []), settings)
            if reason is None:
                kept[track].append(hashed)
            yield row, reason, crop
        seen |= kept
    _say_damaged(reader)


def look(crop: np.ndarray, seen: list[int], settings: Crops) -> tuple[Reason | None, int]:
    """Judge a crop by its picture.

    Args:
        crop: uint8 `(H, W, 3)`, RGB.
        seen: Hashes of what was last kept of this track (without a track: of the last frame that
            gave any).
        settings: Section `crops`.

    Returns:
        Why it is left out, if it is, and its hash.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    hashed = filters.difference_hash(grey)
    if settings.min_sharpness and filters.sharpness(grey) < settings.min_sharpness:
        return "blurred", hashed
    if filters.is_repeat(hashed, seen, settings.max_same_bits):
        return "repeat", hashed
    return None, hashed


def shrunk(crop: np.ndarray, height_px: int) -> np.ndarray:
    """The crop at a height of at most `height_px`, its aspect kept.

    Example:
        >>> shrunk(np.zeros((300, 100, 3), np.uint8), 150).shape
        (150, 50, 3)
    """
    high, wide = crop.shape[:2]
    if high <= height_px:
        return crop
    width = max(1, round(wide * height_px / high))
    return cv2.resize(crop, (width, height_px), interpolation=cv2.INTER_AREA)


def _source(
    name: str,
    boxes: Boxes,
    size: tuple[int, int],
    reasons: np.ndarray,
    pictures: dict[int, Picture],
    people: Mapping[int, int],
) -> Source:
    """What was kept, in the order of the boxes."""
    rows = np.array(sorted(pictures), np.int64)
    stored = [pictures[row] for row in rows.tolist()]
    columns = {
        "frame": boxes.frame[rows],
        "index": numbers_in_frame(boxes.frame)[rows],
        "box": filters.clipped(boxes.box[rows], *size),
        "track": boxes.track[rows],
        "camera": np.zeros(len(rows)),
        "width": np.array([picture.width for picture in stored]),
        "height": np.array([picture.height for picture in stored]),
        "person": of_tracks(people, boxes.track[rows]),
    }
    return Source(
        name=name,
        kind="video",
        cameras=(name,),
        boxes=len(boxes.frame),
        left_out=filters.counted(reasons),
        jpegs=[picture.jpeg for picture in stored],
        columns={key: columns[key].astype(dtype) for key, dtype in COLUMNS.items()},
    )


def _by_frame(frame: np.ndarray, rows: np.ndarray) -> dict[int, list[int]]:
    found = defaultdict(list)
    for row in rows.tolist():
        found[int(frame[row])].append(row)
    return dict(found)


def _opened(path: Path, boxes: Boxes, size: tuple[int, int]) -> VideoReader:
    """Open a video, and see that the boxes can be of it."""
    reader = VideoReader(path)
    found, last = reader.info, int(boxes.frame.max(initial=-1))
    if (found.width, found.height) != size or last >= found.frames:
        raise BadInput(
            f"{path}: {found.frames} frames of {found.width}x{found.height} found, its boxes are "
            f"of {size[0]}x{size[1]} and go up to frame {last}: another rendition of "
            "the video; run 'dvc repro detect'"
        )
    return reader


def _say_damaged(reader: VideoReader) -> None:
    if reader.damaged:
        what = f"{reader.path}: damaged {describe(reader.damaged)}; their boxes are left out"
        say(f"crop: {what}", sys.stderr)
