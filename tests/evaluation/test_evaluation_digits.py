"""Rounding: a stored threshold accepts what the distance that it was made of accepts."""

import numpy as np

from passerby.evaluation import digits


def test_a_stored_threshold_accepts_its_own_distance_and_not_the_next() -> None:
    rng = np.random.default_rng(0)
    distances = (10.0 ** rng.uniform(-37, 38, 20_000)).astype(np.float32)
    for distance in distances:
        stored = digits.threshold(float(distance))
        assert float(distance) <= stored < float(np.nextafter(distance, np.float32(np.inf)))
        assert np.float32(stored) == distance
        assert len(f"{stored:.17g}".split("e")[0].replace(".", "").lstrip("0")) <= 17
        assert float(f"{stored:.9g}") == stored


def test_small_error_rates_keep_their_digits() -> None:
    assert digits.rate(1.23456789e-7) == 1.23457e-07
    assert digits.share(0.1234567) == 0.123457
