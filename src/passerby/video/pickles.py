"""LUPerson's and LUPerson-NL's pickles of detections: one `country+city+id.pkl` for each video.

A dictionary: frame -> list of `[index in frame, {"bbox": xyxy in pixels, "conf": ..., "pid": ...}]`
(LUPerson counts frames from 1 and has no `pid`, LUPerson-NL counts from 0 and has one). Neither
states the size or the rate of the video that the boxes were made on: both are checked against ours.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.errors import BadInput, listing
from passerby.foreign import first_line, is_file
from passerby.video import unpickle
from passerby.video.decode import VideoInfo
from passerby.video.detections import Boxes, boxes

BAD_SHARE = 0.01  # of boxes that are no boxes: above it the file is something else
OUTSIDE_SHARE = 0.05  # of boxes with their middle outside the picture
FILLED_SHARE = 0.7  # of width and height: boxes that reach no further may be of a smaller picture
ENOUGH_TO_TELL = 50
MOST_FRAME = 2**31 - 1


@dataclass(frozen=True)
class Read:
    """What a pickle held.

    Attributes:
        boxes: The boxes that are boxes.
        bad: How many were not finite or had no area; they are left out.
        hint: A suspicion that is no proof, or nothing.
    """

    boxes: Boxes
    bad: int
    hint: str


def read(path: str | Path, first_frame: int, with_tracks: bool, info: VideoInfo) -> Read:
    """Read the detections of one video and check them against it.

    Args:
        path: The pickle.
        first_frame: Number of the first frame in it, 0 or 1.
        with_tracks: Whether its boxes have a `pid`.
        info: The video.

    Raises:
        BadInput: it is no pickle of detections, wants to call something, or does not fit the
            settings or the video.
    """
    frame, box, confidence, track = _columns(Path(path), unpickle.load(path), with_tracks)
    _check_frames(path, frame, first_frame, info)
    good = np.isfinite(box).all(axis=1) & (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])
    good &= np.isfinite(confidence)
    bad = int((~good).sum())
    if bad > BAD_SHARE * len(good):
        raise BadInput(
            f"{path}: {bad:,} of {len(good):,} boxes are not finite or have no area; "
            "x1 y1 x2 y2 in pixels was wanted"
        )
    found = boxes(frame - first_frame, box, confidence, track).at(
        good[np.argsort(frame, kind="stable")]
    )
    _check_places(path, found, info)
    return Read(found, bad, _hint(found, info))


def _columns(
    path: Path, content: Any, with_tracks: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`(frame, box, confidence, track)` as the pickle has them."""
    if not isinstance(content, dict):
        raise BadInput(f"{path}: found a {type(content).__name__}, wanted a dictionary of frames")
    frame, box, confidence, track = [], [], [], []
    for key, elements in content.items():
        where = f"{path}: frame {repr(key)[:40]}"
        if (
            not isinstance(key, int)
            or abs(key) > MOST_FRAME
            or not isinstance(elements, list | tuple)
        ):
            raise BadInput(f"{where}: wanted a frame number with a list of boxes")
        for place, element in sorted(enumerate(elements), key=lambda item: _index(where, item[1])):
            info = _info(f"{where}, box {place}", element, with_tracks)
            frame.append(key)
            box.append(info[0])
            confidence.append(info[1])
            track.append(info[2])
    return (
        np.array(frame, np.int64),
        np.array(box, np.float32).reshape(-1, 4),
        np.array(confidence, np.float32),
        np.array(track, np.int64),
    )


def _index(where: str, element: Any) -> int:
    """The index in the frame of a `[index, info]` pair."""
    if isinstance(element, list | tuple) and len(element) == 2 and isinstance(element[1], dict):
        try:
            return int(element[0])
        except (TypeError, ValueError, OverflowError):
            pass
    raise BadInput(f"{where}: found {str(element)[:60]!r}, wanted [index, {{'bbox': ...}}]")


def _info(where: str, element: Any, with_tracks: bool) -> tuple[np.ndarray, float, int]:
    """Box, confidence and track of one element."""
    info = element[1]
    try:
        with np.errstate(
            over="ignore"
        ):  # what float32 has no room for is infinite, and is left out
            box = np.asarray(info["bbox"], np.float32).reshape(4)
            confidence = float(np.asarray(info.get("conf", 1.0), np.float32).reshape(()))
        track = int(info.get("pid", -1))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput(
            f"{where}: 'bbox' of four numbers, 'conf' and 'pid' were wanted ({first_line(error)})"
        ) from None
    if with_tracks != ("pid" in info):
        found = "no 'pid'" if with_tracks else "a 'pid'"
        kind = "LUPerson's, not LUPerson-NL's" if with_tracks else "LUPerson-NL's, not LUPerson's"
        raise BadInput(
            f"{where} has {found}: this pickle is {kind}; set detect.with_tracks: "
            f"{str(not with_tracks).lower()} and look at detect.first_frame"
        )
    if with_tracks and not 0 <= track < 2**31:
        raise BadInput(f"{where}: 'pid' {str(track)[:40]}; a number from 0 on was wanted")
    return box, confidence, track


def _check_frames(path: str | Path, frame: np.ndarray, first_frame: int, info: VideoInfo) -> None:
    """Refuse frames that the video does not have, with what that looks like."""
    if len(frame) == 0:
        return
    lowest, highest = int(frame.min()) - first_frame, int(frame.max()) - first_frame
    if lowest >= 0 and highest < info.frames:
        return
    asked = f"detect.first_frame: {first_frame} gives frames {lowest} to {highest}"
    has = f"the video has frames 0 to {info.frames - 1}"
    if lowest == -1:
        advice = "it looks 0-based (LUPerson-NL): set detect.first_frame: 0"
    elif first_frame == 0 and highest == info.frames:
        advice = "it looks 1-based (LUPerson): set detect.first_frame: 1"
    else:
        advice = (
            f"the boxes were made on another video, or at another rate than {info.fps:g} frames/s: "
            "see 'videos.format' and 'videos.max_fps'"
        )
    raise BadInput(f"{path}: {asked}, {has}; {advice}")


def _check_places(path: str | Path, found: Boxes, info: VideoInfo) -> None:
    """Refuse boxes that lie elsewhere than the picture."""
    x, y = (found.box[:, :2] + found.box[:, 2:]).T / 2
    outside = (x < 0) | (y < 0) | (x > info.width) | (y > info.height)
    if outside.sum() > OUTSIDE_SHARE * len(found):
        right, bottom = found.box[:, 2:].max(axis=0)
        raise BadInput(
            f"{path}: {int(outside.sum()):,} of {len(found):,} boxes have their middle outside the "
            f"{info.width}x{info.height} picture (they reach to {right:.0f}x{bottom:.0f}): made at "
            "another resolution; fetch the video at theirs by 'videos.format'"
        )


def _hint(found: Boxes, info: VideoInfo) -> str:
    """Whether boxes fill only the upper left of the picture, as those of a smaller one would."""
    if len(found) < ENOUGH_TO_TELL:
        return ""
    right, bottom = (found.box[:, 2:].max(axis=0) / (info.width, info.height)).tolist()
    if max(right, bottom) > FILLED_SHARE:
        return ""
    return (
        f"all boxes lie in the upper left {right:.0%} x {bottom:.0%} of the picture: were they "
        "made on a smaller one?"
    )


def missing(names: list[str], folder: Path) -> None:
    """Refuse at once all videos that have no pickle.

    Raises:
        BadInput: naming them.
    """
    absent = [name for name in names if not is_file(folder / f"{name}.pkl")]
    if absent:
        raise BadInput(
            f"{folder}: {len(absent):,} of {len(names):,} videos have no pickle 'NAME.pkl': "
            f"{listing(absent)}; unpack the whole archive, or use a detector ('detect.method')"
        )
