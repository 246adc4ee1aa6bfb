"""What `passerby crops` does: say, show, check and export a store. Plain functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files
from passerby.crops import montage
from passerby.crops.store import CropStore
from passerby.errors import BadInput
from passerby.progress import Progress

INFO_SOURCES = 20
SHOWN_COLUMNS = 16
SHOWN_EACH = 4
EXPORT_TABLE = "crops.tsv"


def info(path: str | Path) -> str:
    """What a store holds, as a table: totals, reasons, and its largest sources.

    Raises:
        BadInput: it is no store that can be read.
    """
    store = CropStore(path)
    header = store.header
    size_mb = Path(path).stat().st_size / 1e6
    lines = [
        f"{path}: {header['format']}, {size_mb:,.1f} MB",
        f"{len(store):>12,} crops of {header['boxes']:,} boxes",
        f"{header['tracks']:>12,} tracks; {np.sum(store.track < 0):,} crops without one",
        f"{len(store.cameras):>12,} cameras, {len(store.videos):,} sources",
        *(f"{count:>12,} left out: {reason}" for reason, count in header["left_out"].items()),
        "",
        f"{'crops':>12} {'boxes':>12}  source",
    ]
    largest = sorted(header["sources"], key=lambda entry: (-entry["kept"], entry["name"]))
    lines += [_line(entry) for entry in largest[:INFO_SOURCES]]
    if len(largest) > INFO_SOURCES:
        lines.append(f"{'':>12} {'':>12}  and {len(largest) - INFO_SOURCES:,} smaller ones")
    return "\n".join(lines)


def show(path: str | Path, out: str | Path, count: int = 128, track: int | None = None) -> str:
    """Draw crops of a store into a JPEG file.

    Args:
        path: The store.
        out: The picture.
        count: How many crops at most; of tracks that are evenly spaced over the store, four each.
        track: Only crops of this track.

    Raises:
        BadInput: it is no store that can be read, or has no such track.
    """
    store = CropStore(path)
    if track is None:
        each, columns = SHOWN_EACH, SHOWN_COLUMNS
        groups = montage.by_tracks(store, max(1, count // each), each)
    else:
        crops = _of_track(store, track)
        each = columns = min(SHOWN_COLUMNS, len(crops))
        groups = montage.in_groups(crops[montage.evenly(len(crops), count)], each)
    montage.draw(store, groups, each, columns, out)
    return f"{out}: {sum(map(len, groups)):,} of {len(store):,} crops"


def verify(path: str | Path) -> str:
    """Decode every crop of a store, check its checksums and counts.

    Raises:
        BadInput: something is wrong; the message lists it.
    """
    store = CropStore(path)
    store.verify()
    return (
        f"{path}: {len(store):,} crops decode to their stated sizes; all checksums and counts agree"
    )


def export(path: str | Path, folder: str | Path) -> str:
    """Write a store as files `country/city/video/frame_box.jpg`, as LUPerson lays crops out.

    Unlike there, videos have folders of their own, so that no crop hides another. Sets of images
    go to a folder of their name. `crops.tsv` tells of each file its crop, track, camera and box.

    Raises:
        BadInput: it is no store that can be read, or the folder is not empty.
    """
    store, target = CropStore(path), Path(folder)
    if target.exists() and any(target.iterdir()):
        raise BadInput(f"{folder}: not empty; name a new folder")
    target.mkdir(parents=True, exist_ok=True)
    lines = ["path\tcrop\ttrack\tcamera\tx1\ty1\tx2\ty2"]
    with Progress("export", len(store), "crops") as progress:
        for i in range(len(store)):
            name = file_name(store, i)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(store.jpeg(i))
            box = "\t".join(f"{edge:g}" for edge in store.box[i])
            camera = store.cameras[store.camera[i]]
            lines.append(f"{name}\t{store.name(i)}\t{store.track[i]}\t{camera}\t{box}")
            progress.step()
    files.write_text(target / EXPORT_TABLE, "\n".join(lines) + "\n")
    return f"{folder}: {len(store):,} crops, described in {EXPORT_TABLE}"


def file_name(store: CropStore, i: int) -> str:
    """Where crop `i` is exported to: `country/city/video/frame_box.jpg`."""
    video = store.videos[store.video[i]]
    return f"{video.replace('+', '/', 2)}/{store.frame[i]:08d}_{store.index[i]:04d}.jpg"


def _of_track(store: CropStore, track: int) -> np.ndarray:
    crops = np.flatnonzero(store.track == track)
    if track < 0 or not len(crops):
        last = store.header["tracks"] - 1
        raise BadInput(f"{store.path}: no track {track}; it has tracks 0 to {last}")
    return crops


def _line(entry: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in entry["left_out"].items())
    left_out = f"  (left out: {reasons})" if reasons else ""
    return f"{entry['kept']:>12,} {entry['boxes']:>12,}  {entry['name']}{left_out}"
