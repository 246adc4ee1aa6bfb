"""The one door to torchvision.

The wheel on PyPI links CUDA. Beside a CPU build of torch its C library does not load, and then
`import torchvision` itself dies, because it registers fake kernels for two operators that nobody
declared (torchvision 0.28.0, `_meta_registrations.py`). Declaring the two schemas is enough for
models, transforms and data sets; its C++ operators (`nms`, image decoding) stay absent, and a
plain `nms` is put in the place of that one, because Ultralytics calls it.

    from passerby.vision import torchvision
"""

import contextlib

import torch

_KEPT: list[torch.library.Library] = []  # a declaration dies with its Library object


def _declare_operators() -> None:
    """Declare the schemas that a torchvision without its C library lacks."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):  # declared already: the C library is there
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


def non_maximum_suppression(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float
) -> torch.Tensor:
    """Indices of the boxes that are kept, best first.

    Greedy, as `torchvision.ops.nms`: a box goes when its overlap with a better one that was kept is
    above `iou_threshold`.

    Args:
        boxes: `(N, 4)` xyxy.
        scores: `(N,)`.
        iou_threshold: In [0, 1].
    """
    order = scores.argsort(descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        top_left = torch.maximum(boxes[best, :2], boxes[order, :2])
        bottom_right = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        overlap = (bottom_right - top_left).clamp(min=0).prod(dim=1)
        order = order[overlap / (area[best] + area[order] - overlap) <= iou_threshold]
    return torch.stack(kept) if kept else order


if torch.version.cuda is None and torch.version.hip is None:
    _declare_operators()
import torchvision  # noqa: E402

if torch.version.cuda is None and torch.version.hip is None:
    torchvision.ops.nms = torchvision.ops.boxes.nms = non_maximum_suppression

__all__ = ["non_maximum_suppression", "torchvision"]
