"""Downloading the whole list: a pool of threads, a state for each line, resumable.

Each video's result lies in scratch as a file of its own, so whatever kills the run, what was
fetched stays and is not fetched again. Lines that ended as `limited` or `network` are asked again
by the next run.
"""

import contextlib
import dataclasses
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from passerby import files
from passerby.errors import BadInput, Stopped, listing
from passerby.foreign import is_file
from passerby.progress import Progress
from passerby.settings import Videos
from passerby.video import ledger, loopback
from passerby.video.fetch import fetch, selector
from passerby.video.ledger import RETRYABLE, Row
from passerby.video.listing import Entry, Listing
from passerby.video.listing import read as read_list

FASTER = 1.02  # rates are rounded: 30.3 frames a second still count as 30


def download(
    section: Videos,
    folder: str | Path = "data/videos",
    table: str | Path = "data/videos.tsv",
) -> list[Row]:
    """Fetch the videos of `root/list.txt`, and write a row for each line of it.

    Args:
        section: Where the list is, and how to download.
        folder: Becomes the folder of the videos, `NAME.mp4` each.
        table: Becomes the ledger.

    Returns:
        The rows, in the order of the list.

    Raises:
        BadInput: the list, the cookies or the served folder are missing or bad, or not a single
            video could be had for good.
        Stopped: more lines than `max_unfinished_share` ended as limited or network; what was
            fetched is kept in scratch.
    """
    lines = read_list(Path(section.root) / "list.txt")
    if section.cookies_file and not is_file(section.cookies_file):
        raise BadInput(f"videos.cookies_file: {section.cookies_file}: no such file")
    with files.scratch("download", _contract(section)) as scratch:
        with _server(section) as port:
            rows = _Run(section, port, scratch).all(lines)
        _refuse_too_little(section, rows)
        _deliver(rows, scratch / "videos", Path(folder))
        ledger.write(table, rows)
    print(f"download: {summary(rows, lines.repeats, section)}", file=sys.stderr)
    return rows


def summary(rows: list[Row], repeats: int, section: Videos) -> str:
    """What became of the lines, in one line.

    Example:
        >>> rows = [Row("a+b+c", "ok", fps=60.0), Row("a+b+d", "removed")]
        >>> summary(rows, 1, Videos(root="data/street"))
        '2 videos: ok 1, removed 1; 1 repeated line; faster than 30 frames/s: a+b+c'
    """
    counts = Counter(row.state for row in rows)
    text = f"{len(rows):,} videos: " + ", ".join(
        f"{state} {counts[state]:,}" for state in ledger.STATES if counts[state]
    )
    if repeats:
        text += f"; {repeats:,} repeated line{'s' if repeats > 1 else ''}"
    fast = [row.name for row in rows if row.fps > section.max_fps * FASTER]
    if fast:
        text += f"; faster than {section.max_fps} frames/s: {listing(fast)}"
    return text


class _Run:
    """One run over the list: asks what has no lasting result yet, until it is told to wait."""

    def __init__(self, section: Videos, port: int, scratch: Path) -> None:
        self.section, self.port = section, port
        self.videos, self.done = scratch / "videos", scratch / "done"
        self.videos.mkdir(exist_ok=True)
        self.done.mkdir(exist_ok=True)
        self._limited = 0
        self._stop = threading.Event()

    def all(self, lines: Listing) -> list[Row]:
        """A row for each distinct line, in order."""
        found = {entry: self._earlier(entry) for entry in lines.entries}
        left = [entry for entry, row in found.items() if row is None]
        total, before = len(found), len(found) - len(left)
        with (
            Progress("download", total, "videos", done=before) as progress,
            ThreadPoolExecutor(self.section.workers) as pool,
        ):
            try:
                for entry, row in zip(left, pool.map(self._ask, left), strict=True):
                    found[entry] = row
                    progress.leave_out(row.state, int(row.state != "ok"))
                    progress.step()
            except BaseException:
                self._stop.set()  # or the pool would go through the rest before it gives way
                raise
        return [row for row in found.values() if row is not None]

    def _ask(self, entry: Entry) -> Row:
        for attempt in range(self.section.retries + 1):
            wait_s = self.section.sleep_s + (self.section.retry_wait_s * 2**attempt) * (attempt > 0)
            if self._stop.wait(wait_s):
                return Row(entry.name, "limited", reason="not asked")
            row = fetch(self.section, entry, self.port, self.videos)
            if row.state != "network":
                break
        if row.state == "limited":
            self._count_limited()
        elif row.state not in RETRYABLE:
            files.write_json(self._note(entry), dataclasses.asdict(row))
        return row

    def _count_limited(self) -> None:
        """Asking on while the host wants us to wait makes it worse for all that are left."""
        self._limited += 1
        if self._limited >= self.section.max_limited:
            self._stop.set()

    def _earlier(self, entry: Entry) -> Row | None:
        """What an earlier run found, if it holds for good and its file is still there."""
        note = self._note(entry)
        if not note.exists():
            return None
        row = Row(**files.read_json(note))
        path = self.videos / f"{entry.name}.mp4"
        whole = row.state != "ok" or (path.exists() and path.stat().st_size == row.bytes)
        return row if whole else None

    def _note(self, entry: Entry) -> Path:
        return self.done / f"{entry.name}.json"


def _contract(section: Videos) -> dict[str, Any]:
    """What decides the bytes of a video, given its line of the list."""
    return {
        "format": selector(section),
        "max_size_mb": section.max_size_mb,
        "url_template": section.url_template,
        "served": _served(section),
    }


def _served(section: Videos) -> list[tuple[str, int, int]]:
    """Name, size and time of each file on loopback: a city drawn anew is another city."""
    if not section.serve:
        return []
    folder = Path(section.root) / "videos"
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; 'videos.serve: true' serves the videos in it")
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


@contextlib.contextmanager
def _server(section: Videos) -> Iterator[int]:
    """The port of the loopback server where the settings want one, else 0."""
    if not section.serve:
        yield 0
        return
    with loopback.serve(Path(section.root) / "videos") as port:
        yield port


def _refuse_too_little(section: Videos, rows: list[Row]) -> None:
    """Stop where lines may still be had, or where there is nothing to go on with."""
    unfinished = [row for row in rows if row.state in RETRYABLE]
    if len(unfinished) > section.max_unfinished_share * len(rows):
        counts = Counter(f"{row.state}: {row.reason}" for row in unfinished)
        raise Stopped(
            f"download: {len(unfinished):,} of {len(rows):,} videos could not be had now: "
            f"{listing([f'{n:,} {why}' for why, n in counts.most_common()])} "
            f"({listing([row.name for row in unfinished], most=3)})\n  what was fetched is kept: "
            "run again later (where it says limited: more 'sleep_s', fewer 'workers', a "
            "'cookies_file'), or go on without them by 'videos.max_unfinished_share'"
        )
    if not any(row.state == "ok" for row in rows):
        counts = Counter(f"{row.state}: {row.reason}" for row in rows)
        raise BadInput(
            f"download: not one of {len(rows):,} videos could be had: "
            f"{listing([f'{n:,} {why}' for why, n in counts.most_common()])}; check "
            "'videos.url_template', 'videos.format' and the list"
        )


def _deliver(rows: list[Row], fetched: Path, folder: Path) -> None:
    """Put the videos that are ok into `folder`, which is made anew.

    Linked, not moved: a run that is killed here finds them in scratch again.
    """
    files.empty_folder(folder)
    for row in rows:
        if row.state == "ok":
            source, target = fetched / f"{row.name}.mp4", folder / f"{row.name}.mp4"
            try:
                os.link(source, target)
            except OSError:  # another file system
                shutil.copyfile(source, target)
