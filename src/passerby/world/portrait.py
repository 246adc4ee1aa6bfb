"""A portrait: one person before one camera, cut out as a detector would."""

import numpy as np

from passerby.world.camera import Camera
from passerby.world.compose import Placed, compose
from passerby.world.figure import draw_person
from passerby.world.looks import Look, draw_look
from passerby.world.pose import Pose
from passerby.world.style import Style

_CUT_SHORT = 0.06
"""Share of portraits whose box ends at the knees, as detectors' boxes at times do."""
_ROOM = 0.2
"""Drawn around the person, in body heights."""


def draw_portrait(look: Look, camera: Camera, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Draw a picture of one person, `uint8 (h, w, 3)` RGB, of the size that it has in the scene."""
    height_px, width_px = camera.scene.shape[:2]
    x = float(rng.uniform(0.2, 0.8)) * width_px
    y = float(rng.uniform(0.8, 0.97)) * height_px
    person = _place(look, camera, x, y, rng)
    people = [person]
    if rng.random() < style.crowd:
        aside = float(rng.choice([-1, 1]) * rng.uniform(0.22, 0.4)) * camera.height_px(y)
        depth = float(rng.uniform(-0.06, 0.05)) * height_px
        people.append(_place(draw_look(rng, style.manner), camera, x + aside, y + depth, rng))
    return _cut_out(person.box, people, camera, style, rng)


def draw_clutter(camera: Camera, look: Look, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Draw what a detector takes for a person and is none: half of one, or background."""
    height_px, width_px = camera.scene.shape[:2]
    x, y = float(rng.uniform(0.2, 0.8)) * width_px, float(rng.uniform(0.8, 0.97)) * height_px
    person = _place(look, camera, x, y, rng)
    left, top, right, bottom = person.box
    wide, high = right - left, bottom - top
    aside, down = float(rng.choice([-1, 1]) * rng.uniform(0.55, 0.9)) * wide, 0.0
    if rng.random() < 0.4:
        aside, down = 0.0, float(rng.choice([-1, 1])) * 0.55 * high
    box = person.box + np.array([aside, down, aside, down])
    return _cut_out(box, [person], camera, style, rng)


def _place(look: Look, camera: Camera, x: float, y: float, rng: np.random.Generator) -> Placed:
    pose = Pose(
        float(rng.random()),
        float(rng.uniform(-np.pi, np.pi)),
        camera.tilt_rad,
        float(rng.uniform(0.3, 1.0)),
    )
    return Placed(draw_person(look, pose, camera.height_px(y), camera.light), x, y)


def _cut_out(
    box: np.ndarray, people: list[Placed], camera: Camera, style: Style, rng: np.random.Generator
) -> np.ndarray:
    """Compose and expose the surroundings of a box alone, then cut a jittered box out of them."""
    height_px, width_px = camera.scene.shape[:2]
    room = _ROOM * (box[3] - box[1])
    left, top = (max(int(edge - room), 0) for edge in box[:2])
    right, bottom = min(int(box[2] + room), width_px), min(int(box[3] + room), height_px)
    piece = camera.scene[top:bottom, left:right].copy()
    moved = [Placed(p.sprite, p.x_px - left, p.y_px - top, p.scale) for p in people]
    compose(piece, moved)
    exposed = camera.expose(piece, rng)
    jittered = _jittered(box - np.array([left, top, left, top]), style.jitter, rng)
    x0, y0 = (max(round(float(edge)), 0) for edge in jittered[:2])
    x1, y1 = (max(round(float(b)), a + 2) for a, b in zip((x0, y0), jittered[2:], strict=True))
    return exposed[y0:y1, x0:x1]


def _jittered(box: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """The box as a detector gives it: about as wide as people are, moved, at times cut short."""
    centre, high = (box[:2] + box[2:]) / 2, float(box[3] - box[1])
    wide = max(float(box[2] - box[0]) * 1.06, 0.36 * high)
    centre = centre + rng.normal(0, deviation, 2) * (wide, high)
    wide, high = (side * float(np.exp(rng.normal(0.03, deviation))) for side in (wide, high))
    left, top = centre - np.array([wide, high]) / 2
    if rng.random() < _CUT_SHORT:
        high *= float(rng.uniform(0.7, 0.85))
    return np.array([left, top, left + wide, top + high])
