"""The mean of the weights after the last steps, arXiv 1803.05407: flatter than any of them.

The running statistics of BatchNorm are averaged like the weights.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


class RunningMean:
    """The mean of the states that were added; whole numbers are those of the last.

    Example:
        >>> import torch
        >>> mean = RunningMean()
        >>> for value in (1.0, 2.0, 6.0):
        ...     mean.add({"weight": torch.tensor(value)})
        >>> mean.over({"weight": torch.tensor(6.0)})
        {'weight': tensor(3.)}
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: dict[str, Tensor] = {}

    def add(self, state: Mapping[str, Tensor]) -> None:
        """Take one more state into the mean."""
        self._count += 1
        for name, value in state.items():
            if not value.is_floating_point():
                continue
            value = value.detach()
            before = self._mean.get(name, value).to(value.device)  # a checkpoint's lie on the CPU
            self._mean[name] = before.lerp(value, 1 / self._count)

    def over(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`state` with the mean in its place, where anything was added."""
        return {**state, **self._mean}

    def state(self) -> dict[str, Any]:
        """What `resume` goes on from."""
        return {"count": self._count, "mean": dict(self._mean)}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._count, self._mean = state["count"], dict(state["mean"])
