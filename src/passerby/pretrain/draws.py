"""Views, first half: everything random about them is drawn here, in one place.

A draw can be recorded, replayed and given to a slow twin. Boxes are fractions of the picture, so
one draw serves a picture at any stored size.
"""

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np

from passerby.pretrain.recipes import Recipe

CROP_TRIES = 10
ERASE_TRIES = 100
_RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class Draws:
    """The parameters of `n` views.

    Attributes:
        box: Where the view lies in the picture: left, top, width, height as fractions, `(n, 4)`.
        flip: Left and right exchanged, bool `(n,)`.
        jitter: Whether colours are jittered, bool `(n,)`.
        factors: Of brightness, contrast and saturation (1: as it was), and the turn of the hue
            (0: as it was), `(n, 4)`.
        order: The order in which the four are applied, a permutation of 0..3, `(n, 4)`.
        grey: Whether colour is lost, bool `(n,)`.
        blur: Deviation of the Gaussian in pixels of the view, 0 for none, `(n,)`.
        hole: What is erased, in pixels of the view: top, left, height, width; zeros for nothing,
            int64 `(n, 4)`.
    """

    box: np.ndarray
    flip: np.ndarray
    jitter: np.ndarray
    factors: np.ndarray
    order: np.ndarray
    grey: np.ndarray
    blur: np.ndarray
    hole: np.ndarray

    def take(self, rows: np.ndarray | slice) -> Self:
        """The parameters of some of the views."""
        return dataclasses.replace(
            self, **{f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)}
        )


def joined(first: Draws, second: Draws) -> Draws:
    """The parameters of two lists of views, one behind the other."""
    names = [field.name for field in dataclasses.fields(Draws)]
    return Draws(**{n: np.concatenate([getattr(first, n), getattr(second, n)]) for n in names})


def whole(count: int) -> Draws:
    """The parameters that leave pictures as they are."""
    zeros, none = np.zeros(count), np.zeros(count, bool)
    return Draws(
        box=np.tile([0.0, 0.0, 1.0, 1.0], (count, 1)),
        flip=none,
        jitter=none,
        factors=np.tile([1.0, 1.0, 1.0, 0.0], (count, 1)),
        order=np.tile(np.arange(4), (count, 1)),
        grey=none,
        blur=zeros,
        hole=np.zeros((count, 4), np.int64),
    )


@dataclass(frozen=True)
class Geometry:
    """How views are cut: their size in pixels, their least area, and whose shape they keep.

    Attributes:
        height_px: Of the view.
        width_px: Of the view.
        min_area: Smallest share of the picture that a view shows.
        aspect: `person`: the picture's own shape, bent by 3/4 to 4/3; `source`: width by height
            3/4 to 4/3 as torchvision draws it, whatever the picture's shape.
    """

    height_px: int
    width_px: int
    min_area: float
    aspect: str


def draw(recipe: Recipe, geometry: Geometry, shapes: np.ndarray, rng: np.random.Generator) -> Draws:
    """Draw the parameters of a view for each of `n` pictures.

    Args:
        recipe: The list of augmentations.
        geometry: Size and cut of the views.
        shapes: Width by height of each picture, `(n,)`.
        rng: Where the numbers come from; their count depends on `n` alone.
    """
    n = len(shapes)
    spread = np.array(recipe.strengths)
    factors = rng.uniform(-spread, spread, (n, 4)) + np.array([1.0, 1.0, 1.0, 0.0])
    sigma = rng.uniform(0.1, 2.0, n)
    return Draws(
        box=_boxes(recipe, geometry, shapes, rng),
        flip=rng.random(n) < 0.5,
        jitter=rng.random(n) < recipe.jitter,
        factors=factors,
        order=rng.permuted(np.tile(np.arange(4), (n, 1)), axis=1),
        grey=rng.random(n) < recipe.grey,
        blur=np.where(rng.random(n) < recipe.blur, sigma, 0.0),
        hole=_holes(recipe, geometry, n, rng),
    )


def whole_pixels(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boxes in the pixels of pictures that are stored at one size, one pixel at least.

    Args:
        box: Left, top, width, height as fractions, `(n, 4)`.
        height: Of the pictures in pixels.
        width: Of the pictures in pixels.

    Returns:
        Left, top, right, bottom, int64 `(n, 4)`.

    Example:
        >>> whole_pixels(np.array([[0.26, 0.0, 0.5, 1.0], [0.99, 0.5, 0.001, 0.001]]), 10, 10)
        array([[ 3,  0,  8, 10],
               [ 9,  5, 10,  6]])
    """
    sides = np.array([width, height])
    first = np.minimum(np.rint(box[:, :2] * sides), sides - 1)
    last = np.clip(np.rint((box[:, :2] + box[:, 2:]) * sides), first + 1, sides)
    return np.concatenate([first, last], axis=1).astype(np.int64)


def _boxes(
    recipe: Recipe, geometry: Geometry, shapes: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Cuts as torchvision's RandomResizedCrop draws them: ten tries, then the middle.

    A ratio `r` is of fractions: 1 is the picture's own shape.
    """
    n = len(shapes)
    if recipe.body:
        area = rng.uniform(0.64, 1.0, (n, CROP_TRIES))
        ratio = 1 / rng.uniform(2.0, 3.0, (n, CROP_TRIES)) / shapes[:, None]
        fallback = np.ones(n)
    else:
        scale = np.ones(n) if geometry.aspect == "person" else 1 / shapes
        area = rng.uniform(geometry.min_area, 1.0, (n, CROP_TRIES))
        low, high = np.log(_RATIO)
        ratio = np.exp(rng.uniform(low, high, (n, CROP_TRIES))) * scale[:, None]
        fallback = np.clip(1.0, _RATIO[0] * scale, _RATIO[1] * scale)
    width, height = np.sqrt(area * ratio), np.sqrt(area / ratio)
    fits = (width <= 1) & (height <= 1)
    first = fits.argmax(axis=1), fits.any(axis=1)
    one = np.arange(n), first[0]
    width = np.where(first[1], width[one], np.minimum(fallback, 1))
    height = np.where(first[1], height[one], np.minimum(1 / fallback, 1))
    place = np.where(first[1][:, None], rng.random((n, 2)), 0.5)
    return np.stack([place[:, 0] * (1 - width), place[:, 1] * (1 - height), width, height], axis=1)


def _holes(recipe: Recipe, geometry: Geometry, n: int, rng: np.random.Generator) -> np.ndarray:
    """Holes as LUPerson's RandomErasing draws them: 100 tries, then none."""
    height_px, width_px = geometry.height_px, geometry.width_px
    wanted: np.ndarray = np.less(rng.random(n), recipe.erase)
    area = rng.uniform(0.02, max(recipe.erase_most, 0.02), (n, ERASE_TRIES)) * height_px * width_px
    ratio = rng.uniform(0.3, 1 / 0.3, (n, ERASE_TRIES))
    height, width = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
    fits = (height < height_px) & (width < width_px) & wanted[:, None]
    one = np.arange(n), fits.argmax(axis=1)
    height, width = height[one], width[one]
    top = np.floor(rng.random(n) * (height_px - height + 1))
    left = np.floor(rng.random(n) * (width_px - width + 1))
    hole = np.stack([top, left, height, width], axis=1)
    return np.where(fits.any(axis=1)[:, None], hole, 0).astype(np.int64)
