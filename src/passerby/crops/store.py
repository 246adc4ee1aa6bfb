"""The crop store, `data/crops.lmdb`: this file owns the format `passerby.crops/3`, both ways.

One LMDB file. A crop's key is its number, 8 bytes, big-endian; its value is a JPEG. Behind the
crops stand the columns, each one value (`column/frame`, ...: plain little-endian numbers), and
last of all the `header` in JSON. A file without a header is unfinished, whatever else it holds.

The column `checksum` holds the CRC-32 of each JPEG, the header the SHA-256 of each column and of
itself. Columns and header are checked when a store is opened, a crop whenever it is read.

Equal crops in equal order give equal bytes: the file is made in one pass, appended in batches of a
fixed size, because where LMDB puts a page depends on which transaction wrote it. A copy that
compacts is not needed for that and would write everything twice.

No `writemap`: such a file has the size of its map. Readers never lock: a lock would leave a second
file beside the store, and nobody ever changes a store that has its name.
"""

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np

from passerby import files
from passerby.crops import checks, checksums, names, pages
from passerby.crops.source import COLUMNS, Source, added, dense
from passerby.errors import BadInput, listing
from passerby.foreign import require_file

FORMAT = "passerby.crops/3"
BATCH = 1000
"""Records of one transaction; another number gives other bytes."""

_HEADER = b"header"
_ALL_COLUMNS: dict[str, np.dtype[Any]] = {
    "video": np.dtype("<i4"),
    **COLUMNS,
    "checksum": np.dtype("<u4"),
}
_FIRST_MAP_BYTES = 1 << 26
_PAGE_BYTES = 4096


@contextmanager
def writing(path: str | Path) -> Iterator["StoreWriter"]:
    """Yield a writer; on success the store is whole and has its name, else there is none.

    Raises:
        BadInput: the disk does not take it.
    """
    with files.written_whole(path) as beside, closing(StoreWriter(beside)) as writer:
        yield writer
        writer.finish()


class StoreWriter:
    """Appends sources, sorted by name, to a new store. Use it through `writing`."""

    def __init__(self, path: Path) -> None:
        self._map_bytes = _FIRST_MAP_BYTES
        self._wanted_bytes = 0
        self._env = lmdb.open(
            os.fsencode(path),
            subdir=False,
            lock=False,
            sync=False,  # `written_whole` syncs the whole file before it gets its name
            metasync=False,
            map_size=self._map_bytes,
        )
        self._waiting: list[bytes] = []
        self._written = 0
        self._sources: list[dict[str, Any]] = []
        self._cameras: list[str] = []
        self._tracks = 0
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in _ALL_COLUMNS}

    def add(self, source: Source) -> None:
        """Append the crops of one source; its tracks and cameras get numbers of the whole store."""
        last = self._sources[-1]["name"] if self._sources else ""
        assert last < source.name, f"sources must come sorted by name: {last}, {source.name}"
        for jpeg in source.jpegs:
            self._waiting.append(jpeg)
            if len(self._waiting) == BATCH:
                self._flush()
        columns = dict(source.columns)
        columns["video"] = np.full(len(source.jpegs), len(self._sources))
        columns["camera"] = columns["camera"] + len(self._cameras)
        columns["track"], count = dense(columns["track"], self._tracks)
        columns["checksum"] = checksums.of_crops(source.jpegs)
        for name, dtype in _ALL_COLUMNS.items():
            self._columns[name].append(columns[name].astype(dtype))
        self._tracks += count
        self._cameras.extend(source.cameras)
        self._sources.append(source.facts)

    def finish(self) -> None:
        """Write what waits, the columns, and the header last."""
        self._flush()
        digests = {}
        for name in sorted(_ALL_COLUMNS):
            parts = self._columns.pop(name)
            data = np.concatenate(parts).tobytes() if parts else b""
            digests[name] = checksums.of_column(data)
            self._put([(f"column/{name}".encode(), data)])
        header = {
            "format": FORMAT,
            "crops": self._written,
            "boxes": sum(source["boxes"] for source in self._sources),
            "tracks": self._tracks,
            "left_out": added([source["left_out"] for source in self._sources]),
            "cameras": self._cameras,
            "sources": self._sources,
            "columns": digests,
        }
        self._put([(_HEADER, checksums.with_checksum(header))])

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._env.close()

    def _flush(self) -> None:
        records = [(_key(self._written + n), jpeg) for n, jpeg in enumerate(self._waiting)]
        self._put(records)
        self._written += len(records)
        self._waiting = []

    def _put(self, records: list[tuple[bytes, bytes]]) -> None:
        """Append records in one transaction, after making room for them in the map."""
        self._wanted_bytes += sum(len(value) + 2 * _PAGE_BYTES for _, value in records)
        while self._map_bytes < self._wanted_bytes + _FIRST_MAP_BYTES // 2:
            self._map_bytes *= 2
        self._env.set_mapsize(self._map_bytes)
        with self._env.begin(write=True) as transaction:
            for key, value in records:
                transaction.put(key, value, append=True)


class CropStore:
    """A finished store, for reading.

    May be opened twice, pickled (by its path), forked and used by several threads. Columns are
    views of the mapped file: they cost no memory of their own, however many processes read them.

    Attributes:
        header: Format, counts, counts by reason and by source, as written.
        videos: Names of the sources, which `video` counts.
        cameras: Names of the cameras, which `camera` counts.
        video: int32 `(N,)`.
        frame: int32 `(N,)`, from 0; -1 where it is not known.
        index: int32 `(N,)`, the box's number in its frame.
        box: float32 `(N, 4)`, xyxy pixels within the frame.
        track: int64 `(N,)`, 0 to `header["tracks"] - 1` over the whole store; -1: none.
        camera: int32 `(N,)`.
        width: int32 `(N,)`, pixels, as stored.
        height: int32 `(N,)`, pixels, as stored.
        person: int64 `(N,)`, who it is where that is known, else -1; to count with, not to train.
        checksum: uint32 `(N,)`, CRC-32 of the JPEG.

    Raises:
        BadInput: there is no such file, it is no store, unfinished, cut short, damaged, of another
            version, or has names that no source or camera can have.
    """

    header: dict[str, Any]
    video: np.ndarray
    frame: np.ndarray
    index: np.ndarray
    box: np.ndarray
    track: np.ndarray
    camera: np.ndarray
    width: np.ndarray
    height: np.ndarray
    person: np.ndarray
    checksum: np.ndarray

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._env = _environment(self.path)
        # Kept open as long as the store: the columns are views of its pages.
        self._view = self._env.begin(buffers=True)
        self.header = self._read_header()
        self.videos, self.cameras = names.checked(self.path, self.header)
        for name, dtype in _ALL_COLUMNS.items():
            setattr(self, name, self._column(name, dtype))
        known = {"video": len(self.videos), "camera": len(self.cameras)}
        checks.require_known({"video": self.video, "camera": self.camera}, known, self.path)

    def __reduce__(self) -> tuple[type["CropStore"], tuple[Path]]:
        return CropStore, (self.path,)

    def __len__(self) -> int:
        return int(self.header["crops"])

    def jpeg(self, i: int) -> bytes:
        """The JPEG file of crop `i`.

        Raises:
            BadInput: it is damaged.
        """
        with self._env.begin(buffers=True) as transaction:
            return bytes(self._crop(transaction, i))

    def image(self, i: int) -> np.ndarray:
        """Crop `i` as uint8 `(H, W, 3)`, RGB.

        Raises:
            BadInput: it is damaged, or is no picture.
        """
        with self._env.begin(buffers=True) as transaction:
            data = np.frombuffer(self._crop(transaction, i), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise BadInput(f"{self.path}: crop {i} ({self.name(i)}) is no picture; cut it again")
        return image

    def name(self, i: int) -> str:
        """`video/frame/box` of crop `i`; it never changes."""
        return f"{self.videos[self.video[i]]}/{self.frame[i]}/{self.index[i]}"

    def faults(self) -> Iterator[str]:
        """Everything that is wrong with the file, a line each; reads and decodes every crop."""
        pages.require_whole(self.path, most_pages=None)
        entries = self._env.stat()["entries"]
        if entries != len(self) + len(_ALL_COLUMNS) + 1:
            yield f"{entries:,} entries found, {len(self) + len(_ALL_COLUMNS) + 1:,} wanted"
        yield from _faults_of_counts(self)
        for i in range(len(self)):
            try:
                shape = self.image(i).shape
            except BadInput as error:
                yield str(error)
                continue
            if shape[:2] != (self.height[i], self.width[i]):
                stored = f"{self.width[i]}x{self.height[i]}"
                yield f"{self.name(i)}: {stored} stated, its picture is {shape[1]}x{shape[0]}"

    def verify(self) -> None:
        """Check that every JPEG decodes to its stated size, and that all counts agree.

        Raises:
            BadInput: something is wrong; the message lists it.
        """
        found = list(self.faults())
        if found:
            raise BadInput(f"{self.path}: {len(found):,} faults: {listing(found)}; cut it again")

    def _crop(self, transaction: lmdb.Transaction, i: int) -> bytes | memoryview:
        """The JPEG file of crop `i`, compared with its checksum."""
        if not 0 <= i < len(self):
            raise IndexError(f"{self.path}: crop {i} asked, it holds 0 to {len(self) - 1}")
        jpeg = self._value(transaction, _key(int(i)))
        if jpeg is None or checksums.of_crop(jpeg) != self.checksum[i]:
            raise BadInput(f"{self.path}: crop {i} ({self.name(i)}) is damaged; cut it again")
        return jpeg

    def _value(self, transaction: lmdb.Transaction, key: bytes) -> bytes | memoryview | None:
        """The value of a key, or `None` where it cannot be found."""
        try:
            return transaction.get(key)
        except lmdb.Error as error:
            raise checks.damaged(self.path, str(error)) from None

    def _read_header(self) -> dict[str, Any]:
        data = self._value(self._view, _HEADER)
        if data is None:
            raise BadInput(
                f"{self.path}: no header found: unfinished, or not a crop store; "
                "'dvc repro crop' makes it"
            )
        return checks.header(bytes(data), self.path, FORMAT)

    def _column(self, name: str, dtype: np.dtype[Any]) -> np.ndarray:
        data = self._value(self._view, f"column/{name}".encode())
        values: np.ndarray = checks.column(data, name, dtype, self.path, self.header)
        if not values.flags.aligned:  # a value under 2 KB stands inside a page, at any even place
            values = values.copy()
            values.flags.writeable = False
        return values.reshape(-1, 4) if name == "box" else values


def _key(i: int) -> bytes:
    return struct.pack(">Q", i)


_opened: dict[tuple[int, int], lmdb.Environment] = {}
_opening = threading.Lock()


def _environment(path: Path) -> lmdb.Environment:
    """The one environment of a file in this process: LMDB refuses a second.

    They stay open until the process ends, because views of their pages may be anywhere. A file that
    was replaced is another file. After a fork the child goes on with the parent's: without locks
    there is nothing in it but a map, and LMDB would refuse to open the file again.
    """
    try:
        require_file(path, "'dvc repro crop' makes it")
        status = os.stat(path)
        with _opening:
            key = (status.st_dev, status.st_ino)
            if key not in _opened:
                _opened[key] = _open(path)
            return _opened[key]
    except lmdb.Error as error:
        raise BadInput(f"{path}: not a crop store ({error}); 'dvc repro crop' makes it") from None


def _open(path: Path) -> lmdb.Environment:
    pages.require_whole(path)
    return lmdb.open(
        os.fsencode(path),  # names need not be text
        subdir=False,
        readonly=True,
        lock=False,
        readahead=False,
        meminit=False,
    )


def _faults_of_counts(store: CropStore) -> Iterator[str]:
    """Counts in the header that do not agree with the columns or with each other."""
    header = store.header
    kept = np.bincount(store.video, minlength=len(store.videos))
    for source, count in zip(header["sources"], kept, strict=True):
        accounted = source["kept"] + sum(source["left_out"].values())
        if source["kept"] != count or source["boxes"] != accounted:
            yield f"{source['name']}: {count} crops of {source['boxes']} boxes, stated: {source}"
    if header["boxes"] != len(store) + sum(header["left_out"].values()):
        yield f"{header['boxes']} boxes, {len(store)} crops, left out: {header['left_out']}"
    tracks = np.unique(store.track[store.track >= 0])
    if not np.array_equal(tracks, np.arange(header["tracks"])):
        yield f"{len(tracks)} tracks found, {header['tracks']} stated"
