import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from crop_samples import flip, picture, write_video

from passerby import contract, files, seeds
from passerby.crops.build import build
from passerby.crops.store import CropStore
from passerby.datasets.index import Benchmark, _image_hash
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.settings import Crops
from passerby.video import detections, people

NAMES = ("de+bonn+a", "de+bonn+b", "de+koeln+a", "us+york+-_x")
SIZE = (96, 64)
SETTINGS = Crops(every=2, min_height_px=16, min_width_px=8, min_visible=0.5, benchmarks=("market",))
OUTS = ("crops.lmdb", "crops_counts.json", "crops_montage.jpg")


def make_data(data: Path) -> None:
    """Four videos of 24 frames with 80 boxes each, and a set of six training images."""
    (data / "videos").mkdir(parents=True)
    parts = {}
    for number, name in enumerate(NAMES):
        frames = [picture(100 * number + n, *SIZE) for n in range(24)]
        write_video(data / "videos" / f"{name}.mp4", frames)
        rng = seeds.stream(1, name)
        corner = rng.uniform(-5, 60, (80, 2))
        box = np.concatenate([corner, corner + rng.uniform(8, (24, 50), (80, 2))], axis=1)
        parts[name] = detections.boxes(
            np.sort(rng.integers(0, 24, 80)), box, track=rng.integers(-1, 4, 80)
        )
    found = detections.joined(parts, dict.fromkeys(NAMES, SIZE), "pickles")
    detections.write(data / "detections.parquet", found)
    make_benchmark(data)


def make_benchmark(data: Path) -> None:
    root = data / "set"
    root.mkdir()
    rows = tuple(Row("train", f"{n}.jpg", 1 + n // 3, 1, 1, n) for n in range(6))
    for number, row in enumerate(rows):
        cv2.imwrite(str(root / row.path), picture(number))
    hashes = tuple(_image_hash(root / row.path) for row in rows)
    header = {"name": "market", "kind": "market1501", "counts": {}}
    Benchmark(header, root, rows, hashes).write(data / "benchmarks" / "market.tsv")


def run(data: Path, settings: Crops = SETTINGS) -> dict[str, str]:
    """Build, and give the hashes of what came out."""
    build(settings, {"market": str(data / "set")}, data)
    return hashes_of(data)


def hashes_of(data: Path) -> dict[str, str]:
    return {name: hashlib.sha256((data / name).read_bytes()).hexdigest() for name in OUTS}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder to build in, with scratch beside it."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    make_data(tmp_path / "data")
    return tmp_path / "data"


def test_a_store_of_all_sources_in_sorted_order_with_every_box_accounted_for(data):
    run(data)
    store = CropStore(data / "crops.lmdb")
    store.verify()
    assert store.videos == ["benchmark-market", *NAMES]
    assert store.cameras == ["benchmark-market/c1", *NAMES]
    counts = files.read_json(data / "crops_counts.json")
    assert counts["total"]["boxes"] == 4 * 80 + 6
    assert counts["total"]["crops"] == len(store)
    assert counts["images"]["benchmark-market"]["crops"] == 6
    for part in (counts["total"], counts["videos"], counts["images"]["benchmark-market"]):
        assert part["crops"] + sum(part["left_out"].values()) == part["boxes"]
    assert counts["videos"]["sources"] == 4
    shown = cv2.imread(str(data / "crops_montage.jpg"))
    assert counts["total"]["tracks"] == 18
    assert shown.shape == (5 * 130, 16 * 66, 3)  # four tracks a row


def test_who_the_tracks_are_is_kept_where_it_is_known(data):
    known = [("de+bonn+a", track, 40 + track) for track in (0, 2)] + [("de+koeln+a", 2, 42)]
    (data / "people.tsv").write_text(people.text(known))
    before = run(data)
    build(SETTINGS, {"market": str(data / "set")}, data, data / "people.tsv")
    assert hashes_of(data) != before
    store, found = CropStore(data / "crops.lmdb"), detections.read(data / "detections.parquet")
    of = {(video, track): person for video, track, person in known}
    raw = {
        (found.videos[video], int(frame), index): int(track)
        for video in range(len(found.videos))
        for frame in range(24)
        for index, track in enumerate(
            found.track[(found.video == video) & (found.frame == frame)].tolist()
        )
    }
    for row in range(len(store)):
        video = store.videos[store.video[row]]
        if video in NAMES:
            track = raw[video, int(store.frame[row]), int(store.index[row])]
            assert store.person[row] == of.get((video, track), -1)
    assert {40, 42, -1} <= set(store.person.tolist())


def test_scratch_is_gone_when_the_store_is_there(data):
    run(data)
    assert not (data.parent / "scratch" / "crop").exists()
    assert not list(data.glob(".*"))


def test_bytes_do_not_depend_on_workers(data, monkeypatch):
    found = []
    for number in ("1", "4"):
        monkeypatch.setenv("PASSERBY_WORKERS", number)
        found.append(run(data))
    assert found[0] == found[1]


def test_missing_sources_are_all_named_before_work_starts(data):
    (data / "videos" / "de+bonn+b.mp4").unlink()
    (data / "benchmarks" / "market.tsv").unlink()
    with pytest.raises(BadInput) as error:
        run(data)
    assert str(error.value) == (
        f"2 of 5 sources are missing: {data}/benchmarks/market.tsv, {data}/videos/de+bonn+b.mp4; "
        "run 'dvc repro download detect benchmark'"
    )
    assert not (data.parent / "scratch").exists()


def test_a_damaged_source_stops_the_run_and_the_others_stay_finished(data, monkeypatch):
    monkeypatch.setenv("PASSERBY_WORKERS", "1")
    whole = (data / "videos" / "us+york+-_x.mp4").read_bytes()
    (data / "videos" / "us+york+-_x.mp4").write_bytes(whole[:3000])
    with pytest.raises(BadInput, match=r"us\+york\+-_x\.mp4"):
        run(data)
    assert not (data / "crops.lmdb").exists()
    shards = sorted(path.stem for path in (data.parent / "scratch").rglob("*.npz"))
    assert shards == ["benchmark-market", *NAMES[:3]]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_crops_build as test
from passerby import files
from passerby.crops import store

calls = [0]
def deadly(function):
    def call(*given, **named):
        calls[0] += 1
        if calls[0] == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)
    return call

{owner}.{name} = deadly({owner}.{name})
test.run(Path(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "at", "left"),
    [
        ("os", "fsync", 1, 0),  # the first shard is written, but has no name yet
        ("os", "fsync", 4, 3),
        ("store.StoreWriter", "_put", 5, 5),  # some of the columns are written
        ("os", "fsync", 6, 5),  # the store is whole, but has no name yet
        ("files", "write_json", 1, 5),  # it has its name, but not its counts
    ],
)
def test_after_kill_9_a_second_run_gives_the_bytes_of_an_undisturbed_one(
    data, monkeypatch, owner, name, at, left
):
    undisturbed = run(data)
    for out in OUTS:
        (data / out).unlink()
    code = KILLED.format(here=str(Path(__file__).parent), owner=owner, name=name, at=at)
    environment = os.environ | {"PASSERBY_WORKERS": "1"}
    killed = subprocess.run([sys.executable, "-c", code, data], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    shards = sorted((data.parent / "scratch").rglob("*.npz"))
    assert len([shard for shard in shards if not shard.name.startswith(".")]) == left
    before = {shard: shard.stat().st_mtime_ns for shard in shards}

    cut_again = []
    monkeypatch.setattr("passerby.crops.build._finish", counting(cut_again))
    assert run(data) == undisturbed
    assert len(cut_again) == 5 - left, before
    assert sorted(path.name for path in data.iterdir()) == sorted(
        [*OUTS, "benchmarks", "detections.parquet", "set", "videos"]
    )
    assert not (data.parent / "scratch" / "crop").exists()


def counting(calls: list[str]):
    from passerby.crops.build import _finish

    def finish(job, shard):
        calls.append(job.name)
        return _finish(job, shard)

    return finish


def test_a_damaged_shard_is_named_and_its_source_cut_again(data, monkeypatch, capsys):
    wanted = run(data)
    with monkeypatch.context() as patch:
        patch.setattr("passerby.crops.build.writing", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(data)
    damaged, *others = sorted((data.parent / "scratch").rglob("de+*.npz"))
    assert len(others) == 2
    flip(damaged, 0.5)
    capsys.readouterr()
    assert run(data) == wanted
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert said == [
        f"crop: {damaged}: damaged: its checksum is not that of what it holds; "
        f"{damaged.stem} is cut again"
    ]


def test_other_code_or_another_opencv_does_not_go_on_from_the_shards_of_this(data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("passerby.crops.build.writing", lambda path: 1 / 0)
        for changed in ("none", "code", "opencv", "numpy"):
            if changed == "code":
                patch.setattr(contract, "code", lambda rooms: {"crops/cut.py": "0"})
            elif changed == "opencv":
                patch.setattr(cv2, "__version__", "0")
            elif changed == "numpy":
                patch.setattr(contract, "_version", lambda package: "0")
            with pytest.raises(ZeroDivisionError):
                run(data)
    assert len(list((data.parent / "scratch" / "crop").glob("*.lock"))) == 4


def test_other_settings_do_not_go_on_from_the_shards_of_these(data, monkeypatch):
    wanted = run(data, SETTINGS.model_copy(update={"every": 4}))
    whole = (data / "set" / "5.jpg").read_bytes()
    (data / "set" / "5.jpg").unlink()
    with pytest.raises(BadInput):
        run(data)  # leaves shards of four videos, cut at every second frame
    (data / "set" / "5.jpg").write_bytes(whole)
    assert run(data, SETTINGS.model_copy(update={"every": 4})) == wanted


def test_a_full_scratch_is_named_and_the_run_goes_on_elsewhere(data, disk_of, monkeypatch):
    small_scratch = disk_of("64k")
    monkeypatch.setenv("DVC_ROOT", str(small_scratch))
    with pytest.raises(BadInput, match=r"the disk is full \(No space left on device\); make room"):
        run(data)
    assert not (data / "crops.lmdb").exists()
    assert not list(small_scratch.rglob("*.part"))
    monkeypatch.setenv("DVC_ROOT", str(data.parent))
    run(data)
    CropStore(data / "crops.lmdb").verify()
