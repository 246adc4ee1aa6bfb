"""LARS: stochastic gradient descent whose rate is scaled to each tensor (arXiv 1708.03888)."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

TRUST = 0.001
"""Length of an update over the length of its tensor, at rate 1 (MoCo v3, `moco/optimizer.py`)."""


class Lars(torch.optim.Optimizer):
    """LARS as MoCo v3 has it: biases and BatchNorm's weights are neither scaled nor decayed.

    Args:
        parameters: What is trained.
        lr: Rate.
        momentum: Of the updates.
        weight_decay: Of tensors of two and more dimensions.

    Attributes:
        found_inf: float32 `()`, on the device of the parameters. If it is 1, the next step changes
            nothing, as in torch's fused optimisers. `None` counts as 0.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)
        self.found_inf: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "the loss is not computed anew"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        change = gradient
        if parameter.ndim > 1:
            change = gradient.add(parameter, alpha=group["weight_decay"])
            length, asked = parameter.norm(), change.norm()
            fits = (length > 0) & (asked > 0)
            # No branch on the device's numbers: that would wait for them.
            change = change * torch.where(fits, TRUST * length / asked.clamp(min=1e-30), 1.0)
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"]
        moved = buffer * group["momentum"] + change
        step = moved * group["lr"]
        if self.found_inf is not None:
            skipped = self.found_inf > 0
            moved, step = torch.where(skipped, buffer, moved), torch.where(skipped, 0.0, step)
        buffer.copy_(moved)
        parameter.sub_(step)
