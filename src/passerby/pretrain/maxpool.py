"""Max pooling of a ResNet's stem: windows of 3x3, stride 2, padding 1.

On a GPU torch's operation keeps the position of each maximum as an int64, and takes several times
as long as reading and writing the maps would. There are two forms of the same function, and only
`_form` chooses between them:

- `plain`: torch's operation. A CPU and torch.compile use it, and so does a GPU without Triton or
  with maps that the kernels do not know. It defines the function.
- `maxpool_triton.pool`: kernels for a GPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby.pretrain import kernels, maxpool_triton


class MaxPool(nn.Module):
    """Takes the place of `nn.MaxPool2d(3, 2, 1)`, and like that has no parameters or buffers."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool `(B, C, H, W)` to `(B, C, ceil(H / 2), ceil(W / 2))`."""
        return _form(x)(x)


def is_known(module: nn.Module) -> bool:
    """Whether `MaxPool` computes what a module does: torch's layer with exactly these settings."""
    if type(module) is not nn.MaxPool2d:
        return False
    sizes = module.kernel_size, module.stride, module.padding, module.dilation
    return sizes == (3, 2, 1, 1) and not module.ceil_mode and not module.return_indices


def plain(x: Tensor) -> Tensor:
    """Pool by torch's operation; see `maxpool_triton.pool`."""
    return F.max_pool2d(x, 3, 2, 1)


def _form(x: Tensor) -> Callable[[Tensor], Tensor]:
    """Choose the form of the function by the map, and by whether torch compiles it."""
    if torch.compiler.is_compiling() or x.device.type == "cpu":
        return plain
    fused = maxpool_triton.fits(x) and kernels.is_available()
    return maxpool_triton.pool if fused else plain
