"""Drawing one person once: a look in a pose becomes a transparent picture, a sprite."""

from dataclasses import dataclass

import numpy as np

from passerby.world import carried, head
from passerby.world.canvas import Canvas
from passerby.world.cloth import surface
from passerby.world.colours import Colour, mixed, scaled
from passerby.world.looks import Cloth, Look
from passerby.world.pose import HIP, Body, Limb, Pose, shoulder_width, stand

MARGIN = 0.06
"""Free space around a sprite, in body heights."""
HALF_WIDTH = 0.34


@dataclass(frozen=True)
class Sprite:
    """A drawn person: premultiplied RGBA, and where the ground point is on it."""

    pixels: np.ndarray
    """`uint8 (H, W, 4)`, RGB premultiplied by alpha."""
    foot_px: tuple[float, float]
    """The point on the ground, xy."""
    box_px: tuple[float, float, float, float]
    """The drawn part, xyxy."""


@dataclass(frozen=True)
class Light:
    """How a place lights and renders people."""

    side: float = 0.3
    """-1: from the left, 1: from the right."""
    folds: float = 0.05
    """Strength of folds in cloth."""


class Pencil:
    """A canvas with the scale and the place of one body on it."""

    def __init__(self, look: Look, pose: Pose, height_px: float, light: Light) -> None:
        self.look, self.pose, self.light = look, pose, light
        self.body: Body = stand(look, pose)
        self.unit = height_px * look.stature
        """Pixels of one unit of the body's axes."""
        self.origin = np.array([HALF_WIDTH * self.unit, (1.0 + MARGIN) * self.unit])
        self.canvas = Canvas(
            int(np.ceil((1.0 + 2.4 * MARGIN) * self.unit)), int(np.ceil(2 * HALF_WIDTH * self.unit))
        )

    def at(self, left: float, up: float, forward: float) -> np.ndarray:
        """Pixel xy of a point in the body's axes."""
        return self.place(self.body.projection.point(left, up, forward))

    def place(self, projected: np.ndarray) -> np.ndarray:
        """Pixel xy of a projected point."""
        return self.origin + projected[:2] * self.unit

    def joints(self, limb: Limb) -> np.ndarray:
        """Pixel xy of a limb's joints, `(3, 2)`."""
        return self.origin + limb.joints[:, :2] * self.unit

    def tube(self, cloth: Cloth, levels: list[tuple[float, float, float]]) -> None:
        """Draw cloth around the body's axis; levels are (height, lateral, deep), top first."""
        tops = np.array([self.at(0, up, 0)[1] for up, _, _ in levels])
        centres = np.full(len(levels), self.origin[0])
        halves = np.array([self.body.projection.half_width(a, b) * self.unit for _, a, b in levels])
        shader = surface(cloth, self.pose.heading_rad, self.light.side, self.light.folds)
        self.canvas.tube(tops, centres, halves, shader)


def draw_person(look: Look, pose: Pose, height_px: float, light: Light | None = None) -> Sprite:
    """Draw a person.

    Args:
        look: The person.
        pose: Phase of the walk, heading, and the camera's tilt.
        height_px: Height at which a grown person of mean stature is drawn.
        light: How the place lights people.
    """
    pencil = Pencil(look, pose, height_px, light or Light())
    arms = sorted(pencil.body.arms, key=lambda limb: limb.nearness)
    behind = [arm for arm in arms if arm.nearness < -0.03]
    front = [arm for arm in arms if arm.nearness >= -0.03]
    facing = pencil.body.projection.cos
    carried.draw_behind(pencil)
    if facing > 0:
        head.draw_long_hair(pencil)
    for arm in behind:
        _draw_arm(pencil, arm)
    _draw_legs(pencil)
    _draw_trunk(pencil)
    carried.draw_strap(pencil)
    head.draw_head(pencil)
    for arm in front:
        _draw_arm(pencil, arm)
    if facing <= 0:
        head.draw_long_hair(pencil)
    carried.draw_front(pencil)
    return _cut(pencil)


def _cut(pencil: Pencil) -> Sprite:
    """The drawn part of the canvas, with the place of the ground point on it."""
    pixels = pencil.canvas.pixels
    drawn = pixels[..., 3] > 127
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    y, x = max(top - 1, 0), max(left - 1, 0)
    kept = np.ascontiguousarray(pixels[y : bottom + 1, x : right + 1])
    foot = (float(pencil.origin[0] - x), float(pencil.origin[1] - y))
    return Sprite(
        kept, foot, (float(left - x), float(top - y), float(right - x), float(bottom - y))
    )


def _draw_arm(pencil: Pencil, arm: Limb) -> None:
    look, unit, light = pencil.look, pencil.unit, pencil.light.side
    shoulder, elbow, hand = pencil.joints(arm)
    thick = 0.03 * (0.7 + 0.3 * look.girth) * unit
    sleeve = sleeve_colour(look)
    upper = look.skin if look.sleeve == "none" else sleeve
    lower = sleeve if look.sleeve == "long" else look.skin
    if look.handbag and arm is pencil.body.arms[0]:
        carried.draw_handbag(pencil, hand)
    pencil.canvas.ellipse(hand + np.array([0, 0.008 * unit]), thick * 0.75, thick * 0.95, look.skin)
    pencil.canvas.limb(elbow, hand, thick * 0.85, thick * 0.68, lower, light)
    pencil.canvas.limb(shoulder, elbow, thick * 1.18, thick * 0.92, upper, light)
    if look.sleeve == "long" and look.top.pattern == "hoops":
        _draw_rings(pencil, shoulder, elbow, hand, thick)


def _draw_rings(
    pencil: Pencil, shoulder: np.ndarray, elbow: np.ndarray, hand: np.ndarray, thick: float
) -> None:
    """Stripes go on along the sleeve."""
    for start, stop in ((shoulder, elbow), (elbow, hand)):
        for share in (0.3, 0.75):
            middle = start + share * (stop - start)
            pencil.canvas.capsule(
                middle - np.array([thick * 0.8, 0]), middle + np.array([thick * 0.8, 0]),
                thick * 0.3, thick * 0.3, pencil.look.top.second,
            )  # fmt: skip


def sleeve_colour(look: Look) -> Colour:
    """Sleeves of checks and pinstripes are seen as the mean of both colours."""
    share = {"checks": 0.5, "pinstripes": 0.35}.get(look.top.pattern, 0.0)
    return mixed(look.top.colour, look.top.second, share)


def _draw_legs(pencil: Pencil) -> None:
    order = np.argsort([leg.joints[1:, 2].mean() for leg in pencil.body.legs], kind="stable")
    for rank, index in enumerate(order):
        _draw_leg(
            pencil, pencil.body.legs[index], pencil.body.toes[index], 0.86 if rank == 0 else 1
        )


def _draw_leg(pencil: Pencil, leg: Limb, toe: np.ndarray, gain: float) -> None:
    """One leg with its shoe; the farther one lies in the shade (`gain`)."""
    look, unit, light = pencil.look, pencil.unit, pencil.light.side
    hip, knee, ankle = pencil.joints(leg)
    thick = 0.058 * (0.55 + 0.45 * look.girth) * unit
    bare = scaled(look.skin, gain)
    cloth = scaled(look.bottom.colour, gain)
    worn = mixed(cloth, scaled(look.bottom.second, gain), 0.3)
    shin = {"trousers": worn if look.bottom.pattern == "faded" else cloth}.get(look.cut, bare)
    thigh = cloth if look.cut in ("trousers", "shorts") else bare
    wide = 0.74 if look.cut == "trousers" else 0.62
    toe_px = pencil.place(toe)
    pencil.canvas.capsule(
        ankle + np.array([0, 0.012 * unit]), toe_px, 0.027 * unit, 0.02 * unit,
        scaled(look.shoes, gain),
    )  # fmt: skip
    pencil.canvas.limb(knee, ankle, thick * wide, thick * (0.6 if look.cut == "trousers" else 0.4),
                       shin, light)  # fmt: skip
    if look.cut == "shorts":
        pencil.canvas.limb(hip, knee, thick * 0.7, thick * 0.6, bare, light)
        knee = hip + 0.86 * (knee - hip)
    pencil.canvas.limb(hip, knee, thick, thick * 0.82, thigh, light)
    if look.bottom.pattern == "side stripe" and look.cut in ("trousers", "shorts"):
        _draw_side_stripe(pencil, leg, hip, knee, ankle, thick)


def _draw_side_stripe(
    pencil: Pencil, leg: Limb, hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, thick: float
) -> None:
    """A stripe down the outer seam, where that is seen."""
    look, projection = pencil.look, pencil.body.projection
    side = -1.0 if leg is pencil.body.legs[0] else 1.0
    if -side * projection.sin < -0.35:  # the seam faces away
        return
    aside = np.array([side * projection.cos * thick * 0.75, 0.0])
    stripe = thick * 0.22
    pencil.canvas.capsule(hip + aside, knee + 0.8 * aside, stripe, stripe, look.bottom.second)
    if look.cut == "trousers":
        pencil.canvas.capsule(
            knee + 0.8 * aside, ankle + 0.6 * aside, stripe, stripe, look.bottom.second
        )


def _draw_trunk(pencil: Pencil) -> None:
    """Skirt, then top; a dress is both in one cloth."""
    look = pencil.look
    wide = shoulder_width(look)
    full = 0.5 + 0.5 * look.girth
    waist = (0.088 if look.female else 0.1) * full
    hips = (0.102 if look.female else 0.096) * full
    if look.cut in ("skirt", "long skirt", "dress"):
        length = {"skirt": 0.3, "long skirt": 0.13, "dress": 0.27}[look.cut]
        cloth = look.top if look.cut == "dress" else look.bottom
        flare = 0.04 + 0.12 * (HIP - length)
        pencil.tube(
            cloth,
            [(0.6, waist, waist * 0.8), (HIP, hips, hips * 0.85),
             (length, hips + flare, hips * 0.85 + flare)],
        )  # fmt: skip
    else:
        pencil.tube(
            Cloth(look.bottom.family, look.bottom.colour, look.bottom.second, "plain", 5.0),
            [(0.56, waist, waist * 0.75), (HIP, hips, hips * 0.8), (0.46, hips * 0.9, hips * 0.75)],
        )
    hem = 0.56 if look.cut == "dress" else look.hem
    below = hips + max(0.0, HIP - hem) * 0.12
    levels = [
        (0.862, 0.035, 0.035), (0.842, 0.07 * wide, 0.05), (0.815, 0.122 * wide, 0.062 * full),
        (0.72, 0.115 * wide, 0.082 * full), (0.6, waist, waist * 0.8),
    ]  # fmt: skip
    if hem < 0.5:
        levels.append((0.5, hips, hips * 0.85))
    levels.append((hem, below, below * 0.88))
    pencil.tube(look.top, levels)
