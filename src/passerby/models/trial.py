"""The trial of an ONNX network: what a picture's features are must depend on the picture alone.

BatchNorm in training mode, a mean over the batch or a quantisation by the batch's range give a
picture other features in other company; dropout that was left on gives others each time. Tables
made with such a network are wrong, and nothing says so.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from passerby import isolation, onnx_file, seeds
from passerby.errors import BadInput
from passerby.isolation import Failed
from passerby.models import onnx_run
from passerby.settings.section import Channels

TOLERANCE = 1e-3
"""Largest difference that passes for rounding, as a share of the largest feature. Measured on the
CPU, of batches of 1, 3 and 5: none with ResNet-18, ResNet-50 and OSNet in float32 and in float16,
in either library. What mixes pictures is far above: 0.028 with an OSNet whose quantisation follows
the batch's range, and more with BatchNorm in training mode."""
ROUNDING = 1e-6
"""Share of the largest feature below which a difference is float32's rounding."""
PICTURES = 3
Outputs = Sequence[np.ndarray]
"""Of one time through all batches: all pictures together, then each of them alone."""


def embedding_size(
    path: Path,
    size: tuple[int, int],
    mean: Channels,
    deviation: Channels,
    named: str | Path = "",
) -> int:
    """Length of a network's features, found by a trial in a process of its own.

    Different pictures go through it together and alone, twice.

    Args:
        path: The ONNX file.
        size: Height and width in pixels of the pictures that the network wants.
        mean: Of its input's channels, RGB, on the scale 0..1.
        deviation: As `mean`.
        named: What messages call the file; its path by default.

    Raises:
        BadInput: the file is no network or does not hold all its weights; it cannot be run on
            pictures of this size; or features are not one row a picture, not finite, random, or
            depend on the other pictures of the batch.
    """
    named = str(named or path)
    onnx_file.check(path, named)
    batch = onnx_run.normalised(pictures(*size), mean, deviation)
    library, read = next(iter(onnx_run.libraries().items()))
    batches = [batch, *(batch[place : place + 1] for place in range(len(batch)))]
    try:
        first, again = isolation.outputs(read, path, batches, times=2)
    except Failed as error:
        said = f"{library}: {str(error).replace(str(path), named)}"
        if not error.was_read:
            raise BadInput(f"{named}: not a network that can be run ({said})") from None
        if error.was_ended:
            raise BadInput(f"{named}: cannot be run on {PICTURES} pictures ({said})") from None
        raise BadInput(
            f"{named}: does not take pictures of {size[0]}x{size[1]} px in batches of {len(batch)} "
            f"and of 1 ({said}); give the size that it wants, or export it for any batch"
        ) from None
    found = fault(first, again)
    if found:
        raise BadInput(f"{named}: {found}")
    return first[0].reshape(len(batch), -1).shape[1]


def pictures(height_px: int, width_px: int) -> np.ndarray:
    """Pictures `uint8 (B, H, W, 3)` of coloured blocks, which differ in all that a network sees."""
    rng = seeds.stream(0, "trial")
    blocks = rng.integers(0, 256, (PICTURES, 8, 4, 3), np.uint8)
    rows = np.arange(height_px) * 8 // height_px
    columns = np.arange(width_px) * 4 // width_px
    return blocks[:, rows][:, :, columns]


def fault(first: Outputs, again: Outputs) -> str:
    """What is wrong with the outputs of two times through the same batches; nothing if all is well.

    Example:
        >>> together, alone = np.eye(2), [np.eye(2)[:1], np.eye(2)[1:]]
        >>> fault([together, *alone], [together, *alone])
        ''
        >>> fault([together - 0.5, *alone], [together - 0.5, *alone])[:50]
        "a picture's features depend on the other pictures "
    """
    shapes = [output.shape for output in first]
    count = len(first) - 1
    lengths = [shape[0] if shape else 0 for shape in shapes]
    if lengths != [count] + [1] * count:
        return (
            f"its first output has the shapes {shapes[0]} for {count} pictures and {shapes[1]} for "
            "one; wanted one row a picture: export it with a batch of any length"
        )
    together, *alone = [output.reshape(len(output), -1) for output in first]
    if not together.shape[1] or any(one.shape[1] != together.shape[1] for one in alone):
        return (
            f"its features have the shapes {shapes[0]} together and {shapes[1]} alone; wanted the "
            "same number of features for each picture"
        )
    with np.errstate(over="ignore"):  # features become float32
        is_finite = all(np.isfinite(each.astype(np.float32)).all() for each in (*first, *again))
    if not is_finite:
        return (
            "its features of ordinary pictures are not finite (NaN or infinite); correct mean and "
            "deviation, or export it anew"
        )
    spread = float(np.ptp(together.astype(np.float64), axis=0).max())
    if by := _difference(first, again, spread):
        return (
            f"it gives other features when the same pictures come again ({by}), as with dropout in "
            "training mode; export it in evaluation mode (model.eval())"
        )
    if by := _difference([together], [np.concatenate(alone)], spread):
        return (
            f"a picture's features depend on the other pictures of its batch ({by}), as with "
            "BatchNorm in training mode or dynamic quantisation; export it in evaluation mode "
            "(model.eval()), or quantise it statically"
        )
    return ""


def _difference(some: Outputs, others: Outputs, spread: float) -> str:
    """The largest difference, in words; nothing where it passes for rounding.

    It is a share of the largest feature. Where the features of different pictures lie much nearer
    together than that, for example because one feature is the same large number in all of them, it
    is a share of how far apart these are (`spread`): that is what distances are made of.
    """
    pairs = list(zip(some, others, strict=True))
    if any(one.shape != other.shape for one, other in pairs):
        return "by their number"
    exact = [(one.astype(np.float64), other.astype(np.float64)) for one, other in pairs]
    apart = max(float(np.abs(one - other).max()) for one, other in exact)
    largest = max(float(np.abs(one).max()) for one, _ in exact)
    if apart > TOLERANCE * largest:
        return f"by {apart / largest:.1%} of the largest feature"
    if apart > max(10 * TOLERANCE * spread, ROUNDING * largest):
        share = f"{apart / spread:.1%}" if spread else "more than all"
        return f"by {share} of the largest difference between pictures"
    return ""
