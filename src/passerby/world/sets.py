"""The labelled sets of a city, in the layouts and names of Market-1501, CUHK03-NP and CUHK01."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from passerby import places, seeds
from passerby.settings import World
from passerby.world import attributes
from passerby.world.camera import Camera, draw_camera
from passerby.world.looks import Look, draw_look
from passerby.world.portrait import draw_clutter, draw_portrait
from passerby.world.style import CAMPUSES, STREETS, Style

MARKET_SIZE = (64, 128)
CUHK01_SIZE = (60, 160)
_MARKET_CAMERAS = 6
_CUHK03_IMAGES = 4
"""Of a person by a camera."""
_OPTIONS = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 90], ".png": []}


@dataclass(frozen=True)
class Place:
    """Where one set is photographed; its people are of this set alone.

    Attributes:
        world: The settings.
        city: Name of the city.
        name: Of the set; it is part of every stream's name.
        style: Of its cameras.
    """

    world: World
    city: str
    name: str
    style: Style

    def stream(self, *purpose: str | int) -> np.random.Generator:
        """A random stream of this set."""
        return seeds.stream(self.world.seed, self.city, self.name, *purpose)

    def cameras(self, count: int) -> list[Camera]:
        """The set's cameras; no film is taken by any of them."""
        size = self.world.height_px, self.world.width_px
        return [draw_camera(self.style, self.stream("camera", n), *size) for n in range(count)]

    def look(self, kind: str, number: int) -> Look:
        """Somebody of the set."""
        return draw_look(self.stream(kind, number), self.style.manner)


def draw_market(world: World, city: str, root: Path) -> dict[str, int]:
    """Market-1501's layout: train, query, gallery with junk and distractors, attributes; counts."""
    place = Place(world, city, "market1501", STREETS)
    cameras = place.cameras(_MARKET_CAMERAS)
    folders = {name: root / name for name in ("bounding_box_train", "query", "bounding_box_test")}
    for made in folders.values():
        made.mkdir(parents=True)
    counts = dict.fromkeys(("train_images", "query_images", "gallery_images"), 0)
    looks = {}
    for person in range(1, world.train_people + world.test_people + 1):
        looks[person] = place.look("person", person)
        train = person <= world.train_people
        for camera, shot, image in _shots(place, cameras, looks[person], person):
            folder = "bounding_box_train" if train else "bounding_box_test" if shot else "query"
            _write(folders[folder] / _market_name(person, camera, shot), image, MARKET_SIZE)
            side = {"bounding_box_train": "train", "query": "query"}.get(folder, "gallery")
            counts[f"{side}_images"] += 1
    _draw_others(place, cameras, folders["bounding_box_test"])
    split = world.train_people
    attributes.write(
        root,
        {p: k for p, k in looks.items() if p <= split},
        {p: k for p, k in looks.items() if p > split},
    )
    counts["gallery_images"] += world.distractors
    return {
        **counts,
        "train_people": world.train_people,
        "query_people": world.test_people,
        "junk_images": world.junk,
        "distractor_images": world.distractors,
    }


def _shots(
    place: Place, cameras: list[Camera], look: Look, person: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Camera (from 1), number of the shot (0 is a test person's query) and picture."""
    rng = place.stream("shots", person)
    seen_by = int(rng.integers(2, len(cameras) + 1))
    for camera in sorted(rng.permutation(len(cameras))[:seen_by].tolist()):
        for shot in range(place.world.images_per_camera):
            yield camera + 1, shot, draw_portrait(look, cameras[camera], place.style, rng)


def _draw_others(place: Place, cameras: list[Camera], folder: Path) -> None:
    """Distractors (0000): other people, who count as wrong. Junk (-1): bad boxes, ignored."""
    for kind, label, count in (
        ("distractor", 0, place.world.distractors),
        ("junk", -1, place.world.junk),
    ):
        draw = draw_portrait if label == 0 else _clutter
        for n in range(count):
            rng, look = place.stream(kind, n, "shot"), place.look(kind, n)
            camera = int(rng.integers(len(cameras)))
            image = draw(look, cameras[camera], place.style, rng)
            _write(folder / _market_name(label, camera + 1, n), image, MARKET_SIZE)


def _clutter(look: Look, camera: Camera, style: Style, rng: np.random.Generator) -> np.ndarray:
    return draw_clutter(camera, look, style, rng)


def _market_name(person: int, camera: int, shot: int) -> str:
    """`0002_c1s1_000451_03.jpg`; frames count on, a person's shots a second apart."""
    label = "-1" if person < 0 else f"{person:04d}"
    return f"{label}_c{camera}s1_{max(person, 0) * 500 + shot * 25 + 1:06d}_01.jpg"


def draw_cuhk03(world: World, city: str, root: Path) -> dict[str, int]:
    """CUHK03-NP's layout (detected): each person by two cameras of a campus; counts."""
    place = Place(world, city, "cuhk03", CAMPUSES)
    cameras = place.cameras(2)
    folders = {name: root / name for name in ("bounding_box_train", "query", "bounding_box_test")}
    for made in folders.values():
        made.mkdir(parents=True)
    for person in range(1, world.cuhk03_train_people + world.cuhk03_test_people + 1):
        look, rng = place.look("person", person), place.stream("shots", person)
        for n, camera in enumerate(cameras):
            for shot in range(_CUHK03_IMAGES):
                train = person <= world.cuhk03_train_people
                folder = "bounding_box_train" if train else "bounding_box_test" if shot else "query"
                number = n * _CUHK03_IMAGES + shot + 1
                image = draw_portrait(look, camera, place.style, rng)
                _write(folders[folder] / f"{person:04d}_c{n + 1}_{number}.png", image, None)
    return {
        "train_images": world.cuhk03_train_people * 2 * _CUHK03_IMAGES,
        "train_people": world.cuhk03_train_people,
        "query_images": world.cuhk03_test_people * 2,
        "query_people": world.cuhk03_test_people,
        "gallery_images": world.cuhk03_test_people * 2 * (_CUHK03_IMAGES - 1),
    }


def draw_cuhk01(world: World, city: str, root: Path) -> dict[str, int]:
    """CUHK01's layout: four pictures a person, two of each of two cameras; counts."""
    place = Place(world, city, "cuhk01", CAMPUSES)
    cameras = place.cameras(2)
    root.mkdir(parents=True)
    for person in range(1, world.cuhk01_people + 1):
        look, rng = place.look("person", person), place.stream("shots", person)
        for number in range(4):
            image = draw_portrait(look, cameras[number // 2], place.style, rng)
            _write(root / f"{person:04d}{number + 1:03d}.png", image, CUHK01_SIZE)
    return {"images": 4 * world.cuhk01_people, "people": world.cuhk01_people}


def _write(path: Path, image: np.ndarray, size: tuple[int, int] | None) -> None:
    """Write a picture, at `size` (width, height) if the layout has one size for all."""
    if size:
        shrinks = image.shape[0] > size[1]
        image = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(path.suffix, bgr, _OPTIONS[path.suffix])
    assert done, path
    with places.written_to(path):
        path.write_bytes(data.tobytes())
