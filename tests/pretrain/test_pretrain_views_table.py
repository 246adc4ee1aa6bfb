"""The table of draws: what was drawn can be read from its columns."""

import numpy as np

from passerby.pretrain.draws import Geometry, draw, whole_pixels
from passerby.pretrain.recipes import recipe
from passerby.pretrain.views_table import COLUMNS, NO_JITTER, column, table

COUNT = 40
DRAWN = draw(
    recipe("ori+sre"),
    Geometry(32, 16, 0.3, "person"),
    np.full(COUNT, 0.48),
    np.random.default_rng(0),
)
ROWS = np.arange(COUNT) + 50_000_000
MADE = table(DRAWN, ROWS, 50, 24)


def whole(name: str, width: int = 1) -> np.ndarray:
    first = column(name)
    return MADE[:, first : first + width]


def real(name: str, width: int = 1) -> np.ndarray:
    return whole(name, width).copy().view(np.float32)


def test_the_table_is_one_array_of_32_bit_numbers():
    assert MADE.dtype == np.int32
    assert MADE.shape == (COUNT, COLUMNS)


def test_numbers_of_pictures_beyond_what_a_float_holds_are_exact():
    np.testing.assert_array_equal(whole("picture")[:, 0], ROWS)


def test_cuts_are_whole_pixels_of_the_pictures():
    np.testing.assert_array_equal(whole("cut", 4), whole_pixels(DRAWN.box, 50, 24))


def test_colours_are_as_drawn():
    np.testing.assert_array_equal(real("factors", 4), DRAWN.factors.astype(np.float32))
    np.testing.assert_array_equal(whole("order", 4), DRAWN.order)
    np.testing.assert_array_equal(whole("grey")[:, 0], DRAWN.grey)
    contrast = whole("contrast")[:, 0]
    np.testing.assert_array_equal(contrast == NO_JITTER, ~DRAWN.jitter)
    jittered = np.flatnonzero(DRAWN.jitter)
    assert (DRAWN.order[jittered, contrast[jittered]] == 1).all()


def test_flips_blurs_and_holes_are_as_drawn():
    np.testing.assert_array_equal(whole("flip")[:, 0], DRAWN.flip)
    np.testing.assert_array_equal(real("blur")[:, 0], DRAWN.blur.astype(np.float32))
    top, left, bottom, right = whole("hole", 4).T
    np.testing.assert_array_equal(
        np.stack([top, left, bottom - top, right - left], axis=1), DRAWN.hole
    )
