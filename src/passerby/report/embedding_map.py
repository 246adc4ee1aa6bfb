"""A map of features: pictures of some people in the plane in which these lie farthest apart.

The plane of the first two principal components is no training and no chance: the same features give
the same map. Distances in it are never greater than the real ones, and can be much less.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from passerby import seeds
from passerby.report import style
from passerby.report.evaluated import Evaluated, camera_text

PEOPLE = 30
WIDTH, HEIGHT = 7.0, 5.6
"""Inches: the width of a page."""
FILLS = ("full", "left", "top", "right", "bottom")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "h", ">", "d")


@dataclass(frozen=True)
class Map:
    """`N` pictures of some people in the plane."""

    at: np.ndarray
    """`float64 (N, 2)`."""
    share: tuple[float, float]
    """Of the variance, along each axis."""
    person: np.ndarray
    """`(N,)`."""
    camera: np.ndarray
    """`(N,)`; -1 where it is not known."""


def mapped(evaluated: Evaluated, people: int = PEOPLE, seed: int = 0) -> Map:
    """Map all pictures, of queries and gallery, of people who are drawn by the seed.

    Args:
        evaluated: Features and labels.
        people: How many, at most, of those whose queries have a match.
        seed: Of the draw.
    """
    arrays, ranking = evaluated.arrays, evaluated.result.ranking
    known = np.unique(np.asarray(arrays["query_people"])[ranking.query])
    rng = seeds.stream(seed, "report", "map")
    chosen = rng.choice(known, min(people, len(known)), replace=False)
    features, person, camera = (
        np.concatenate([arrays[f"query_{name}"], arrays[f"gallery_{name}"]])
        for name in ("features", "people", "cameras")
    )
    kept = np.isin(person, chosen)
    features = features[kept].astype(np.float64)
    if evaluated.result.distance == "cosine":
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    at, share = principal_plane(features)
    return Map(at, share, person[kept], np.maximum(camera[kept], -1))


def principal_plane(features: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Coordinates along the first two principal components, and their shares of the variance.

    An axis points where its largest weight is above 0: so its sign is no chance.

    Args:
        features: `float64 (N, D)`.

    Returns:
        `(N, 2)`, zero where features have no second dimension; and two fractions.

    Example:
        >>> at, share = principal_plane(np.array([[0.0, 3.0], [0.0, -3.0]]))
        >>> at.round(6).tolist(), share
        ([[3.0, 0.0], [-3.0, 0.0]], (1.0, 0.0))
    """
    centred = features - features.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes = np.stack([_signed(axis) for axis in axes[:2]])
    at = np.zeros((len(features), 2))
    at[:, : len(axes)] = centred @ axes.T
    variance = np.square(lengths)
    shares = [*(variance[:2] / max(variance.sum(), np.finfo(float).tiny)).tolist(), 0.0]
    return at, (shares[0], shares[1])


def _signed(axis: np.ndarray) -> np.ndarray:
    """The axis, or its opposite, so that the largest of its weights is above 0."""
    return -axis if axis[np.abs(axis).argmax()] < 0 else axis


def figure(found: Map, distance: str, title: str = "") -> Figure:
    """Draw a map: a marker a person, whose number stands at the mean; a fill a camera.

    Args:
        found: The map.
        distance: `cosine` (then features have length 1) or `euclidean`.
        title: What stands above.
    """
    made, grid = style.panels(1, 1, WIDTH, HEIGHT)
    axes = grid[0][0]
    cameras = np.unique(found.camera).tolist()
    fills = dict(zip(cameras, camera_fills(len(cameras)), strict=True))
    for number, person in enumerate(np.unique(found.person).tolist()):
        _join(axes, found.at[found.person == person], str(person))
        for camera, fill in fills.items():
            x, y = found.at[(found.person == person) & (found.camera == camera)].T
            axes.plot(x, y, marker=MARKERS[number % len(MARKERS)], **fill)
    unit = "features of length 1" if distance == "cosine" else "unit of the features"
    first, second = (f"({100 * share:.0f} % of the variance; {unit})" for share in found.share)
    axes.set_xlabel(f"first principal component {first}")
    axes.set_ylabel(f"second principal component {second}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(style.wrapped(title, WIDTH - 1))
    marks = [Line2D([], [], marker="o", **fill, label=camera_text(c)) for c, fill in fills.items()]
    columns = min(6, len(marks))
    told = "a number is a person, at the mean of the person's pictures"
    made.legend(
        handles=marks, loc="outside lower center", ncols=columns, handlelength=1, title=told
    )
    return made


def camera_fills(count: int) -> list[dict[str, Any]]:
    """As many fills of a marker: from dark to light, and by turns whole or half.

    Neither alone would do: a grey print has no dozen shades, and there are five ways to be filled.
    """
    shades = colormaps["viridis"](np.linspace(0, 1, count))
    return [
        {
            "linestyle": "none",
            "markersize": 5.5,
            "markeredgecolor": "black",
            "markeredgewidth": 0.5,
            "markerfacecolor": tuple(shade),
            "markerfacecoloralt": "white",
            "fillstyle": FILLS[place % len(FILLS)],
        }
        for place, shade in enumerate(shades)
    ]


def _join(axes: Axes, at: np.ndarray, number: str) -> None:
    """Lines from a person's pictures to their mean, where the number stands."""
    x, y = middle = at.mean(axis=0).tolist()
    spokes = LineCollection([(middle, point) for point in at.tolist()])
    spokes.set(color="#bbbbbb", linewidth=0.45, zorder=1)
    axes.add_collection(spokes)
    axes.text(
        x, y, number, fontsize=8, fontweight="bold", ha="center", va="center", zorder=4,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )  # fmt: skip
