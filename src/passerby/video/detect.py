"""Boxes of all videos: out of pickles, or from a detector and a tracker; resumable by video.

Each video's boxes lie in scratch as a table of their own until all are there.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files, sealed
from passerby.contract import of_run
from passerby.errors import BadInput, listing
from passerby.foreign import exists, is_file
from passerby.progress import Progress
from passerby.sealed import Damaged
from passerby.settings import Detect
from passerby.text import say
from passerby.video import decode, detections, detectors, ledger, pickles, tracking
from passerby.video.detections import Boxes, Detections
from passerby.video.ledger import Row

Found = tuple[Boxes, list[str]]
"""The boxes of a video; the texts are what does not stop the work and must not go unseen."""
Finder = Callable[[Row], Found]
FOLLOWED = ("video",)
"""Rooms whose code decides the result."""
COMPUTE = ("av", "onnxruntime", "openvino", "trackers", "ultralytics")
"""Packages that decode, detect and track."""


def detect(
    section: Detect,
    root: str | Path,
    folder: str | Path = "data/videos",
    table: str | Path = "data/videos.tsv",
    out: str | Path = "data/detections.parquet",
) -> None:
    """Find the people in all videos that are ok, and write one table.

    Args:
        section: By which method.
        root: Folder with `detections/NAME.pkl`, for pickles.
        folder: The videos.
        table: Their ledger.
        out: Becomes the table.

    Raises:
        BadInput: videos, pickles, the model or a package are missing, bad or do not fit together.
    """
    rows = sorted((row for row in ledger.read(table) if row.state == "ok"), key=lambda r: r.name)
    _check_present(rows, Path(folder))
    pickled = Path(root) / "detections"
    if section.method == "pickles":
        pickles.missing([row.name for row in rows], pickled)
    finder = (
        _pickle_finder(section, pickled)
        if section.method == "pickles"
        else _detector_finder(section, Path(folder))
    )
    with files.scratch("detect", _contract(section)) as scratch:
        shards = {row.name: scratch / f"{_shard(row, pickled)}.parquet" for row in rows}
        found = _all(rows, shards, finder, section.method)
        parts = {name: boxes for name, (boxes, _) in found.items()}
        sizes = {row.name: (row.width, row.height) for row in rows}
        notes = [f"{row.name}: {note}" for row in rows for note in found[row.name][1]]
        joined = detections.joined(parts, sizes, section.method)
        detections.write(out, joined)
    say(f"detect: {summary(joined, notes)}", sys.stderr)


def summary(found: Detections, notes: list[str]) -> str:
    """How much was found, and what must not go unseen."""
    tracked = found.track >= 0
    tracks = len(np.unique(found.video[tracked] * np.int64(2**32) + found.track[tracked]))
    text = f"{len(found):,} boxes and {tracks:,} tracks in {len(found.videos):,} videos"
    return text + (f"; {listing(notes)}" if notes else "")


def _all(rows: list[Row], shards: dict[str, Path], finder: Finder, source: str) -> dict[str, Found]:
    """What is found in each video: in its shard if that is finished, else by the finder."""
    found = {row.name: _kept(row.name, shards[row.name]) for row in rows}
    left = [row for row in rows if found[row.name] is None]
    with Progress("detect", len(rows), "videos", done=len(rows) - len(left)) as progress:
        for row in left:
            part, notes = found[row.name] = finder(row)
            shard, size = shards[row.name], {row.name: (row.width, row.height)}
            detections.write(shard, detections.joined({row.name: part}, size, source))
            # Written last: it says that the shard is finished, and how to tell whether it is whole.
            sealed.write_json(_notes(shard), {"sha256": files.sha256(shard), "notes": notes})
            progress.step()
    return {name: each for name, each in found.items() if each is not None}


def _kept(name: str, shard: Path) -> Found | None:
    """What an earlier run found in a video; `None` if there is none, or it is damaged."""
    if not _notes(shard).exists():
        return None
    try:
        told = sealed.read_json(_notes(shard))
        sealed.check(shard, told["sha256"])
    except Damaged as error:
        sealed.say_again("detect", error, f"{name} is looked at again")
        return None
    return detections.read(shard).of(name), told["notes"]


def _notes(shard: Path) -> Path:
    return shard.with_suffix(".json")


def _pickle_finder(section: Detect, folder: Path) -> Finder:
    """Reads a video's pickle and checks it against the ledger's row."""

    def find(row: Row) -> tuple[Boxes, list[str]]:
        info = decode.VideoInfo(row.frames, row.fps, row.width, row.height)
        path = folder / f"{row.name}.pkl"
        found = pickles.read(path, section.first_frame, section.with_tracks, info)
        notes = [f"{found.bad:,} boxes without area left out"] if found.bad else []
        return found.boxes, notes + ([found.hint] if found.hint else [])

    return find


def _detector_finder(section: Detect, folder: Path) -> Finder:
    """Decodes a video, detects in every n-th frame, and tracks."""
    detector = detectors.make(section)

    def find(row: Row) -> tuple[Boxes, list[str]]:
        reader = decode.VideoReader(folder / f"{row.name}.mp4")
        looked_at = range(0, reader.info.frames, section.every)
        frames, found, sure = [], [], []
        for number, image in reader.frames(looked_at):
            box, confidence = detector(image)
            frames += [number] * len(box)
            found += list(box)
            sure += list(confidence)
        notes = [f"damaged {decode.describe(reader.damaged)}"] if reader.damaged else []
        every_box = detections.boxes(frames, found, sure)
        return tracking.track(every_box, looked_at, reader.info.fps, section), notes

    return find


def _contract(section: Detect) -> dict[str, Any]:
    """What decides a video's boxes, given the video and its pickle."""
    model = section.model if section.method != "pickles" else ""
    if model and exists(model):
        model = files.sha256(detectors.model_file(Path(model)))
    return of_run({**section.contract("model"), "model": model}, FOLLOWED, COMPUTE)


def _shard(row: Row, pickled: Path) -> str:
    """Names a video's boxes by all that they come from."""
    path = pickled / f"{row.name}.pkl"
    return files.fingerprint([row.name, row.sha256, files.sha256(path) if exists(path) else ""])


def _check_present(rows: list[Row], folder: Path) -> None:
    """Refuse at once all videos that the ledger has and the folder has not."""
    absent = [row.name for row in rows if not is_file(folder / f"{row.name}.mp4")]
    if absent:
        raise BadInput(
            f"{folder}: {len(absent):,} of {len(rows):,} videos of the ledger are missing: "
            f"{listing(absent)}; run the stage 'download' again"
        )
