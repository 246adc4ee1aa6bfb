"""Products of features with a whole gallery, on the GPU where there is one."""

from collections.abc import Callable

import numpy as np
import torch


def where_it_is_fast(gallery: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What multiplies queries `(b, D)` with this gallery: torch on a GPU, else numpy.

    Args:
        gallery: `float32 (G, D)`; on a GPU it is held there.
    """
    if not torch.cuda.is_available():
        return lambda query: query @ gallery.T
    there = torch.from_numpy(gallery).cuda().T

    def multiply(query: np.ndarray) -> np.ndarray:
        return (torch.from_numpy(query).cuda() @ there).cpu().numpy()

    return multiply
