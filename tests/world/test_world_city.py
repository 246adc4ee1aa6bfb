"""A city: the same bytes from the same seed, official layouts and counts, nobody in two places."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from passerby import files, seeds
from passerby.datasets import attributes as reader
from passerby.datasets import index
from passerby.settings import BenchmarkSource, World
from passerby.video import decode, listing, people, pickles
from passerby.world import city, sets, street
from passerby.world.camera import draw_camera
from passerby.world.city import draw_city
from passerby.world.looks import Look

SETS = {
    "toy-market1501": ("market1501", "market1501"),
    "toy-cuhk03": ("cuhk03-np", "cuhk03-np/detected"),
    "toy-cuhk01": ("cuhk01", "cuhk01/campus"),
}


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_one_seed_gives_one_city_byte_for_byte(
    tiny_city: Path, tiny_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("PASSERBY_WORKERS", "1")
    draw_city(tiny_world, "toy", tmp_path / "again")
    assert hashes(tmp_path / "again") == hashes(tiny_city)


@pytest.mark.slow
def test_a_kill_in_the_middle_changes_no_byte(
    tiny_city: Path, tiny_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    code = (
        "import sys; from pathlib import Path; from passerby.settings import World; "
        "from passerby.world.city import draw_city; "
        "draw_city(World.model_validate_json(sys.argv[1]), 'toy', Path(sys.argv[2]))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, tiny_world.model_dump_json(), str(tmp_path / "toy")]
    )
    deadline_s = time.monotonic() + 60
    while not list(tmp_path.glob("scratch/world@toy/*/*.done.json")):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "toy").exists()
    draw_city(tiny_world, "toy", tmp_path / "toy")
    assert hashes(tmp_path / "toy") == hashes(tiny_city)
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.slow
def test_a_damaged_part_is_named_and_drawn_again(
    tiny_city: Path,
    tiny_world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(city.montage, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            draw_city(tiny_world, "toy", tmp_path / "toy")
    (made,) = tmp_path.glob("scratch/world@toy/*/city")
    picture = next(made.rglob("bounding_box_train/*.jpg"))
    video = next(made.rglob("*s00c1.mp4"))
    mark = made.parent / "syn+toy+s00c2.done.json"
    for path in (picture, video, mark):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    capsys.readouterr()
    draw_city(tiny_world, "toy", tmp_path / "toy")
    said = capsys.readouterr().err
    for path, part in ((picture, "market1501"), (video, "syn+toy+s00c1"), (mark, "syn+toy+s00c2")):
        assert f"world: {path}: damaged: " in said
        assert f"; {part} is drawn again\n" in said
    assert said.count(": damaged: ") == 3
    assert hashes(tmp_path / "toy") == hashes(tiny_city)


@pytest.mark.parametrize("name", SETS)
def test_the_readers_find_what_the_manifest_counts(name: str, tiny_city: Path) -> None:
    kind, folder = SETS[name]
    source = BenchmarkSource(
        kind=kind,
        root=str(tiny_city / "benchmarks" / folder),
        counts=str(tiny_city / "manifest.json"),
    )
    benchmark = index.build(name, source)  # it refuses other counts than the manifest's
    assert len(benchmark.split("query")) > 0
    assert not set(benchmark.people("train")) & set(benchmark.people("query"))


def test_the_counts_are_those_of_the_settings(tiny_city: Path) -> None:
    counts = files.read_json(tiny_city / "manifest.json")["counts"]
    assert counts["toy-cuhk01"] == {"images": 16, "people": 4}
    assert counts["toy-cuhk03"] == {
        "train_images": 16,
        "train_people": 2,
        "query_images": 6,
        "query_people": 3,
        "gallery_images": 18,
    }
    market = counts["toy-market1501"]
    assert (market["train_people"], market["query_people"]) == (3, 4)
    assert (market["junk_images"], market["distractor_images"]) == (3, 3)


def test_attributes_are_read_back_as_the_looks_have_them(
    tiny_city: Path, tiny_world: World
) -> None:
    root = tiny_city / "benchmarks" / "market1501"
    whole = reader.read(root / "market_attribute.mat")
    train = reader.read(root / "annotations_train.csv")
    assert whole.people.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert np.array_equal(whole.of(train.people), train.values)
    place = sets.Place(tiny_world, "toy", "market1501", sets.STREETS)
    names = list(reader.CLASSES)
    for person in whole.people:
        look = place.look("person", int(person))
        values = dict(zip(names, whole.of([person])[0].tolist(), strict=True))
        assert reader.CLASSES["upper_colour"][values["upper_colour"]] in (
            look.top.family,
            "other",
        )
        assert values["backpack"] == (look.backpack is not None)
        assert values["gender"] == look.female


def test_nobody_lives_in_two_places(tiny_city: Path, tiny_world: World) -> None:
    places = [
        sets.Place(tiny_world, "toy", name, style)
        for name, style in (
            ("market1501", sets.STREETS),
            ("cuhk03", sets.CAMPUSES),
            ("cuhk01", sets.CAMPUSES),
        )
    ]
    everybody: list[Look] = list(street.looks_of(tiny_world, "toy", 0))
    for place in places:
        everybody += [place.look("person", n) for n in range(1, 8)]
    everybody += [places[0].look(kind, n) for kind in ("distractor", "junk") for n in range(3)]
    assert len({repr(look) for look in everybody}) == len(everybody)


def test_the_list_names_the_videos_and_their_detections(tiny_city: Path) -> None:
    root = tiny_city / "street"
    names = [entry.name for entry in listing.read(root / "list.txt").entries]
    assert names == ["syn+toy+s00c1", "syn+toy+s00c2"]
    for name in names:
        info = decode.probe(root / "videos" / f"{name}.mp4")
        boxes = pickles.read(root / "detections" / f"{name}.pkl", 0, True, info).boxes
        assert len(boxes.frame) > 20
        # Everybody of the street passes each of its cameras, once.
        assert set(boxes.track.tolist()) == set(range(5))


def test_boxes_hold_what_differs_from_the_empty_street(tiny_city: Path) -> None:
    root = tiny_city / "street"
    name = "syn+toy+s00c1"
    info = decode.probe(root / "videos" / f"{name}.mp4")
    boxes = pickles.read(root / "detections" / f"{name}.pkl", 0, True, info).boxes
    frames = np.stack([image for _, image in decode.frames(root / "videos" / f"{name}.mp4")])
    empty = np.median(frames, axis=0)
    inside, outside = [], []
    for n in range(0, len(boxes.frame), 7):
        left, top, right, bottom = boxes.box[n].round().astype(int).clip(0)
        away = np.abs(frames[boxes.frame[n]].astype(float) - empty).mean(axis=2)
        inside.append(away[top:bottom, left:right].mean())
        there = boxes.box[boxes.frame == boxes.frame[n]].round().astype(int).clip(0)
        for x0, y0, x1, y1 in there:
            away[max(y0 - 6, 0) : y1 + 6, max(x0 - 6, 0) : x1 + 6] = np.nan
        outside.append(np.nanmean(away))
    assert np.mean(inside) > 5 * np.mean(outside)


def test_the_people_of_the_tracks_are_told_and_the_same_in_every_camera(
    tiny_city: Path, tiny_world: World
) -> None:
    known = people.read(tiny_city / "street" / "people.tsv")
    looks = street.looks_of(tiny_world, "toy", 0)
    for place in (1, 2):
        name = f"syn+toy+s00c{place}"
        assert sorted(known[name].values()) == list(range(5))
        draw = seeds.stream(tiny_world.seed, "toy", "street", 0, "camera", place, "walks")
        camera = draw_camera(
            street.STREETS,
            seeds.stream(tiny_world.seed, "toy", "street", 0, "camera", place, "camera"),
            tiny_world.height_px,
            tiny_world.width_px,
        )
        walks = street.draw_walks(looks, camera, tiny_world.fps, draw)
        for track, walk in enumerate(walks):
            assert looks[known[name][track]] == walk.look
