"""Views in whole levels, a picture at a time, against PIL, torchvision and the batched twin."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from crop_samples import picture
from PIL import Image, ImageFilter

from passerby.pretrain import views, views_uint8
from passerby.pretrain.draws import Geometry, draw, whole_pixels
from passerby.pretrain.recipes import recipe
from passerby.vision import torchvision

FT = torchvision.transforms.functional
SIZE = (32, 16)
MEAN, DEVIATION = (0.35, 0.31, 0.32), (0.27, 0.25, 0.26)


def pictures(count: int, width: int = 24, height: int = 50) -> np.ndarray:
    """Smooth ones and noise in turn."""
    noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    smooth = np.stack([picture(n, width, height) for n in range(count)])
    return np.where((np.arange(count) % 2 == 0)[:, None, None, None], smooth, noise)


def levels(found: np.ndarray, wanted: Image.Image) -> np.ndarray:
    return np.abs(found.astype(float) - np.asarray(wanted, float))


def applied(arrays: np.ndarray, drawn, threads: int = 1) -> torch.Tensor:
    with ThreadPoolExecutor(threads) as pool:
        return views_uint8.apply(
            torch.from_numpy(arrays), drawn, SIZE, MEAN, DEVIATION, pool, threads
        )


@pytest.mark.parametrize("place", [(0, 0, 24, 50), (3, 7, 21, 44), (5, 10, 9, 18), (0, 0, 16, 32)])
def test_cut_is_pils_bilinear_resize_of_a_rectangle(place):
    for array in pictures(6):
        found = views_uint8.cut(torch.from_numpy(array), place, SIZE)
        image = Image.fromarray(array).crop(place).resize(SIZE[::-1], Image.Resampling.BILINEAR)
        off = levels(found, image)
        # Weights of 16 bits against 22, and rounding after columns and after rows.
        assert off.max() <= 4
        assert off.mean() < 0.3
        assert found.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("ours", "theirs", "values", "most", "mean"),
    [
        (views_uint8.brightness, FT.adjust_brightness, (0.0, 0.6, 1.0, 1.4), 1, 0.6),
        (views_uint8.contrast, FT.adjust_contrast, (0.0, 0.6, 1.0, 1.4), 1, 0.6),
        (views_uint8.saturation, FT.adjust_saturation, (0.0, 0.6, 1.0, 1.4), 2, 0.6),
        # both have hues of 8 bits, cut in other places: six levels a step
        (views_uint8.hue, FT.adjust_hue, (-0.4, -0.1, 0.0, 0.05, 0.1, 0.4), 18, 4),
    ],
)
def test_colours_are_torchvisions(ours, theirs, values, most, mean):
    for array in pictures(6):
        for value in values:
            off = levels(ours(array.copy(), value), theirs(Image.fromarray(array), value))
            assert off.max() <= most, value
            assert off.mean() < mean, value


def test_operations_leave_the_picture_they_are_given_alone():
    array = pictures(1)[0]
    kept = array.copy()
    for operation in views_uint8.OPERATIONS:
        operation(array, 0.3)
    views_uint8.blur(array, 1.0)
    np.testing.assert_array_equal(array, kept)


def test_jitter_goes_in_the_order_drawn():
    array = pictures(1)[0]
    factors = (0.7, 1.3, 0.6, 0.1)
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        image = Image.fromarray(array)
        for which in order:
            name = ("brightness", "contrast", "saturation", "hue")[which]
            image = getattr(FT, f"adjust_{name}")(image, factors[which])
        off = levels(views_uint8.jitter(array, factors, order), image)
        assert off.mean() < 4


def test_grey_is_torchvisions():
    for array in pictures(4):
        wanted = FT.to_grayscale(Image.fromarray(array))
        assert levels(views_uint8.luma(array), wanted).max() <= 1


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_blur_is_the_twins_gaussian_and_nearly_pils(sigma):
    for array in pictures(4, width=16, height=32):
        image = torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255
        twin = views.blur(image, torch.full((1,), sigma))[0].permute(1, 2, 0).numpy() * 255
        found = views_uint8.blur(array, sigma)
        assert np.abs(found - twin).max() <= 1.01
    smooth = pictures(1, width=40, height=60)[0]
    theirs = Image.fromarray(smooth).filter(ImageFilter.GaussianBlur(sigma))
    assert levels(views_uint8.blur(smooth, sigma), theirs).max() <= 4


@pytest.mark.parametrize("name", ["ori", "ori+sre", "ori-cj+sre", "moco", "mocov2", "reid"])
def test_views_are_the_batched_twins(name):
    arrays = np.stack([picture(n, 24, 50) for n in range(64)])
    d = draw(recipe(name), Geometry(*SIZE, 0.3, "person"), np.full(64, 0.48), rng(3))
    found = applied(arrays, d)
    wanted = views.apply(torch.from_numpy(arrays), d, SIZE, MEAN, DEVIATION)
    assert found.shape == (64, 3, 32, 16)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    off = (found - wanted).abs() * 0.26 * 255  # about levels
    # hue takes rounding of a level and makes more of it where colours are weak
    assert off.mean() < 1.5
    assert off.flatten(1).quantile(0.99, dim=1).max() < 12
    for i in np.flatnonzero(d.hole[:, 2]):
        top, left, height, width = d.hole[i]
        assert (found[i, :, top : top + height, left : left + width] == 0).all()


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_flips_cuts_and_nothing_else_are_exact_pictures():
    """A list of cut and flip alone: PIL's picture, normalised, to the rounding of its resize."""
    arrays = pictures(20)
    d = draw(recipe("ori-cj-gs-gb"), Geometry(*SIZE, 0.2, "source"), np.full(20, 0.48), rng(1))
    found = applied(arrays, d).permute(0, 2, 3, 1).numpy() * DEVIATION + MEAN
    for i, place in enumerate(whole_pixels(d.box, 50, 24).tolist()):
        image = Image.fromarray(arrays[i]).crop(tuple(place))
        image = image.resize(SIZE[::-1], Image.Resampling.BILINEAR)
        image = FT.hflip(image) if d.flip[i] else image
        assert levels(found[i] * 255, image).max() < 4.1


def test_the_number_of_threads_changes_no_byte_and_a_view_depends_on_its_own_draws():
    arrays = pictures(13)
    d = draw(recipe("ori+sre"), Geometry(*SIZE, 0.3, "person"), np.full(13, 0.48), rng(4))
    whole = applied(arrays, d)
    assert torch.equal(applied(arrays, d, threads=4), whole)
    rows = np.array([7, 2])
    assert torch.equal(applied(arrays[rows], d.take(rows)), whole[rows])


@pytest.mark.parametrize("name", ["ori+sre", "moco"])
def test_views_are_distributed_as_torchvisions_list(name):
    """Mean, spread and share of holes of many views of one picture, by torchvision's own list."""
    T = torchvision.transforms
    array = cv2.resize(picture(3, 24, 50), (48, 100))
    jitter = (0.4, 0.4, 0.4, 0.1) if name == "ori+sre" else (0.4, 0.4, 0.4, 0.4)
    blur = T.Lambda(lambda i: i.filter(ImageFilter.GaussianBlur(np.random.uniform(0.1, 2.0))))
    theirs = T.Compose(
        [
            T.RandomResizedCrop(SIZE, scale=(0.2, 1.0)),
            T.RandomApply([T.ColorJitter(*jitter)], 0.8 if name == "ori+sre" else 1.0),
            T.RandomGrayscale(0.2),
            T.RandomApply([blur], 0.5 if name == "ori+sre" else 0.0),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Normalize(MEAN, DEVIATION),
        ]
    )
    torch.manual_seed(0)
    np.random.seed(0)
    count = 1500
    wanted = torch.stack([theirs(Image.fromarray(array)) for _ in range(count)])
    d = draw(recipe(name), Geometry(*SIZE, 0.2, "source"), np.full(count, 0.48), rng(5))
    # The hole is LUPerson's own operation: its draws have a test of theirs.
    d = type(d)(**{**vars(d), "hole": d.hole * 0})
    found = applied(np.repeat(array[None], count, 0), d)
    for measure in (torch.mean, torch.std):
        ours, others = measure(found, dim=(2, 3)), measure(wanted, dim=(2, 3))
        scale = others.std(dim=0)
        assert ((ours.mean(0) - others.mean(0)).abs() < 0.12 * scale).all()
        assert ((ours.std(0) / scale - 1).abs() < 0.12).all()
