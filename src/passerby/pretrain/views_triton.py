"""Views, second half, on a GPU: four Triton kernels that make a whole batch.

The views are the same as those of `views`, up to rounding. `views` takes hundreds of operations,
and multiplies by matrices that are mostly zeros. The draws come as one table (`views_table`). The
kernels (`kernels.views`), in the order in which they run:

1. `cut` reads the resident pictures themselves. For each pixel of a view it takes the weighted
   mean of the few pixels of the picture that PIL's bilinear filter covers, mirrored where the view
   is flipped. If the view has colour jitter, the operations before contrast follow, and each
   program stores the sum of the brightness of its pixels. If it has none, the view is finished,
   except for a blur: grey, normalisation and hole, where the draws say so.
2. `contrast_and_after` finishes views with jitter, except for a blur. It adds up the stored sums in
   a fixed order to the mean brightness; contrast, the operations after it, grey, normalisation and
   hole follow.
3. `blur` blurs views along rows, where the draws say so. They are already normalised, which changes
   nothing: a weighted mean of normalised values is the normalised weighted mean. The holes of these
   views are not made before.
4. `blur` blurs the same views along columns, and makes their holes.

All arithmetic is in float32; the same input gives the same bytes on the same GPU.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from passerby.pretrain import kernels
from passerby.pretrain.views_table import COLUMNS

PIXELS_PER_PROGRAM = 512
NUMBERS_PER_PROGRAM = 1024
WARPS = 4


def apply(
    pictures: Tensor,
    drawn: Tensor,
    size: tuple[int, int],
    mean: Sequence[float],
    deviation: Sequence[float],
) -> Tensor:
    """Make views.

    Args:
        pictures: The resident pictures, uint8 `(N, h, w, 3)` RGB, contiguous.
        drawn: The table of `views_table` on the same device, int32 `(B, COLUMNS)`, contiguous.
        size: Height and width of the views in pixels.
        mean: Mean of each channel, on the scale 0..1.
        deviation: Standard deviation of each channel.

    Returns:
        float32 `(B, 3, H, W)`, normalised, channels last in memory; holes are 0.
    """
    made: Tensor = _make_views(pictures, drawn, size, mean, deviation)
    return made.permute(0, 3, 1, 2)


def taps(pixels: int, wanted: int) -> int:
    """The most pixels, of a line of `pixels`, from which one of `wanted` pixels is computed.

    The filter is two steps wide, or two pixels where the picture is enlarged.
    """
    return math.ceil(2 * max(pixels / wanted, 1))


@torch.library.custom_op("passerby::make_views", mutates_args=())
def _make_views(
    pictures: Tensor,
    drawn: Tensor,
    size: Sequence[int],
    mean: Sequence[float],
    deviation: Sequence[float],
) -> Tensor:
    """Launch the kernels on the current stream of the device; views are `(B, H, W, 3)`."""
    triton = kernels.load("views")
    assert pictures.is_contiguous()
    assert drawn.is_contiguous()
    assert drawn.shape[1] == COLUMNS
    count, (height, width) = len(drawn), size
    stored_height, stored_width = pictures.shape[1:3]
    tiles = -(-height * width // PIXELS_PER_PROGRAM)
    numbers = -(-height * width * 3 // NUMBERS_PER_PROGRAM)
    views = drawn.new_empty((count, height, width, 3), dtype=torch.float32)
    lumas = drawn.new_empty((count, tiles), dtype=torch.float32)
    between = torch.empty_like(views)
    normal = tuple(mean), tuple(deviation)
    shape = {"HEIGHT": height, "WIDTH": width, "num_warps": WARPS}
    with kernels.on(pictures):
        triton.cut[(count * tiles,)](
            pictures,
            drawn,
            views,
            lumas,
            *normal,
            stored_height,
            stored_width,
            TAPS_Y=taps(stored_height, height),
            TAPS_X=taps(stored_width, width),
            TILE=PIXELS_PER_PROGRAM,
            **shape,
        )
        triton.contrast_and_after[(count * tiles,)](
            views,
            drawn,
            lumas,
            *normal,
            TILES=1 << (tiles - 1).bit_length(),
            TILE=PIXELS_PER_PROGRAM,
            **shape,
        )
        for source, target, along_rows in ((views, between, True), (between, views, False)):
            triton.blur[(count * numbers,)](
                source, target, drawn, ALONG_ROWS=along_rows, TILE=NUMBERS_PER_PROGRAM, **shape
            )
    return views


@_make_views.register_fake
def _(
    pictures: Tensor,
    drawn: Tensor,
    size: Sequence[int],
    mean: Sequence[float],
    deviation: Sequence[float],
) -> Tensor:
    return drawn.new_empty((len(drawn), *size, 3), dtype=torch.float32)
