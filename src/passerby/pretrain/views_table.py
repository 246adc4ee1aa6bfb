"""The draws of a batch of views as one table, which is sent to a GPU in one copy.

Each view is a row of 32-bit numbers, some of them integers and some floats. The kernels in
`kernels.views` find a parameter by its `column`.
"""

import numpy as np

from passerby.pretrain.draws import Draws, whole_pixels

_CONTRAST = 1  # its number in `colours.OPERATIONS`
NO_JITTER = -1

_ROW = np.dtype(
    [
        ("picture", np.int32),
        ("cut", np.int32, 4),  # left, top, right, bottom in pixels of the picture
        ("flip", np.int32),
        ("contrast", np.int32),  # its place in the order of operations, or NO_JITTER
        ("order", np.int32, 4),
        ("factors", np.float32, 4),
        ("grey", np.int32),
        ("blur", np.float32),
        ("hole", np.int32, 4),  # top, left, bottom, right in pixels of the view
    ]
)
COLUMNS = _ROW.itemsize // 4


def column(name: str) -> int:
    """The number of the first column of a parameter.

    Example:
        >>> column("picture"), column("flip")
        (0, 5)
    """
    fields = _ROW.fields
    assert fields is not None
    return fields[name][1] // 4


def table(draws: Draws, rows: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Write the parameters of `B` views into a table.

    Args:
        draws: The parameters.
        rows: The row of each view's picture among the resident ones, `(B,)`, below 2**31.
        height_px: Height of the pictures.
        width_px: Width of the pictures.

    Returns:
        int32 `(B, COLUMNS)`; where a column holds floats, these are the bits of float32.
    """
    made = np.zeros(len(rows), _ROW)
    made["picture"] = rows
    made["cut"] = whole_pixels(draws.box, height_px, width_px)
    made["flip"] = draws.flip
    contrast = (draws.order == _CONTRAST).argmax(axis=1)
    made["contrast"] = np.where(draws.jitter, contrast, NO_JITTER)
    made["order"] = draws.order
    made["factors"] = draws.factors
    made["grey"] = draws.grey
    made["blur"] = draws.blur
    top_left, sides = draws.hole[:, :2], draws.hole[:, 2:]
    made["hole"] = np.concatenate([top_left, top_left + sides], axis=1)
    return made.view(np.int32).reshape(len(rows), COLUMNS)
