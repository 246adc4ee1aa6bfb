"""What `passerby crops` does: say, show, check and export a store. Plain functions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files, places
from passerby.crops import montage, names
from passerby.crops.store import CropStore
from passerby.errors import BadInput
from passerby.progress import Progress
from passerby.text import line

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
        *(f"{count:>12,} left out: {line(reason)}" for reason, count in header["left_out"].items()),
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
        BadInput: it is no store that can be read, or has no such track; or `out` is the store.
    """
    store = CropStore(path)
    places.require_unread(out, [path])
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
        BadInput: it is no store that can be read, the folder is not empty, or a crop would lie
            outside it or where another one lies.
    """
    store, target = CropStore(path), Path(folder)
    if any(places.make_folder(target).iterdir()):
        raise BadInput(f"{folder}: not empty; name a new folder")
    inside, folders = target.resolve(), set[Path]()
    lines = ["path\tcrop\ttrack\tcamera\tx1\ty1\tx2\ty2"]
    with Progress("export", len(store), "crops") as progress:
        for i in range(len(store)):
            name = file_name(store, i)
            _put(inside, name, store.jpeg(i), folders)
            box = "\t".join(f"{edge:g}" for edge in store.box[i])
            told = (name, store.name(i), store.track[i], store.cameras[store.camera[i]])
            lines.append("\t".join((*map(line, told), box)))
            progress.step()
    with places.written_to(target / EXPORT_TABLE), _no_clash(target / EXPORT_TABLE):
        (target / EXPORT_TABLE).touch(exist_ok=False)  # a source may have made a folder of it
    files.write_text(target / EXPORT_TABLE, "\n".join(lines) + "\n")
    return f"{folder}: {len(store):,} crops, described in {EXPORT_TABLE}"


def file_name(store: CropStore, i: int) -> str:
    """Where crop `i` is exported to: `country/city/video/frame_box.jpg`."""
    video = store.videos[store.video[i]]
    return f"{'/'.join(names.parts(video))}/{store.frame[i]:08d}_{store.index[i]:04d}.jpg"


def _put(target: Path, name: str, jpeg: bytes, folders: set[Path]) -> None:
    """Write a crop within `target`, a resolved folder; `folders` are those made so far.

    Names are checked when a store is opened. This is the second lock: the folder of the crop really
    lies within the target, and no file is written over another.
    """
    path = target / name
    with places.written_to(path), _no_clash(path):
        if path.parent not in folders:
            if not path.parent.resolve().is_relative_to(target):
                raise BadInput(f"{path}: outside {target}, so not written; get the store anew")
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        with path.open("xb") as file:
            file.write(jpeg)


@contextmanager
def _no_clash(path: Path) -> Iterator[None]:
    """Turn a name that is taken already into a refusal."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise BadInput(
            f"{path}: two sources or crops of the store would have this name; get the store anew, "
            "or 'dvc repro crop' makes it"
        ) from None


def _of_track(store: CropStore, track: int) -> np.ndarray:
    crops = np.flatnonzero(store.track == track)
    if track < 0 or not len(crops):
        last = store.header["tracks"] - 1
        raise BadInput(f"{store.path}: no track {track}; it has tracks 0 to {last}")
    return crops


def _line(entry: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{line(reason)} {count:,}" for reason, count in entry["left_out"].items())
    left_out = f"  (left out: {reasons})" if reasons else ""
    return f"{entry['kept']:>12,} {entry['boxes']:>12,}  {line(entry['name'])}{left_out}"
