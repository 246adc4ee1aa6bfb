"""A walking body: where its joints are on the picture, for a phase of the step and a heading.

The body is a skeleton in three dimensions, one unit high for a grown person: x to the person's
left, y up from the ground, z forward. It is turned by the heading, seen from above by the tilt,
and projected without perspective.
"""

from dataclasses import dataclass

import numpy as np

from passerby.world.looks import Look

HIP, SHOULDER, NECK, HEAD = 0.5, 0.815, 0.845, 0.925
THIGH, SHIN, UPPER_ARM, FOREARM, ANKLE = 0.235, 0.225, 0.165, 0.15, 0.04


@dataclass(frozen=True)
class Pose:
    """How a person is seen at one moment."""

    phase: float
    """Of the walk, 0..1: two steps."""
    heading_rad: float
    """0: towards the camera; a quarter turn: to the right of the picture."""
    tilt_rad: float = 0.1
    """How far the camera looks down."""
    stride: float = 1.0
    """Length of the steps; 0 stands still."""


@dataclass(frozen=True)
class Limb:
    """Two bones of an arm or a leg: three joints `(3, 3)` as rows of picture x, y and nearness."""

    joints: np.ndarray

    @property
    def nearness(self) -> float:
        """How much nearer to the camera than the body's axis, in body heights."""
        return float(self.joints[1:, 2].mean())


class Projection:
    """From the body's axes to the picture, in units of a grown person's height."""

    def __init__(self, pose: Pose, lift: float = 0.0) -> None:
        self.cos, self.sin = float(np.cos(pose.heading_rad)), float(np.sin(pose.heading_rad))
        self.cos_tilt, self.sin_tilt = float(np.cos(pose.tilt_rad)), float(np.sin(pose.tilt_rad))
        self.lift = lift

    def point(self, left: float, up: float, forward: float) -> np.ndarray:
        """Picture x, picture y (down, 0 at the feet) and nearness of one point, shape `(3,)`."""
        near = forward * self.cos - left * self.sin
        return np.array(
            [
                left * self.cos + forward * self.sin,
                near * self.sin_tilt - (up + self.lift) * self.cos_tilt,
                near,
            ]
        )

    def half_width(self, lateral: float, deep: float) -> float:
        """Half the seen width of an upright ellipse with these two half axes."""
        return float(np.hypot(lateral * self.cos, deep * self.sin))


@dataclass(frozen=True)
class Body:
    """The projected skeleton."""

    projection: Projection
    legs: tuple[Limb, Limb]
    """Right and left."""
    arms: tuple[Limb, Limb]
    toes: tuple[np.ndarray, np.ndarray]


def _leg(side: float, angle: float, bend: float, width: float) -> np.ndarray:
    """Hip, knee, ankle in the body's axes, `(3, 3)`; `angle` forward, `bend` of the knee, rad."""
    x = side * 0.052 * width
    knee = np.array([x, HIP - THIGH * np.cos(angle), THIGH * np.sin(angle)])
    shin = SHIN * np.array([0.0, -np.cos(angle - bend), np.sin(angle - bend)])
    return np.stack([np.array([x, HIP, 0.0]), knee, knee + shin])


def _arm(side: float, angle: float, width: float) -> np.ndarray:
    x = side * 0.118 * width
    elbow = np.array(
        [x + side * 0.022, SHOULDER - UPPER_ARM * np.cos(angle), UPPER_ARM * np.sin(angle)]
    )
    bent = angle + 0.32
    hand = elbow + FOREARM * np.array([side * 0.01, -np.cos(bent), np.sin(bent)])
    return np.stack([np.array([x, SHOULDER - 0.012, 0.0]), elbow, hand])


def _toe(ankle: np.ndarray, bend: float) -> np.ndarray:
    return ankle + np.array([0.0, -0.018 - 0.02 * bend, 0.085])


def stand(look: Look, pose: Pose) -> Body:
    """Pose the body of `look` and project it."""
    width = shoulder_width(look)
    angle = 2 * np.pi * pose.phase
    swings = [0.44 * pose.stride * float(np.sin(angle + side)) for side in (0.0, np.pi)]
    bends = [
        0.1 + 0.75 * pose.stride * max(0.0, float(np.cos(angle + side))) for side in (0.0, np.pi)
    ]
    legs = [_leg(side, swings[i], bends[i], look.girth) for i, side in enumerate((-1.0, 1.0))]
    arms = [_arm(side, -0.8 * swings[i], width) for i, side in enumerate((-1.0, 1.0))]
    lift = ANKLE - min(float(leg[2, 1]) for leg in legs)
    projection = Projection(pose, lift)

    def seen(limb: np.ndarray) -> Limb:
        return Limb(np.stack([projection.point(*(float(c) for c in joint)) for joint in limb]))

    toes = [projection.point(*map(float, _toe(leg[2], bends[i]))) for i, leg in enumerate(legs)]
    return Body(
        projection, (seen(legs[0]), seen(legs[1])), (seen(arms[0]), seen(arms[1])),
        (toes[0], toes[1]),
    )  # fmt: skip


def shoulder_width(look: Look) -> float:
    """Width of the shoulders over a mean person's."""
    return (0.94 if look.female else 1.05) * (0.6 + 0.4 * look.girth)
