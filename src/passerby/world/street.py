"""A street: its people walk past each of its cameras, and each camera's film has true boxes."""

import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from passerby import files, seeds
from passerby.settings import World
from passerby.video.encode import write_mp4
from passerby.world.camera import Camera, draw_camera
from passerby.world.compose import Placed, Seen, compose
from passerby.world.figure import Sprite, draw_person
from passerby.world.looks import Look, draw_look
from passerby.world.pose import Pose
from passerby.world.style import STREETS

PHASES = 10
"""Poses that a walk is drawn in."""
_MEAN_HEIGHT_M = 1.7
_STRIDE = 0.82
"""Length of two steps, in body heights."""
_LEAST_INSIDE, _LEAST_VISIBLE = 0.4, 0.4
"""Below these shares of a person a detector finds nobody."""


@dataclass
class Walk:
    """One person's way past one camera."""

    person: int
    """Number among the street's people."""
    look: Look
    begin: int
    """First frame."""
    frames: int
    start: tuple[float, float]
    """Where the foot stands at first, xy in pixels."""
    step: tuple[float, float]
    """Pixels a frame."""
    phase: float
    phase_step: float
    sprites: dict[int, Sprite] = field(default_factory=dict)

    def at(self, frame: int, camera: Camera) -> Placed:
        """The person in one frame."""
        since = frame - self.begin
        x, y = (a + since * b for a, b in zip(self.start, self.step, strict=True))
        last_y = self.start[1] + self.frames * self.step[1]
        largest_px = camera.height_px(max(self.start[1], last_y))
        index = int(((self.phase + since * self.phase_step) % 1) * PHASES)
        if index not in self.sprites:
            self.sprites[index] = self._draw(index, largest_px, camera)
        scale = camera.height_px(y) / largest_px
        return Placed(self.sprites[index], x, y, 1.0 if scale > 0.985 else scale)

    def _draw(self, index: int, height_px: float, camera: Camera) -> Sprite:
        # Rows of ground are foreshortened: a pixel down is a longer way than one aside.
        heading = math.atan2(self.step[0], self.step[1] * 2.2)
        pose = Pose((index + 0.5) / PHASES, heading, camera.tilt_rad)
        return draw_person(self.look, pose, height_px, camera.light)


def looks_of(world: World, city: str, street: int) -> list[Look]:
    """The people of a street; nobody of them is in a benchmark."""
    return [
        draw_look(seeds.stream(world.seed, city, "street", street, "person", n), STREETS.manner)
        for n in range(world.people_per_street)
    ]


def draw_walks(looks: list[Look], camera: Camera, fps: int, rng: np.random.Generator) -> list[Walk]:
    """Let each of `looks` pass the camera once, a few at a time, in a random order."""
    walks, begin = [], 0.0
    for n in rng.permutation(len(looks)):
        walk = _draw_walk(int(n), looks[int(n)], round(begin), camera, fps, rng)
        walks.append(walk)
        begin += walk.frames / float(rng.uniform(3.0, 7.0))
    return walks


def _draw_walk(
    person: int, look: Look, begin: int, camera: Camera, fps: int, rng: np.random.Generator
) -> Walk:
    """Across (mostly), at a slant, towards the camera or away from it."""
    height_px, width_px = camera.scene.shape[:2]
    far, near = 0.68 * height_px, 0.98 * height_px
    kind = rng.choice(["across", "slant", "along"], p=[0.55, 0.25, 0.2])
    y = float(rng.uniform(far, near))
    if kind == "along":
        x = float(rng.uniform(0.15, 0.85)) * width_px
        ends = [(x, far * 0.96), (x + float(rng.normal(0, 0.12)) * width_px, 1.25 * height_px)]
    else:
        out = 0.07 * width_px
        drift = float(rng.uniform(-0.22, 0.22)) * height_px if kind == "slant" else 0.0
        other_y = float(np.clip(y + drift, far, near))
        ends = [(-out, y), (width_px + out, other_y)]
    if rng.random() < 0.5:
        ends.reverse()
    (x0, y0), (x1, y1) = ends
    body_px = camera.height_px((y0 + y1) / 2) * look.stature
    speed_px_s = float(rng.uniform(1.1, 1.6)) * body_px / _MEAN_HEIGHT_M
    way_px = math.hypot(x1 - x0, (y1 - y0) * 2.2)
    frames = max(round(way_px / speed_px_s * fps), 2)
    return Walk(
        person,
        look,
        begin,
        frames,
        (x0, y0),
        ((x1 - x0) / frames, (y1 - y0) / frames),
        phase=float(rng.random()),
        phase_step=way_px / frames / (_STRIDE * body_px),
    )


def film(
    camera: Camera,
    walks: list[Walk],
    rng: np.random.Generator,
    boxes: dict[int, list[list[object]]],
) -> Iterator[np.ndarray]:
    """Frames of a film, RGB; who is seen in them is put into `boxes`, as LUPerson-NL writes it."""
    for frame in range(max(walk.begin + walk.frames for walk in walks)):
        there = [n for n, w in enumerate(walks) if w.begin <= frame < w.begin + w.frames]
        people = [walks[n].at(frame, camera) for n in there]
        image = camera.scene.copy()
        seen = compose(image, people)
        found = [
            {"bbox": p.box.astype(np.float32), "pid": n, "conf": _confidence(s)}
            for n, p, s in zip(there, people, seen, strict=True)
            if s.inside >= _LEAST_INSIDE and s.visible >= _LEAST_VISIBLE * s.inside
        ]
        if found:
            boxes[frame] = [[i, info] for i, info in enumerate(found)]
        yield camera.expose(image, rng)


def _confidence(seen: Seen) -> float:
    return round(0.5 + 0.49 * seen.visible, 3)


def shoot(world: World, city: str, street: int, place: int, video: Path, table: Path) -> list[int]:
    """Film one camera of a street: an mp4 and a pickle of true boxes and tracks.

    Returns:
        Who walks in each track, as a number among the street's people.
    """

    def stream(purpose: str) -> np.random.Generator:
        return seeds.stream(world.seed, city, "street", street, "camera", place, purpose)

    camera = draw_camera(STREETS, stream("camera"), world.height_px, world.width_px)
    walks = draw_walks(looks_of(world, city, street), camera, world.fps, stream("walks"))
    boxes: dict[int, list[list[object]]] = {}
    frames = film(camera, walks, stream("noise"), boxes)
    write_mp4(video, frames, world.fps, crf=26)
    with files.written_whole(table) as beside:
        beside.write_bytes(pickle.dumps(boxes, protocol=4))
    return [walk.person for walk in walks]
