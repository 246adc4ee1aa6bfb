"""What people carry: backpacks, bags on a strap, handbags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from passerby.world.colours import Colour, scaled

if TYPE_CHECKING:
    from passerby.world.figure import Pencil


def draw_behind(pencil: Pencil) -> None:
    """What the body hides in part: a backpack from the front, a bag on the far side."""
    if pencil.look.backpack and pencil.body.projection.cos > 0:
        _draw_backpack(pencil, pencil.look.backpack)
    if pencil.look.bag and _bag_nearness(pencil) < 0:
        _draw_bag(pencil, pencil.look.bag)


def draw_front(pencil: Pencil) -> None:
    """What hides the body in part."""
    if pencil.look.backpack and pencil.body.projection.cos <= 0:
        _draw_backpack(pencil, pencil.look.backpack)
    if pencil.look.bag and _bag_nearness(pencil) >= 0:
        _draw_bag(pencil, pencil.look.bag)


def draw_strap(pencil: Pencil) -> None:
    """Straps over the chest, and a bag's strap across the body."""
    look, unit, canvas = pencil.look, pencil.unit, pencil.canvas
    facing = pencil.body.projection.cos
    if look.backpack and facing > -0.1:
        for side in (-1.0, 1.0):
            canvas.capsule(
                pencil.at(side * 0.065, 0.835, 0.03), pencil.at(side * 0.075, 0.66, 0.07),
                0.012 * unit, 0.01 * unit, scaled(look.backpack, 0.85),
            )  # fmt: skip
    if look.bag:
        forward = 0.07 if facing > 0 else -0.07
        start = pencil.at(-look.bag_side * 0.07, 0.835, 0.4 * forward)
        middle = pencil.at(0, 0.7, forward)
        stop = pencil.at(look.bag_side * 0.1, 0.52, 0.4 * forward)
        canvas.capsule(start, middle, 0.009 * unit, 0.009 * unit, scaled(look.bag, 0.7))
        canvas.capsule(middle, stop, 0.009 * unit, 0.009 * unit, scaled(look.bag, 0.7))


def _bag_nearness(pencil: Pencil) -> float:
    return float(pencil.body.projection.point(pencil.look.bag_side * 0.12, 0.45, 0.0)[2])


def _draw_bag(pencil: Pencil, colour: Colour) -> None:
    side = pencil.look.bag_side
    centre = pencil.at(side * 0.125, 0.455, 0.0)
    half = pencil.body.projection.half_width(0.035, 0.085)
    _draw_case(pencil, centre, half, 0.062, colour)


def _draw_backpack(pencil: Pencil, colour: Colour) -> None:
    facing = pencil.body.projection.cos
    centre = pencil.at(0, 0.685, -0.115)
    half = pencil.body.projection.half_width(0.094, 0.055)
    _draw_case(pencil, centre, half, 0.128, colour)
    if facing < -0.3:  # the pocket
        _draw_case(pencil, centre + np.array([0, 0.055 * pencil.unit]), half * 0.7, 0.045,
                   scaled(colour, 0.75))  # fmt: skip


def _draw_case(
    pencil: Pencil, centre: np.ndarray, half_width: float, half_height: float, colour: Colour
) -> None:
    """A box with round corners, its flap a little lighter; sizes in body heights."""
    unit = pencil.unit
    w, h = half_width * unit, half_height * unit
    corner = 0.3 * min(w, h)
    outline = np.array(
        [
            (-w, -h + corner), (-w + corner, -h), (w - corner, -h), (w, -h + corner),
            (w, h - corner), (w - corner, h), (-w + corner, h), (-w, h - corner),
        ]
    )  # fmt: skip
    pencil.canvas.polygon(centre + outline, scaled(colour, 0.85))
    pencil.canvas.polygon(centre + outline * (0.9, 0.86) + (0, -0.05 * h), scaled(colour, 1.1))
    flap = np.array(
        [(-0.9 * w, -0.1 * h), (0.9 * w, -0.1 * h), (0.9 * w, 0.02 * h), (-0.9 * w, 0.02 * h)]
    )
    pencil.canvas.polygon(centre + flap, scaled(colour, 0.7))


def draw_handbag(pencil: Pencil, hand: np.ndarray) -> None:
    """A bag that hangs from a hand at `hand` (pixels xy)."""
    colour = pencil.look.handbag
    if colour is None:
        return
    unit = pencil.unit
    centre = hand + np.array([0.0, 0.1 * unit])
    half = pencil.body.projection.half_width(0.03, 0.075)
    for side in (-0.8, 0.8):
        pencil.canvas.capsule(
            hand, centre + np.array([side * half * unit, -0.05 * unit]), 0.006 * unit, 0.006 * unit,
            scaled(colour, 0.7),
        )  # fmt: skip
    _draw_case(pencil, centre, half, 0.055, colour)
