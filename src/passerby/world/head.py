"""Head, hair, hat and scarf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from passerby.world.colours import scaled
from passerby.world.pose import HEAD, NECK

if TYPE_CHECKING:
    from passerby.world.figure import Pencil

RADIUS_X, RADIUS_Y = 0.052, 0.07


def draw_head(pencil: Pencil) -> None:
    """Neck, skull, face, short hair, hat and scarf."""
    look, unit, canvas = pencil.look, pencil.unit, pencil.canvas
    canvas.capsule(
        pencil.at(0, NECK - 0.02, 0), pencil.at(0, HEAD - 0.03, 0.01), 0.03 * unit, 0.028 * unit,
        scaled(look.skin, 0.82),
    )  # fmt: skip
    if look.scarf:
        neck = pencil.at(0, NECK + 0.005, 0)
        canvas.ellipse(neck, 0.06 * unit, 0.028 * unit, look.scarf)
    if pencil.body.projection.cos > -0.25:
        _draw_hair(pencil)
        _draw_face(pencil)
    else:
        _draw_face(pencil)
        _draw_hair(pencil)
    if look.hat != "none":
        _draw_hat(pencil)


def _draw_face(pencil: Pencil) -> None:
    look, unit, canvas = pencil.look, pencil.unit, pencil.canvas
    cos, sin = pencil.body.projection.cos, pencil.body.projection.sin
    centre = pencil.at(0, HEAD - 0.008, 0) + np.array([0.02 * sin * unit, 0.0])
    narrow = 0.9 if look.hair == "bald" else 0.9 - 0.12 * abs(sin)
    canvas.ellipse(centre, RADIUS_X * narrow * unit, RADIUS_Y * 0.9 * unit, look.skin)
    if cos < 0.15 and abs(sin) < 0.6:
        return
    if abs(sin) > 0.4:  # the nose
        nose = centre + np.array([np.sign(sin) * RADIUS_X * 0.9 * unit, 0.004 * unit])
        canvas.ellipse(nose, 0.011 * unit, 0.012 * unit, look.skin)
    if look.beard and cos > -0.2:
        chin = centre + np.array([0.014 * sin * unit, 0.028 * unit])
        canvas.ellipse(chin, 0.036 * unit, 0.032 * unit, look.hair_colour, 0, 180)
    _draw_eyes(pencil, centre)


def _draw_eyes(pencil: Pencil, centre: np.ndarray) -> None:
    cos, sin = pencil.body.projection.cos, pencil.body.projection.sin
    unit = pencil.unit
    for side in (-1.0, 1.0):
        if cos - side * 0.8 * sin < 0.2:
            continue
        eye = centre + np.array([(side * 0.021 * cos + 0.026 * sin) * unit, -0.006 * unit])
        pencil.canvas.ellipse(eye, 0.0085 * unit, 0.0065 * unit, scaled(pencil.look.skin, 0.3))


def _draw_hair(pencil: Pencil) -> None:
    """What covers the skull; the face is drawn over it where the person is seen from the front."""
    look, unit, canvas = pencil.look, pencil.unit, pencil.canvas
    cos, sin = pencil.body.projection.cos, pencil.body.projection.sin
    if look.hair == "bald":
        canvas.ellipse(pencil.at(0, HEAD, 0), RADIUS_X * unit, RADIUS_Y * unit, look.skin)
        return
    back = np.array([-0.014 * sin * unit, -0.01 * unit])
    low = 0.0 if cos > -0.25 else 0.006 * unit
    canvas.ellipse(
        pencil.at(0, HEAD, 0) + back + np.array([0, low]),
        RADIUS_X * 1.06 * unit, RADIUS_Y * (1.0 if cos > -0.25 else 0.9) * unit, look.hair_colour,
    )  # fmt: skip
    if look.hair == "bob":
        canvas.ellipse(
            pencil.at(0, HEAD - 0.022, 0) + 1.2 * back, RADIUS_X * 1.25 * unit, 0.058 * unit,
            scaled(look.hair_colour, 0.94),
        )  # fmt: skip


def draw_long_hair(pencil: Pencil) -> None:
    """Hair that falls on the back, and a tail."""
    look, unit, canvas = pencil.look, pencil.unit, pencil.canvas
    sin = pencil.body.projection.sin
    colour = scaled(look.hair_colour, 0.92)
    if look.hair == "long":
        top = pencil.at(0, HEAD, -0.02)
        end = pencil.at(0, 0.775, -0.05)
        canvas.capsule(top, end, RADIUS_X * 1.0 * unit, (0.05 + 0.008 * abs(sin)) * unit, colour)
    elif look.hair == "tail":
        canvas.capsule(
            pencil.at(0, HEAD + 0.015, -0.06), pencil.at(0, 0.8, -0.085), 0.02 * unit,
            0.012 * unit, colour,
        )  # fmt: skip


def _draw_hat(pencil: Pencil) -> None:
    look, unit, canvas = pencil.look, pencil.unit, pencil.canvas
    colour = look.hat_colour
    crown = pencil.at(0, HEAD + 0.022, 0)
    if look.hat == "beanie":
        canvas.ellipse(crown, RADIUS_X * 1.14 * unit, 0.064 * unit, colour, 180, 360)
        canvas.capsule(
            crown + np.array([-0.05 * unit, 0]), crown + np.array([0.05 * unit, 0]), 0.012 * unit,
            0.012 * unit, scaled(colour, 0.78),
        )  # fmt: skip
        return
    canvas.ellipse(crown, RADIUS_X * 1.12 * unit, 0.058 * unit, colour, 180, 360)
    if look.hat == "cap":
        stop = pencil.at(0, HEAD + 0.012, 0.1)
        start = pencil.at(0, HEAD + 0.022, 0.02)
        canvas.capsule(start, stop, 0.032 * unit, 0.02 * unit, scaled(colour, 0.85))
        canvas.ellipse(crown, RADIUS_X * 1.12 * unit, 0.058 * unit, colour, 180, 360)
    else:
        canvas.ellipse(crown, 0.098 * unit, 0.02 * unit, scaled(colour, 0.85))
