"""Products of features with a gallery."""

import numpy as np
import pytest

from passerby.models.products import where_it_is_fast


def test_products_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(3, 8)), rng.normal(size=(5, 8))
    found = where_it_is_fast(gallery.astype(np.float32))(query.astype(np.float32))
    assert found.dtype == np.float32
    assert found == pytest.approx(query @ gallery.T, abs=1e-5)


@pytest.mark.gpu
def test_a_gpu_gives_whole_float32() -> None:
    rng = np.random.default_rng(0)
    query = rng.normal(size=(64, 2_048)).astype(np.float32)
    found = where_it_is_fast(query)(query)
    exact = query.astype(np.float64) @ query.T
    assert np.abs(found - exact).max() < 1e-5 * np.abs(exact).max()  # TF32 would give 1e-3
