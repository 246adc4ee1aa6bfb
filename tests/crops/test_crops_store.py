import dataclasses
import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from crop_samples import make_source, picture, rewritten

from passerby import seeds
from passerby.crops import store as store_module
from passerby.crops.source import Source
from passerby.crops.store import CropStore, writing
from passerby.errors import BadInput
from passerby.images import encoded

HERE = Path(__file__).parent


COLUMNS = (
    "video", "frame", "index", "box", "track", "camera", "width", "height", "person", "checksum",
)  # fmt: skip


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_store_gives_back_crops_columns_and_names(make_store):
    first, second = make_source("de+bonn+a"), make_source("de+bonn+b", count=3)
    store = make_store(first, second)
    assert len(store) == 9
    assert store.videos == store.cameras == ["de+bonn+a", "de+bonn+b"]
    assert [store.jpeg(i) for i in range(9)] == first.jpegs + second.jpegs
    assert store.video.tolist() == [0] * 6 + [1] * 3
    assert store.camera.tolist() == [0] * 6 + [1] * 3
    assert store.frame.tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 1]
    assert store.index.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert store.box[7].tolist() == [1, 2, 22.5, 42]
    assert store.name(7) == "de+bonn+b/0/1"
    bgr = cv2.imdecode(np.frombuffer(store.jpeg(4), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(store.image(4), bgr[..., ::-1])
    assert (store.image(4).shape, store.image(4).dtype) == ((40, 20, 3), np.uint8)


def test_a_store_may_have_a_name_that_is_no_text(make_store):
    store = make_store(make_source("de+bonn+a"), name=os.fsdecode(b"caf\xe9.lmdb"))
    assert store.image(0).shape == (store.height[0], store.width[0], 3)


def test_tracks_are_numbered_without_gaps_over_the_whole_store(make_store):
    store = make_store(make_source("de+bonn+a"), make_source("de+bonn+b", count=3))
    # within a video tracks 7 and 3 become 1 and 0, and the next video goes on behind them
    assert store.track.tolist() == [1, 0, 1, 0, -1, 0, 3, 2, 3]
    assert store.header["tracks"] == 4


def test_header_accounts_for_every_box(make_store):
    store = make_store(
        make_source("de+bonn+a"), make_source("de+bonn+b", count=0, boxes=3, left_out={"cut": 3})
    )
    digests = store.header.pop("columns")
    assert sorted(digests) == sorted(COLUMNS)
    assert store.header == {
        "format": "passerby.crops/3",
        "crops": 6,
        "boxes": 11,
        "tracks": 2,
        "left_out": {"cut": 3, "small": 2},
        "cameras": ["de+bonn+a", "de+bonn+b"],
        "sources": [
            {"name": "de+bonn+a", "kind": "video", "boxes": 8, "kept": 6, "left_out": {"small": 2}},
            {"name": "de+bonn+b", "kind": "video", "boxes": 3, "kept": 0, "left_out": {"cut": 3}},
        ],
    }


def test_store_without_crops_is_a_store(make_store):
    store = make_store()
    assert (len(store), store.videos, store.box.shape) == (0, [], (0, 4))
    store.verify()


@pytest.mark.parametrize("count", [3, 1200])
def test_columns_have_their_types_and_cannot_be_written(make_store, count):
    store = make_store(make_source("de+bonn+a", count=count))
    types = {"box": np.float32, "track": np.int64} | dict.fromkeys(
        ("video", "frame", "index", "camera", "width", "height"), np.int32
    )
    for name, dtype in types.items():
        column = getattr(store, name)
        assert (column.dtype, len(column), column.flags.aligned) == (dtype, count, True)
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0


def test_large_columns_are_views_of_the_file(make_store):
    store = make_store(make_source("de+bonn+a", count=1200))
    assert not store.track.flags.owndata
    assert np.shares_memory(store.track, CropStore(store.path).track)


def test_a_crop_outside_the_store_is_an_index_error(make_store):
    store = make_store(make_source("de+bonn+a"))
    for i in (-1, 6):
        with pytest.raises(IndexError, match=f"crop {i} asked, it holds 0 to 5"):
            store.jpeg(i)


def test_store_refuses_other_version(make_store, monkeypatch):
    monkeypatch.setattr(store_module, "FORMAT", "passerby.crops/2")
    path = make_store(make_source("de+bonn+a")).path
    monkeypatch.undo()
    with pytest.raises(BadInput) as error:
        CropStore(path)
    assert "'passerby.crops/2' found, 'passerby.crops/3' wanted; 'dvc repro crop'" in str(
        error.value
    )


def test_store_refuses_a_file_without_header_as_unfinished(tmp_path):
    path = tmp_path / "crops.lmdb"
    with lmdb.open(str(path), subdir=False, lock=False) as env, env.begin(write=True) as put:
        put.put(b"\0" * 8, b"a crop")
    with pytest.raises(BadInput, match="no header found: unfinished, or not a crop store"):
        CropStore(path)


def test_store_refuses_what_is_no_store(tmp_path):
    (tmp_path / "text").write_text("hello " * 2000)
    with pytest.raises(BadInput, match="text: not a crop store"):
        CropStore(tmp_path / "text")
    with pytest.raises(BadInput, match="a folder; a regular file was wanted"):
        CropStore(tmp_path)
    with pytest.raises(BadInput, match=r"none\.lmdb: no such file; 'dvc repro crop' makes it"):
        CropStore(tmp_path / "none.lmdb")


def test_store_refuses_a_file_that_was_cut_short(make_store, tmp_path):
    whole = make_store(make_source("de+bonn+a", count=50)).path.read_bytes()
    (tmp_path / "short.lmdb").write_bytes(whole[:-8192])
    with pytest.raises(BadInput) as error:
        CropStore(tmp_path / "short.lmdb")
    wanted = f"{len(whole) - 8192:,} bytes found, {len(whole):,} wanted: it was cut short"
    assert wanted in str(error.value)


def test_store_opens_twice_by_any_name_and_leaves_nothing_beside_it(make_store, tmp_path):
    first = make_store(make_source("de+bonn+a"))
    (tmp_path / "link.lmdb").symlink_to(first.path)
    stores = [first, CropStore(first.path), CropStore(tmp_path / "link.lmdb")]
    assert len({store.jpeg(3) for store in stores}) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["crops.lmdb", "link.lmdb"]


def test_a_store_that_was_replaced_is_read_anew_and_the_old_one_stays_whole(make_store):
    old = make_store(make_source("de+bonn+a", count=1200))
    frames = old.frame.copy()
    new = make_store(make_source("de+bonn+b", count=2))
    assert (len(new), new.videos) == (2, ["de+bonn+b"])
    np.testing.assert_array_equal(old.frame, frames)
    assert old.image(1199).shape == (40, 20, 3)


def test_store_that_nobody_may_write_is_read(make_store):
    path = make_store(make_source("de+bonn+a")).path
    before = digest(path)
    path.chmod(0o444)
    CropStore(path).verify()
    assert digest(path) == before


def test_store_survives_pickling(make_store):
    store = make_store(make_source("de+bonn+a"))
    again = pickle.loads(pickle.dumps(store))
    assert again.jpeg(2) == store.jpeg(2)


def read_all(store: CropStore) -> str:
    pixels = b"".join(store.image(i).tobytes() for i in range(len(store)))
    return hashlib.sha256(pixels + store.track.tobytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_two_processes_read_what_their_parent_reads(make_store, way):
    store = make_store(make_source("de+bonn+a", count=300))
    with multiprocessing.get_context(way).Pool(2) as pool:
        waiting = pool.map_async(read_all, [store] * 6, chunksize=1)
        here = [read_all(store) for _ in range(3)]
        assert set(waiting.get()) == set(here)


def test_threads_read_one_store(make_store):
    store = make_store(make_source("de+bonn+a", count=100))
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(read_all, [store] * 8))) == 1


def test_sources_must_come_sorted(make_store):
    with pytest.raises(AssertionError, match="sorted by name"):
        make_store(make_source("de+bonn+b"), make_source("de+bonn+a"))


def write_three(path: str) -> None:
    with writing(path) as writer:
        for name in "abc":
            writer.add(make_source(f"de+bonn+{name}", count=700))


@pytest.mark.slow
def test_equal_crops_give_equal_bytes_whatever_lies_in_memory(tmp_path):
    """What a page does not use must not be what malloc gave: glibc fills it with another byte."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r})\n" + (
        "from test_crops_store import write_three; write_three(sys.argv[1])"
    )
    for fill in ("85", "255"):
        path = tmp_path / f"{fill}.lmdb"
        environment = os.environ | {"MALLOC_PERTURB_": fill}
        subprocess.run([sys.executable, "-c", code, path], check=True, env=environment)
    assert len({digest(path) for path in tmp_path.iterdir()}) == 1
    CropStore(tmp_path / "85.lmdb").verify()


def test_a_transaction_holds_a_fixed_number_of_crops(make_store):
    sources = [make_source(f"de+bonn+{name}", count=500) for name in "abcde"]
    store = make_store(*sources)
    transactions = store._env.info()["last_txnid"]
    assert transactions == 3 + 10 + 1  # 2,500 crops by the thousand, the columns, the header


def test_the_map_grows_with_the_crops(make_store, monkeypatch):
    monkeypatch.setattr(store_module, "_FIRST_MAP_BYTES", 1 << 16)
    store = make_store(make_source("de+bonn+a", count=500))
    store.verify()


def test_verify_names_a_crop_that_is_no_picture_or_of_another_size(make_store):
    jpegs = [encoded(picture(1), 95), b"\xff\xd8 broken", encoded(picture(2, width=22), 95)]
    store = make_store(make_source("de+bonn+a", count=3, jpegs=jpegs))
    faults = list(store.faults())
    assert faults == [
        f"{store.path}: crop 1 (de+bonn+a/0/1) is no picture; cut it again",
        "de+bonn+a/1/0: 20x40 stated, its picture is 22x40",
    ]
    with pytest.raises(BadInput, match=r"2 faults: .*; cut it again"):
        store.verify()


def written(path: Path, *sources: Source) -> bytes:
    """A store's bytes; it has not been opened, so a changed copy is read from the disk."""
    with writing(path) as writer:
        for source in sources:
            writer.add(source)
    return path.read_bytes()


def changed(path: Path, whole: bytes, part: bytes, at: int) -> Path:
    """The store with one bit of `part` changed; pages that LMDB left may hold it, too."""
    assert part in whole
    other = bytearray(part)
    other[at] ^= 1
    path.write_bytes(whole.replace(part, other))
    return path


@pytest.mark.parametrize("crop", [0, 4, 49])
def test_a_changed_bit_of_a_picture_is_named_wherever_the_crop_is_read(tmp_path, crop):
    source = make_source("de+bonn+a", count=50)
    jpeg = source.jpegs[crop]
    whole = written(tmp_path / "crops.lmdb", source)
    # The last bytes before the end mark: the picture still decodes, to other colours.
    store = CropStore(changed(tmp_path / "changed.lmdb", whole, jpeg, len(jpeg) - 9))
    said = f"{store.path}: crop {crop} ({store.name(crop)}) is damaged; cut it again"
    assert list(store.faults()) == [said]
    for read in (store.image, store.jpeg):
        with pytest.raises(BadInput) as error:
            read(crop)
        assert str(error.value) == said
    assert store.jpeg(crop - 1 if crop else 1) == source.jpegs[crop - 1 if crop else 1]


def test_two_crops_that_changed_places_are_damaged(tmp_path):
    source = make_source("de+bonn+a", count=3)
    one, other = (encoded(picture(n), 95) for n in (1, 2))
    same = min(len(one), len(other))
    jpegs = [one[:same], other[:same], source.jpegs[2]]
    whole = written(tmp_path / "a.lmdb", make_source("de+bonn+a", count=3, jpegs=jpegs))
    swapped = whole.replace(jpegs[0], b"?" * same).replace(jpegs[1], jpegs[0])
    (tmp_path / "b.lmdb").write_bytes(swapped.replace(b"?" * same, jpegs[1]))
    store = CropStore(tmp_path / "b.lmdb")
    assert [fault.split(": ")[1] for fault in store.faults()] == [
        "crop 0 (de+bonn+a/0/0) is damaged; cut it again",
        "crop 1 (de+bonn+a/0/1) is damaged; cut it again",
    ]


@pytest.mark.parametrize("count", [3, 1200])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_changed_bit_of_a_column_is_refused_when_the_store_is_opened(tmp_path, name, count):
    """Small columns stand inside a page, large ones have pages of their own."""
    rng = seeds.stream(0, "columns")
    plain = make_source("de+bonn+a", count=count)
    random = {
        key: (values + rng.integers(1, 2**20, values.shape)).astype(values.dtype)
        for key, values in plain.columns.items()
    } | {"camera": rng.integers(0, 2, count).astype(np.int32)}
    other = dataclasses.replace(plain, columns=random, cameras=("c1", "c2"))
    sources = make_source("de+bonn+A", count=count), other
    whole = written(tmp_path / "crops.lmdb", *sources)
    column = getattr(CropStore(tmp_path / "crops.lmdb"), name).tobytes()
    path = changed(tmp_path / "changed.lmdb", whole, column, len(column) // 2)
    with pytest.raises(BadInput) as error:
        CropStore(path)
    assert str(error.value) == (
        f"{path}: damaged (its column '{name}'); copy it again, or run 'dvc repro crop -f'"
    )


@pytest.mark.parametrize(
    "part", [b'"crops": 6', b'"kept": 6', b"de+bonn+a", b'"left_out"', b'{"bo']
)
def test_a_changed_bit_of_the_header_is_refused_when_the_store_is_opened(tmp_path, part):
    whole = written(tmp_path / "crops.lmdb", make_source("de+bonn+a"))
    begin = whole.index(b'{"boxes"')
    content = bytearray(whole)
    content[whole.index(part, begin) + len(part) - 1] ^= 1
    (tmp_path / "changed.lmdb").write_bytes(content)
    said = r"changed\.lmdb(: damaged \(its header\); copy it again|, line 1: not JSON)"
    with pytest.raises(BadInput, match=said):
        CropStore(tmp_path / "changed.lmdb")


def test_verify_finds_counts_that_do_not_agree(tmp_path):
    path = tmp_path / "crops.lmdb"
    written(path, make_source("de+bonn+a"))
    sources = [{"name": "de+bonn+a", "boxes": 8, "kept": 4, "left_out": {"small": 2}}]
    faults = list(
        CropStore(rewritten(path, {"tracks": 5, "boxes": 99, "sources": sources})).faults()
    )
    assert faults[0].startswith("de+bonn+a: 6 crops of 8 boxes, stated: ")
    assert faults[1:] == [
        "99 boxes, 6 crops, left out: {'small': 2}",
        "2 tracks found, 5 stated",
    ]


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), writing(tmp_path / "crops.lmdb") as writer:
        writer.add(make_source("de+bonn+a"))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(disk_of):
    small_disk = disk_of("1m")
    with pytest.raises(BadInput) as error, writing(small_disk / "crops.lmdb") as writer:
        for name in "abcd":
            writer.add(make_source(f"de+bonn+{name}", count=1000))
    message = str(error.value)
    assert message.startswith(f"{small_disk / 'crops.lmdb'}: the disk is full or failed (")
    assert "make room and run again; 0 MB are free there" in message
    assert list(small_disk.iterdir()) == []
