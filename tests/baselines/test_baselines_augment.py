"""A mirror image, a rotation, an erased rectangle: each as it is drawn, and nothing else."""

import numpy as np
import torch

from passerby import seeds
from passerby.baselines import augment
from passerby.baselines.augment import Draws

SIZE = (6, 4)


def draws(flipped: bool = False, angle_deg: float = 0, erased: tuple[int, ...] = (0, 0, 0, 0)):
    return Draws(np.array([flipped]), np.array([float(angle_deg)]), np.array([erased]))


def picture(high: int = SIZE[0], wide: int = SIZE[1]) -> torch.Tensor:
    return torch.arange(3.0 * high * wide).reshape(1, 3, high, wide) + 1


def test_nothing_drawn_changes_nothing() -> None:
    torch.testing.assert_close(augment.apply(picture(), draws()), picture())


def test_a_flipped_picture_is_its_mirror_image() -> None:
    torch.testing.assert_close(augment.apply(picture(), draws(flipped=True)), picture().flip(-1))


def test_a_quarter_turn_of_a_square_is_a_quarter_turn() -> None:
    square = picture(4, 4)
    turned = augment.apply(square, draws(angle_deg=90))
    torch.testing.assert_close(turned, torch.rot90(square, 1, (-2, -1)), atol=1e-4, rtol=0)


def test_half_a_turn_of_any_picture_is_half_a_turn() -> None:
    turned = augment.apply(picture(), draws(angle_deg=180))
    torch.testing.assert_close(turned, picture().flip((-2, -1)), atol=1e-4, rtol=0)


def test_an_erased_rectangle_is_zero_and_the_rest_stays() -> None:
    wanted = picture()
    wanted[:, :, 1:3, 2:4] = 0
    torch.testing.assert_close(augment.apply(picture(), draws(erased=(1, 3, 2, 4))), wanted)


def test_draws_repeat_and_keep_their_ranges() -> None:
    drawn, again = (augment.draw(seeds.stream(1, "t"), 4000, (64, 32), 10.0, 0.5) for _ in "ab")
    assert np.array_equal(drawn.erased, again.erased)
    assert np.array_equal(drawn.angle_deg, again.angle_deg)
    assert abs(drawn.flipped.mean() - 0.5) < 0.03
    assert 9.9 < np.abs(drawn.angle_deg).max() <= 10
    erased = drawn.erased[drawn.erased.any(axis=1)]
    assert abs(len(erased) / 4000 - 0.5) < 0.03
    extent = erased[:, 1::2] - erased[:, ::2]
    assert erased.min() == 0
    assert (erased[:, 1].max(), erased[:, 3].max()) == (64, 32)
    assert extent.min() >= 1
    assert 0.30 < (extent.prod(axis=1) / (64 * 32)).max() < 0.35
    assert not augment.draw(seeds.stream(1, "t"), 50, (64, 32), 10.0, 0.0).erased.any()
