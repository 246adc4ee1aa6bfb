"""Views, second half, on a GPU: four Triton kernels that make a whole batch.

The same as `views`, which this is the twin of, up to rounding; `views` takes hundreds of operations
and multiplies by matrices that are mostly zeros. The draws come as one table (`views_table`). The
kernels (`kernels.views`), in the order in which they run:

1. `cut` reads the resident pictures themselves. For each pixel of a view it takes the weighted
   mean of the few pixels of the picture that PIL's bilinear filter covers, mirrored where the view
   is flipped. If the view has colour jitter, the operations that come before contrast in its order
   follow, and each program leaves the sum of brightness over its pixels. If not, the view is
   greyed, normalised and erased at once, as far as its draws say so.
2. `contrast_and_after`, for views with jitter: the mean brightness from those sums, which are added
   in a fixed order; contrast, the operations after it, grey, normalisation, hole.
3. `blur` along rows, for views with a blur, whose hole has to wait. They are normalised already: a
   weighted mean of normalised values is the normalised weighted mean.
4. `blur` along columns, and the hole.

All arithmetic is in float32; the same input gives the same bytes on the same GPU.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from passerby.pretrain import kernels
from passerby.pretrain.views_table import COLUMNS

LAUNCHES = 4  # kernels that one call of `apply` starts; operators are counted by it
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
        drawn: What `table` makes, on the pictures' device, int32 `(B, COLUMNS)`, contiguous.
        size: Height and width of the views in pixels.
        mean: Of the channels, on the scale 0..1.
        deviation: Of the channels.

    Returns:
        float32 `(B, 3, H, W)`, normalised, channels last in memory; holes are 0.
    """
    made: Tensor = _make_views(pictures, drawn, size, mean, deviation)
    return made.permute(0, 3, 1, 2)


def taps(pixels: int, wanted: int) -> int:
    """The most pixels of a line of `pixels` that one of `wanted` pixels of a view is made of.

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
    """All kernels, on the current stream of the pictures' device, `(B, H, W, 3)`."""
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
