"""The crop stage: every source cut once into scratch, then all merged in sorted order.

A source that is finished stays finished, whatever kills the run. The store, made in one pass at
the end, does not depend on which worker cut what, or when.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files, parallel, sealed
from passerby.contract import of_run
from passerby.crops import cut, images, montage, source
from passerby.crops.source import Source, added
from passerby.crops.store import CropStore, writing
from passerby.errors import BadInput, listing
from passerby.progress import Progress
from passerby.sealed import Damaged
from passerby.settings import Crops
from passerby.video import detections
from passerby.video.people import read as read_people

FOLLOWED = ("crops", "datasets", "video")
"""Rooms whose code decides the result."""
MONTAGE_TRACKS = 32
MONTAGE_EACH = 4
MONTAGE_COLUMNS = 16


@dataclass(frozen=True)
class Job:
    """A source to be cut."""

    name: str
    make: Callable[[], Source]
    input: Path
    """The file that it is made from, beside the detections."""


def build(
    settings: Crops, roots: Mapping[str, str], data: Path, people: Path | None = None
) -> None:
    """Make `crops.lmdb`, `crops_counts.json` and `crops_montage.jpg` in `data`.

    Args:
        settings: Section `crops`.
        roots: The folder of each benchmark that `settings.benchmarks` names.
        data: Where `videos/`, `detections.parquet` and `benchmarks/` are.
        people: A `people.tsv` (`passerby.video.people`), which need not be there.

    Raises:
        BadInput: a video or an index is missing or cannot be used; the disk is full.
    """
    who = read_people(people) if people else {}
    jobs = sorted(
        [*_videos(settings, data, who), *_benchmarks(settings, roots, data)],
        key=lambda job: job.name,
    )
    _refuse_missing(jobs)
    with files.scratch("crop", _contract(settings, data, jobs, who)) as scratch:
        shards = {job.name: scratch / f"{job.name}.npz" for job in jobs}
        _cut(jobs, shards)
        path = data / "crops.lmdb"
        with writing(path) as writer:
            for job in jobs:
                writer.add(_read(job, shards[job.name]))
        _describe(CropStore(path), data)


def summary(header: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a store's header, all videos taken together.

    Example:
        >>> one = {"name": "de+bonn+1", "kind": "video", "boxes": 3, "kept": 2,
        ...        "left_out": {"small": 1}}
        >>> summary({"sources": [one, one | {"name": "de+bonn+2"}], "tracks": 1})["videos"]
        {'sources': 2, 'boxes': 6, 'crops': 4, 'left_out': {'small': 2}}
    """
    videos = [entry for entry in header["sources"] if entry["kind"] == "video"]
    sets = [entry for entry in header["sources"] if entry["kind"] == "images"]
    return {
        "total": {**_sums(header["sources"]), "tracks": header["tracks"]},
        "videos": _sums(videos),
        "images": {entry["name"]: _sums([entry]) for entry in sets},
    }


def _videos(settings: Crops, data: Path, who: dict[str, dict[int, int]]) -> Iterator[Job]:
    found = detections.read(data / "detections.parquet")
    begins = np.searchsorted(found.video, np.arange(len(found.videos) + 1))
    for number, name in enumerate(found.videos):
        rows = slice(begins[number], begins[number + 1])
        boxes = detections.Boxes(
            found.frame[rows], found.box[rows], found.confidence[rows], found.track[rows]
        )
        size = (int(found.widths[number]), int(found.heights[number]))
        path = data / "videos" / f"{name}.mp4"
        make = partial(cut.cut_video, path, name, boxes, size, settings, who.get(name, {}))
        yield Job(name, make, path)


def _benchmarks(settings: Crops, roots: Mapping[str, str], data: Path) -> Iterator[Job]:
    for name in settings.benchmarks:
        path = data / "benchmarks" / f"{name}.tsv"
        make = partial(images.from_benchmark, path, Path(roots[name]), settings)
        yield Job(f"{images.PREFIX}{name}", make, path)


def _refuse_missing(jobs: list[Job]) -> None:
    missing = [str(job.input) for job in jobs if not job.input.is_file()]
    if missing:
        raise BadInput(
            f"{len(missing)} of {len(jobs)} sources are missing: {listing(missing)}; "
            "run 'dvc repro download detect benchmark'"
        )


def _contract(
    settings: Crops, data: Path, jobs: list[Job], who: dict[str, dict[int, int]]
) -> dict[str, Any]:
    """Everything that decides the bytes of a shard. Videos by size and time: hashing is slow."""
    stats = {job.name: job.input.stat() for job in jobs}
    told = {
        "settings": settings.contract("benchmarks"),
        "people": files.fingerprint(sorted((v, sorted(t.items())) for v, t in who.items())),
        "detections": files.sha256(data / "detections.parquet"),
        "inputs": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()},
    }
    return of_run(told, FOLLOWED, ["av"])


def _cut(jobs: list[Job], shards: Mapping[str, Path]) -> None:
    """Cut the sources that an earlier run has not finished."""
    waiting = [job for job in jobs if not shards[job.name].exists()]
    done = len(jobs) - len(waiting)
    pool = ThreadPoolExecutor(parallel.workers())
    try:
        with Progress("crop", len(jobs), "sources", done=done) as progress:
            futures = [pool.submit(_finish, job, shards[job.name]) for job in waiting]
            for future in as_completed(futures):
                for reason, count in future.result().items():
                    progress.leave_out(reason, count)
                progress.step()
    finally:
        pool.shutdown(cancel_futures=True)


def _finish(job: Job, shard: Path) -> dict[str, int]:
    """Cut one source and keep it; gives what was left out."""
    made = job.make()
    source.write(shard, made)
    return made.left_out


def _read(job: Job, shard: Path) -> Source:
    """The crops of a source; it is cut again if its shard is damaged."""
    try:
        return source.read(shard)
    except Damaged as error:
        sealed.say_again("crop", error, f"{job.name} is cut again")
        _finish(job, shard)
        return source.read(shard)


def _describe(store: CropStore, data: Path) -> None:
    files.write_json(data / "crops_counts.json", summary(store.header))
    groups = montage.by_tracks(store, MONTAGE_TRACKS, MONTAGE_EACH)
    montage.draw(store, groups, MONTAGE_EACH, MONTAGE_COLUMNS, data / "crops_montage.jpg")


def _sums(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    listed = list(entries)
    return {
        "sources": len(listed),
        "boxes": sum(entry["boxes"] for entry in listed),
        "crops": sum(entry["kept"] for entry in listed),
        "left_out": added([entry["left_out"] for entry in listed]),
    }
