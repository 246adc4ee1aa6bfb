"""Triton kernels without a GPU, in a process of its own; prints JSON.

`interpreted` runs them in Triton's interpreter, for which TRITON_INTERPRET must be 1 before the
kernels are imported; `compiled` compiles them for GPUs that are not there, for which it must not.
"""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path += [str(HERE.parent / "crops")]
from crop_samples import picture  # noqa: E402

from passerby.pretrain import draws, views, views_triton  # noqa: E402
from passerby.pretrain.recipes import recipe  # noqa: E402

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
    table = torch.from_numpy(views_triton.table(d, rows, *kept.shape[1:3]))
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
    table = torch.from_numpy(views_triton.table(draws.whole(1), np.array([count - 1]), 50, 24))
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
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from passerby.pretrain import views_kernels as kernels

    shape = {"HEIGHT": 256, "WIDTH": 128}
    pixels = {"TILE": views_triton.PIXELS_PER_PROGRAM}
    taps = {"TAPS_Y": views_triton.taps(512, 256), "TAPS_X": views_triton.taps(256, 128)}
    numbers = {"TILE": views_triton.NUMBERS_PER_PROGRAM}
    of_kernel = {
        "cut": (kernels.cut, {**pixels, **taps}),
        "contrast_and_after": (kernels.contrast_and_after, {**pixels, "TILES": 64}),
        "blur along rows": (kernels.blur, {**numbers, "ALONG_ROWS": True}),
        "blur along columns": (kernels.blur, {**numbers, "ALONG_ROWS": False}),
    }
    types = {"pictures": "*u8", "table": "*i32", "picture_height": "i32", "picture_width": "i32"}
    types |= dict.fromkeys(("views", "lumas", "source", "target"), "*fp32")
    types |= dict.fromkeys(("mean", "deviation"), ("fp32",) * 3)
    found = {}
    for capability, (name, (kernel, constants)) in itertools.product((80, 90), of_kernel.items()):
        source = ASTSource(
            kernel,
            {argument: types.get(argument, "constexpr") for argument in kernel.arg_names},
            {**shape, **constants},
            # as at run time, where memory and lines of pictures begin at multiples of 16
            {
                (place,): [["tt.divisibility", 16]]
                for place, argument in enumerate(kernel.arg_names)
                if isinstance(types.get(argument), str)
            },
        )
        made = compile(
            source,
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": views_triton.WARPS},
        )
        found[f"{name}, {capability}"] = usage(made.asm["cubin"])
    return found


def usage(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of its stack and local memory (where spilled ones go)."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run(
            [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    words = dict(
        word.split(":") for word in told.split() if word.count(":") == 1 and word[-1] != ":"
    )
    return {name: int(words[name]) for name in ("REG", "STACK", "LOCAL")}


if __name__ == "__main__":
    assert sys.argv[1] in ("interpreted", "compiled")
    assert (os.environ.get("TRITON_INTERPRET") == "1") == (sys.argv[1] == "interpreted")
    print(json.dumps(interpreted() if sys.argv[1] == "interpreted" else compiled()))
