import numpy as np
import pytest
import torch

from passerby.errors import BadInput
from passerby.pretrain.draws import Geometry, draw
from passerby.pretrain.recipes import Recipe, recipe
from passerby.vision import torchvision

N = 20_000
PERSON = Geometry(64, 32, 0.3, "person")


def drawn(name: str, geometry: Geometry = PERSON, shape: float = 0.5, n: int = N, seed: int = 0):
    return draw(recipe(name), geometry, np.full(n, shape), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("name", "jitter", "strengths", "grey", "blur", "erase", "most"),
    [
        ("ori", 0.8, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0, 0),
        ("mocov2", 0.8, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0, 0),
        ("ori-cj", 0, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0, 0),
        ("ori-gs", 0.8, (0.4, 0.4, 0.4, 0.1), 0, 0.5, 0, 0),
        ("ori-gb", 0.8, (0.4, 0.4, 0.4, 0.1), 0.2, 0, 0, 0),
        ("ori-cj+wre", 0, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0.5, 0.2),
        ("ori-cj+re", 0, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0.5, 0.4),
        ("ori-cj+sre", 0, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0.5, 0.6),
        ("ori-cj+ssre", 0, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5, 0.5, 0.8),
        ("ori+wcj+sre", 0.8, (0.2, 0.2, 0.2, 0.1), 0.2, 0.5, 0.5, 0.6),
        ("ori+wwcj+sre", 0.8, (0.1, 0.1, 0.1, 0.1), 0.2, 0.5, 0.5, 0.6),
        ("moco", 1, (0.4, 0.4, 0.4, 0.4), 0.2, 0, 0, 0),
        ("reid", 0, (0.4, 0.4, 0.4, 0.1), 0, 0, 0.5, 0.4),
    ],
)
def test_each_list_draws_with_its_probabilities_and_strengths(
    name, jitter, strengths, grey, blur, erase, most
):
    assert recipe(name) == Recipe(jitter, strengths, grey, blur, erase, most, name == "reid")
    d = drawn(name)
    sd = 0.5 / N**0.5
    assert d.flip.mean() == pytest.approx(0.5, abs=5 * sd)
    assert d.jitter.mean() == pytest.approx(jitter, abs=5 * sd)
    assert d.grey.mean() == pytest.approx(grey, abs=5 * sd)
    assert (d.blur > 0).mean() == pytest.approx(blur, abs=5 * sd)
    assert (d.hole[:, 2] > 0).mean() == pytest.approx(erase, abs=5 * sd)
    spread = np.array(strengths)
    middle = np.array([1, 1, 1, 0])
    assert (np.abs(d.factors - middle) <= spread).all()
    np.testing.assert_allclose(np.abs(d.factors - middle).max(0), spread, rtol=0.01)
    np.testing.assert_allclose(d.factors.mean(0), middle, atol=0.02)


def test_draws_keep_their_bounds():
    d = drawn("ori+sre")
    left, top, width, height = d.box.T
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-12
    assert 0.3 <= (width * height).min() < 0.31
    assert (width / height).min() >= 0.75 - 1e-9
    assert (width / height).max() <= 4 / 3 + 1e-9
    blurred = d.blur[d.blur > 0]
    assert 0.1 <= blurred.min() < 0.11
    assert 1.99 < blurred.max() <= 2
    assert blurred.mean() == pytest.approx(1.05, abs=0.02)
    assert (np.sort(d.order, 1) == np.arange(4)).all()
    orders = np.unique(d.order @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(orders) == 24
    assert np.abs(orders / N - 1 / 24).max() < 0.008
    top, left, height, width = d.hole[d.hole[:, 2] > 0].T
    assert ((top >= 0) & (left >= 0) & (top + height <= 64) & (left + width <= 32)).all()
    assert (height < 64).all()
    assert (width < 32).all()
    share = height * width / (64 * 32)
    assert 0.015 < share.min() < 0.025
    assert 0.57 < share.max() < 0.63


def slow_hole(rng, most: float, height_px: int, width_px: int):
    """LUPerson's RandomErasing, a try at a time."""
    if rng.random() >= 0.5:
        return None
    for _ in range(100):
        area = rng.uniform(0.02, most) * height_px * width_px
        ratio = rng.uniform(0.3, 1 / 0.3)
        h, w = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if w < width_px and h < height_px:
            return rng.integers(0, height_px - h + 1), rng.integers(0, width_px - w + 1), h, w
    return None


def test_holes_are_distributed_as_lupersons():
    rng = np.random.default_rng(5)
    slow = np.array([h for h in (slow_hole(rng, 0.6, 64, 32) for _ in range(N)) if h])
    fast = drawn("ori+sre").hole
    fast = fast[fast[:, 2] > 0]
    np.testing.assert_allclose(fast.mean(0), slow.mean(0), rtol=0.03)
    np.testing.assert_allclose(fast.std(0), slow.std(0), rtol=0.03)


@pytest.mark.parametrize("shape", [1 / 3, 0.4, 0.5, 1.0, 2.0])
def test_source_cuts_are_distributed_as_torchvisions(shape):
    """At 1:2 mean area .37, mean height .44, as the field's notes say."""
    height, width = 1000, round(1000 * shape)
    picture = torch.empty(0, height, width)
    torch.manual_seed(0)
    params = torchvision.transforms.RandomResizedCrop.get_params
    slow = np.array([params(picture, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)], float)
    slow = slow[:, [1, 0, 3, 2]] / [width, height, width, height]
    fast = drawn("ori", Geometry(64, 32, 0.2, "source"), shape).box
    np.testing.assert_allclose(fast.mean(0), slow.mean(0), atol=0.012)
    np.testing.assert_allclose(fast.std(0), slow.std(0), atol=0.012)
    area = (fast[:, 2] * fast[:, 3], slow[:, 2] * slow[:, 3])
    assert area[0].mean() == pytest.approx(area[1].mean(), abs=0.01)
    if shape == 0.5:
        assert area[0].mean() == pytest.approx(0.37, abs=0.005)
        assert fast[:, 3].mean() == pytest.approx(0.44, abs=0.006)


def test_a_cut_that_never_fits_is_torchvisions_middle():
    # 1:10: no area from 0.9 on has a ratio of 3/4 or more
    box = drawn("ori", Geometry(64, 32, 0.9, "source"), 0.1, n=5).box
    np.testing.assert_allclose(box, [[0, 0.5 - 0.1 / 0.75 / 2, 1, 0.1 / 0.75]] * 5)
    wide = drawn("ori", Geometry(64, 32, 0.9, "source"), 10, n=5).box
    share = 4 / 3 / 10
    np.testing.assert_allclose(wide, [[0.5 - share / 2, 0, share, 1]] * 5)


@pytest.mark.parametrize("shape", [0.3, 0.5, 2.0])
def test_person_cuts_keep_the_pictures_shape(shape):
    box = drawn("ori", Geometry(64, 32, 0.2, "person"), shape).box
    same = drawn("ori", Geometry(64, 32, 0.2, "source"), 1.0).box
    np.testing.assert_allclose(box, same)  # as torchvision's of a square picture
    assert (box[:, 2] * box[:, 3]).mean() == pytest.approx(0.57, abs=0.04)


def test_reid_cuts_bodies():
    width, height = drawn("reid", shape=0.5).box.T[2:]
    whole = (width == 1) & (height == 1)
    assert (width * height).min() >= 0.64 - 1e-9
    ratio = height[~whole] / (width[~whole] * 0.5)
    assert ratio.min() >= 2 - 1e-9
    assert ratio.max() <= 3 + 1e-9
    # a square picture has no body of such a shape: it stays whole
    np.testing.assert_array_equal(drawn("reid", shape=1.0, n=9).box, [[0, 0, 1, 1]] * 9)


def test_draws_follow_from_the_stream_and_their_count_from_n_alone():
    after = []
    for name in ("ori", "ori+sre", "reid"):
        for shape in (0.2, 0.5):
            rng = np.random.default_rng(7)
            first = draw(recipe(name), PERSON, np.full(9, shape), rng)
            again = draw(recipe(name), PERSON, np.full(9, shape), np.random.default_rng(7))
            for field in vars(first):
                np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
            if name != "reid":  # its cuts are drawn otherwise
                after.append(rng.random())
    assert len(set(after)) == 1


def test_take_gives_the_parameters_of_some_views():
    d = drawn("ori+sre", n=6)
    rows = np.array([4, 1])
    some = d.take(rows)
    for field in vars(d):
        np.testing.assert_array_equal(getattr(some, field), getattr(d, field)[rows])


@pytest.mark.parametrize("name", ["orig", "ori+cj", "ori-gs-cj", "", "ori+sre+wcj"])
def test_an_unknown_list_is_refused(name):
    with pytest.raises(BadInput) as refused:
        recipe(name)
    assert str(refused.value) == (
        f"views: no list is called '{name}'; known: mocov2, moco, reid or "
        "ori[-cj][-gs][-gb][+wcj|+wwcj][+wre|+re|+sre|+ssre]"
    )


@pytest.mark.parametrize(
    ("aspect", "min_area", "area", "whole"),
    [("source", 0.2, 0.37, 0.0), ("person", 0.2, 0.54, 0.29), ("person", 0.5, 0.69, 0.52)],
)
def test_cuts_as_published_never_show_head_and_feet_and_person_cuts_do(
    aspect, min_area, area, whole
):
    """On a picture twice as high as wide; head and feet: the first and the last eighth of it."""
    geometry = Geometry(256, 128, min_area, aspect)
    box = draw(recipe("ori"), geometry, np.full(20_000, 0.5), np.random.default_rng(8)).box
    top, height = box[:, 1], box[:, 3]
    both = (top < 1 / 8) & (top + height > 7 / 8)
    assert (box[:, 2] * height).mean() == pytest.approx(area, abs=0.03)
    assert both.mean() == pytest.approx(whole, abs=0.02 if whole else 0)
    if aspect == "source":
        assert height.max() <= 0.667 + 1e-9
