"""The map of features: whose it is, and that it is no chance."""

from itertools import pairwise

import numpy as np
import pytest
from evaluated_samples import evaluated
from matplotlib.colors import to_rgb

from passerby.report.embedding_map import FILLS, Map, camera_fills, figure, mapped, principal_plane


def test_the_plane_is_that_of_the_covariance() -> None:
    features = np.random.default_rng(0).normal(size=(40, 6)) * [1, 5, 2, 1, 3, 1]
    at, share = principal_plane(features)
    values, vectors = np.linalg.eigh(np.cov(features.T))
    for axis in (0, 1):
        vector = vectors[:, -1 - axis]
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        np.testing.assert_allclose(at[:, axis], (features - features.mean(0)) @ vector, atol=1e-9)
        assert share[axis] == pytest.approx(values[-1 - axis] / values.sum())


def test_the_sign_of_an_axis_does_not_hang_on_the_order_of_pictures() -> None:
    features = np.random.default_rng(1).normal(size=(30, 5))
    at, _ = principal_plane(features)
    turned, _ = principal_plane(features[::-1])
    np.testing.assert_allclose(turned[::-1], at, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2])
def test_features_of_few_numbers_have_a_map(size: int) -> None:
    at, share = principal_plane(np.arange(3.0 * size).reshape(3, size))
    assert at.shape == (3, 2)
    np.testing.assert_allclose(at[:, 1], 0, atol=1e-9)
    assert share == pytest.approx((1, 0))


def test_equal_features_are_one_point() -> None:
    at, share = principal_plane(np.ones((4, 3)))
    assert not at.any()
    assert share == (0, 0)


def test_a_map_shows_all_pictures_of_the_people_drawn_and_nobody_else() -> None:
    given = evaluated()
    found = mapped(given, people=3, seed=5)
    drawn = set(found.person.tolist())
    assert len(drawn) == 3
    assert min(drawn) > 0  # neither junk nor distractors
    both = np.concatenate([given.arrays["query_people"], given.arrays["gallery_people"]])
    assert len(found.at) == np.isin(both, list(drawn)).sum()
    again = mapped(given, people=3, seed=5)
    np.testing.assert_array_equal(again.at, found.at)
    assert set(mapped(given, people=3, seed=6).person.tolist()) != drawn


def test_all_cameras_that_are_not_known_are_one() -> None:
    given = evaluated()
    given.arrays["gallery_cameras"][:] = -np.arange(1, 61)
    assert set(mapped(given).camera.tolist()) == {-1, *given.arrays["query_cameras"].tolist()}


def test_a_marker_is_a_person_and_a_fill_a_camera() -> None:
    rng = np.random.default_rng(0)
    person, camera = np.repeat([4, 8, 9], 6), np.tile([1, 2, 3], 6)
    found = Map(rng.normal(size=(18, 2)), (0.5, 0.25), person, camera)
    made = figure(found, "cosine")
    (axes,) = made.axes
    looks = [(line.get_marker(), line.get_fillstyle()) for line in axes.get_lines()]
    assert len(looks) == len(set(looks)) == 9
    assert sum(len(line.get_xdata()) for line in axes.get_lines()) == 18
    means = {text.get_text(): text.get_position() for text in axes.texts}
    for number in (4, 8, 9):
        np.testing.assert_allclose(means[str(number)], found.at[person == number].mean(axis=0))
    (legend,) = made.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["camera 1", "camera 2", "camera 3"]
    assert "(50 % of the variance; features of length 1)" in axes.get_xlabel()


def test_fills_differ_in_a_grey_print() -> None:
    fills = camera_fills(15)
    weights = (0.2126, 0.7152, 0.0722)
    greys = [float(np.dot(to_rgb(fill["markerfacecolor"]), weights)) for fill in fills]
    assert greys == sorted(greys)
    assert all(a["fillstyle"] != b["fillstyle"] for a, b in pairwise(fills))
    alike = [greys[place :: len(FILLS)] for place in range(len(FILLS))]
    assert all(b - a > 0.1 for shades in alike for a, b in pairwise(shades))
