"""The kernels of views without a GPU: a program of `triton_samples`."""

import dataclasses
import itertools

import numpy as np
import torch
import triton_samples
from crop_samples import picture

from passerby.pretrain import draws, views, views_table, views_triton
from passerby.pretrain.recipes import recipe

MEAN, DEVIATION = (0.35, 0.31, 0.32), (0.27, 0.25, 0.26)
SIZES = {  # height and width of the pictures, then of the views
    "smaller": ((50, 24), (32, 16)),
    "half": ((64, 32), (32, 16)),
    "same": ((32, 16), (32, 16)),
    "larger": ((20, 12), (32, 16)),
    "three ragged tiles": ((41, 40), (40, 33)),
    "a fifth": ((160, 80), (32, 16)),
}
LISTS = ("ori+sre", "moco", "reid")


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """Smooth ones, noise, and nearly grey ones in turn."""
    made = np.stack([picture(n, width, height) for n in range(count)])
    rng = np.random.default_rng(0)
    made[1::3] = rng.integers(0, 256, made[1::3].shape)
    made[2::3] = 120 + rng.integers(0, 3, made[2::3].shape)
    return made


def drawn(name: str, count: int, size: tuple[int, int], seed: int) -> draws.Draws:
    geometry = draws.Geometry(*size, 0.1, "person")
    return draws.draw(recipe(name), geometry, np.full(count, 0.48), np.random.default_rng(seed))


def off(kept: np.ndarray, d: draws.Draws, size: tuple[int, int]) -> float:
    """The largest distance of the kernels' views from their twin's, in normalised units."""
    rows = np.random.default_rng(1).integers(0, len(kept), len(d.flip))
    pictures = torch.from_numpy(kept)
    wanted = views.apply(torch.from_numpy(kept[rows]), d, size, MEAN, DEVIATION)
    table = torch.from_numpy(views_table.table(d, rows, *kept.shape[1:3]))
    found = views_triton.apply(pictures, table, size, MEAN, DEVIATION)
    assert found.dtype == torch.float32
    assert found.stride() == wanted.stride()
    holes = (wanted == 0).all(dim=1)
    assert (found.movedim(1, -1)[holes] == 0).all()
    return float((found - wanted).abs().max())


def every_order() -> draws.Draws:
    """All orders of the four operations, strong ones, without grey and blur."""
    order = np.array(list(itertools.permutations(range(4))))
    d = drawn("moco", len(order), (32, 16), 3)
    return dataclasses.replace(d, order=order, jitter=np.ones(24, bool), grey=np.zeros(24, bool))


def blurs_and_holes() -> draws.Draws:
    """The narrowest to the widest blur of whole pictures, with holes at all edges."""
    holes = [
        (0, 0, 5, 4), (27, 12, 5, 4), (0, 15, 32, 1), (31, 0, 1, 16), (0, 0, 32, 16), (0, 0, 0, 0),
    ]  # fmt: skip
    return dataclasses.replace(
        draws.whole(12), blur=np.linspace(0.1, 2.0, 12), hole=np.array(holes * 2)
    )


def far_away() -> float:
    """A picture that lies more than 2**31 bytes behind the first."""
    count = 2**31 // (50 * 24 * 3) + 10
    kept = np.zeros((count, 50, 24, 3), np.uint8)  # pages that nobody touches take no memory
    kept[-1] = picture(3, 24, 50)
    table = torch.from_numpy(views_table.table(draws.whole(1), np.array([count - 1]), 50, 24))
    found = views_triton.apply(torch.from_numpy(kept), table, (32, 16), MEAN, DEVIATION)
    wanted = views.apply(torch.from_numpy(kept[-1:]), draws.whole(1), (32, 16), MEAN, DEVIATION)
    return float((found - wanted).abs().max())


def interpreted() -> dict[str, float]:
    found = {}
    for (label, (stored, size)), name in itertools.product(SIZES.items(), LISTS):
        d = drawn(name, 8, size, len(found))
        found[f"{name}, {label}"] = off(pictures(12, *stored), d, size)
    for label in ("smaller", "same", "larger"):
        stored, size = SIZES[label]
        found[f"whole, {label}"] = off(pictures(3, *stored), draws.whole(3), size)
    found["every order"] = off(pictures(12, 50, 24), every_order(), (32, 16))
    found["blurs and holes"] = off(pictures(12, 50, 24), blurs_and_holes(), (32, 16))
    found["far away"] = far_away()
    return found


def compiled() -> dict[str, dict[str, int]]:
    """What each kernel needs on GPUs of compute capability 8.0 and 9.0, for 256x128 pixels."""
    from passerby.pretrain.kernels import views as kernels

    shape = {"HEIGHT": 256, "WIDTH": 128}
    pixels = {"TILE": views_triton.PIXELS_PER_PROGRAM, **shape}
    taps = {"TAPS_Y": views_triton.taps(512, 256), "TAPS_X": views_triton.taps(256, 128)}
    numbers = {"TILE": views_triton.NUMBERS_PER_PROGRAM, **shape}
    of_kernel = {
        "cut": (kernels.cut, {**pixels, **taps}),
        "contrast_and_after": (kernels.contrast_and_after, {**pixels, "TILES": 64}),
        "blur along rows": (kernels.blur, {**numbers, "ALONG_ROWS": True}),
        "blur along columns": (kernels.blur, {**numbers, "ALONG_ROWS": False}),
    }
    types = {"pictures": "*u8", "table": "*i32", "picture_height": "i32", "picture_width": "i32"}
    types |= dict.fromkeys(("views", "lumas", "source", "target"), "*fp32")
    types |= dict.fromkeys(("mean", "deviation"), ("fp32",) * 3)
    return triton_samples.needs(of_kernel, types, views_triton.WARPS)


if __name__ == "__main__":
    triton_samples.main(interpreted, compiled)
