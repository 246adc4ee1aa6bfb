"""Views against torchvision and PIL, a picture at a time, with the same draws.

PIL rounds to whole levels of 255 after each operation, ours never: tolerances are in levels.
"""

import numpy as np
import pytest
import torch
from crop_samples import picture
from PIL import Image, ImageFilter

from passerby.pretrain import colours, views
from passerby.pretrain.draws import Geometry, draw, whole_pixels
from passerby.pretrain.recipes import recipe
from passerby.vision import torchvision

FT = torchvision.transforms.functional
SIZE = (32, 16)


def pictures(count: int, width: int = 24, height: int = 50) -> np.ndarray:
    """Smooth ones and noise in turn."""
    noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    smooth = np.stack([picture(n, width, height) for n in range(count)])
    return np.where((np.arange(count) % 2 == 0)[:, None, None, None], smooth, noise)


def floats(arrays: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255


def levels(found: torch.Tensor, wanted: list[Image.Image]) -> np.ndarray:
    """Distance in levels of 255."""
    theirs = np.stack([np.asarray(image, float) for image in wanted])
    return np.abs(found.permute(0, 2, 3, 1).numpy() * 255 - theirs)


def test_cut_is_pils_bilinear_resize_of_a_box():
    arrays = pictures(40)
    d = draw(recipe("ori"), Geometry(*SIZE, 0.1, "source"), np.full(40, 0.48), rng(1))
    box, flip = torch.from_numpy(d.box).float(), torch.from_numpy(d.flip)
    found = views.cut(torch.from_numpy(arrays), box, flip, SIZE)
    wanted = []
    for array, (left, top, width, height), flipped in zip(arrays, d.box, d.flip, strict=True):
        edges = (left * 24, top * 50, (left + width) * 24, (top + height) * 50)
        image = Image.fromarray(array).resize(SIZE[::-1], Image.Resampling.BILINEAR, box=edges)
        wanted.append(FT.hflip(image) if flipped else image)
    # PIL rounds twice, after columns and after rows, its weights have 22 bits; and it cuts the
    # triangle's support at whole pixels, which drops weights of next to nothing.
    off = levels(found, wanted)
    assert off.max() < 1.6
    assert off.mean() < 0.35


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_cut_enlarges_as_pil_does():
    arrays = pictures(10, width=12, height=20)
    box = torch.tensor([[0.25, 0.5, 0.5, 0.4]]).expand(10, 4)
    found = views.cut(torch.from_numpy(arrays), box, torch.zeros(10, dtype=torch.bool), SIZE)
    wanted = [
        Image.fromarray(array).resize(SIZE[::-1], Image.Resampling.BILINEAR, box=(3, 10, 9, 18))
        for array in arrays
    ]
    assert levels(found, wanted).max() < 1.6


def test_a_whole_picture_at_its_size_stays_as_it_is():
    arrays = pictures(4, width=16, height=32)
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(4, 4)
    found = views.cut(torch.from_numpy(arrays), box, torch.zeros(4, dtype=torch.bool), SIZE)
    torch.testing.assert_close(found, floats(arrays))


@pytest.mark.parametrize(
    ("ours", "theirs", "values", "most", "mean"),
    [
        (colours.brightness, FT.adjust_brightness, (0.0, 0.6, 1.0, 1.4), 1.01, 0.51),
        # the mean brightness is rounded, and then taken 0.4 times
        (colours.contrast, FT.adjust_contrast, (0.0, 0.6, 1.0, 1.4), 1.5, 0.6),
        (colours.saturation, FT.adjust_saturation, (0.0, 0.6, 1.0, 1.4), 1.5, 0.6),
        # PIL's hue has 8 bits, six levels a step, and the turn is cut to whole steps too
        (colours.hue, FT.adjust_hue, (-0.4, -0.1, 0.0, 0.05, 0.1, 0.4), 15, 3),
    ],
)
def test_colours_are_torchvisions(ours, theirs, values, most, mean):
    arrays = pictures(6)
    for value in values:
        found = ours(floats(arrays), torch.full((6,), value))
        off = levels(found, [theirs(Image.fromarray(array), value) for array in arrays])
        assert off.max() < most, value
        assert off.mean() < mean, value


@pytest.mark.parametrize("turn", [-0.5, -0.31, 0.0, 0.1, 0.5])
def test_hue_is_torchvisions_on_floats(turn):
    images = floats(pictures(6))
    images[0] = 0.5  # grey has no hue
    wanted = FT.adjust_hue(images, turn)
    torch.testing.assert_close(
        colours.hue(images, torch.full((6,), turn)), wanted, atol=2e-5, rtol=0
    )


def test_jitter_goes_in_each_pictures_own_order():
    arrays = pictures(24)
    d = draw(recipe("ori"), Geometry(*SIZE, 0.1, "source"), np.full(24, 0.48), rng(2))
    due = [torch.from_numpy(rows) for rows in colours.turns(d.order)]
    found = colours.jitter(floats(arrays), torch.from_numpy(d.factors).float(), due)
    names = ("brightness", "contrast", "saturation", "hue")
    images = floats(arrays)
    for i in range(24):
        image = images[i]
        for which in d.order[i]:
            image = getattr(FT, f"adjust_{names[which]}")(image, float(d.factors[i, which]))
        torch.testing.assert_close(found[i], image, atol=1e-4, rtol=0)


def test_grey_is_torchvisions():
    arrays = pictures(6)
    found = colours.luma(floats(arrays)).expand(6, 3, 50, 24)
    wanted = [FT.to_grayscale(Image.fromarray(array), 3) for array in arrays]
    assert levels(found, wanted).max() < 0.52


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_blur_is_a_gaussian_whose_edges_go_on(sigma):
    images = floats(pictures(4, width=16, height=32))
    found = views.blur(images, torch.full((4,), sigma))
    reach = torch.arange(-8, 9)
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    padded = torch.nn.functional.pad(images, (8, 8, 8, 8), mode="replicate")
    weights = kernel.view(1, 1, 17, 17).expand(3, 1, 17, 17)
    wanted = torch.nn.functional.conv2d(padded, weights, groups=3)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blur_is_torchvisions_inside_and_nearly_pils(sigma):
    arrays = pictures(4, width=40, height=60)
    images = floats(arrays)
    found = views.blur(images, torch.full((4,), sigma))
    inside = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(
        found[inside], FT.gaussian_blur(images, [17, 17], [sigma, sigma])[inside], atol=1e-5, rtol=0
    )
    # PIL's Gaussian is three box filters: not the same function, least of all on noise
    wanted = [Image.fromarray(array).filter(ImageFilter.GaussianBlur(sigma)) for array in arrays]
    off = levels(found, wanted)
    assert off[::2].max() < 3.5
    assert off.mean() < 3


def slow_view(array: np.ndarray, d, i: int, mean, deviation) -> torch.Tensor:
    """One view with torchvision's functions on floats, and PIL's resize in whole levels."""
    place = tuple(whole_pixels(d.box[i : i + 1], *array.shape[:2])[0].tolist())
    image = Image.fromarray(array).crop(place).resize(SIZE[::-1], Image.Resampling.BILINEAR)
    view = FT.to_tensor(image)
    if d.jitter[i]:
        for which in d.order[i]:
            name = ("brightness", "contrast", "saturation", "hue")[which]
            view = getattr(FT, f"adjust_{name}")(view, float(d.factors[i, which]))
    if d.grey[i]:
        view = FT.rgb_to_grayscale(view, 3)
    if d.blur[i] > 0:
        padded = torch.nn.functional.pad(view[None], (8, 8, 8, 8), mode="replicate")[0]
        view = FT.gaussian_blur(padded, [17, 17], [d.blur[i]] * 2)[:, 8:-8, 8:-8]
    if d.flip[i]:
        view = FT.hflip(view)
    view = FT.normalize(view, mean, deviation)
    return FT.erase(view, *d.hole[i], torch.zeros(1)) if d.hole[i, 2] else view


@pytest.mark.parametrize("name", ["ori+sre", "moco", "reid"])
def test_views_are_the_whole_list_applied_picture_by_picture(name):
    mean, deviation = (0.35, 0.31, 0.32), (0.27, 0.25, 0.26)
    arrays = np.stack([picture(n, 24, 50) for n in range(48)])
    d = draw(recipe(name), Geometry(*SIZE, 0.3, "person"), np.full(48, 0.48), rng(3))
    found = views.apply(torch.from_numpy(arrays), d, SIZE, mean, deviation)
    assert found.shape == (48, 3, 32, 16)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    wanted = torch.stack([slow_view(arrays[i], d, i, mean, deviation) for i in range(48)])
    off = (found - wanted).abs() * 0.25 * 255  # about levels
    # hue takes the resize's rounding of a level and makes more of it where colours are weak
    assert off.mean() < 0.6
    assert off.flatten(1).quantile(0.99, dim=1).max() < 5
    erased = d.hole[:, 2] > 0
    assert erased.any() == (name != "moco")
    for i in np.flatnonzero(erased):
        top, left, height, width = d.hole[i]
        assert (found[i, :, top : top + height, left : left + width] == 0).all()


def test_a_view_depends_on_its_own_picture_and_draws_alone():
    arrays = torch.from_numpy(pictures(12))
    d = draw(recipe("ori+sre"), Geometry(*SIZE, 0.3, "person"), np.full(12, 0.48), rng(4))
    whole = views.apply(arrays, d, SIZE, (0.5,) * 3, (0.25,) * 3)
    rows = np.array([7, 2])
    some = views.apply(arrays[rows], d.take(rows), SIZE, (0.5,) * 3, (0.25,) * 3)
    torch.testing.assert_close(some, whole[rows], atol=1e-5, rtol=0)


def test_autocast_around_views_changes_nothing():
    arrays = torch.from_numpy(pictures(12))
    d = draw(recipe("ori+sre"), Geometry(*SIZE, 0.3, "person"), np.full(12, 0.48), rng(5))
    assert d.jitter.any()
    assert (d.blur > 0).any()
    plain = views.apply(arrays, d, SIZE, (0.5,) * 3, (0.25,) * 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = views.apply(arrays, d, SIZE, (0.5,) * 3, (0.25,) * 3)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, plain)
