"""Captures the work that a function gives to a GPU in a CUDA graph, and replays it.

A training step of a ResNet-50 launches about 1,500 kernels. Launching each from Python can take the
host longer than running them takes the GPU. A CUDA graph launches them all at once. The GPU runs
the same kernels on the same memory, so the results are the same.
"""

import os
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from passerby.errors import BadInput

VARIABLE = "PASSERBY_CUDA_GRAPH"
_WARM_UPS = 3
"""Calls before the capture. In them kernels are compiled, the fastest convolutions are chosen, and
an optimiser makes its state; none of this can be captured."""

_Form = tuple[torch.Size, tuple[int, ...], torch.dtype]


def is_wanted() -> bool:
    """Whether steps on a GPU shall be captured: unless `PASSERBY_CUDA_GRAPH` is 0.

    Raises:
        BadInput: the variable is neither 0 nor 1.
    """
    text = os.environ.get(VARIABLE, "1")
    if text not in ("0", "1"):
        raise BadInput(f"{VARIABLE}={text[:40]!r}: 0 or 1 was wanted; 1 captures each step's work")
    return text == "1"


class Captured:
    """A function of tensors on a GPU, which is captured after a few calls.

    The function must do the same work each time: it may depend only on the values of tensors, and
    the host must not wait for the GPU in it. It may change tensors that are not its arguments, for
    example weights. If such a tensor is replaced by another one, call `forget`. Arguments of other
    shapes are captured anew.

    Args:
        work: The function. It takes tensors and returns tensors.
        device: A GPU; all arguments and results are on it.
    """

    def __init__(self, work: Callable[..., Sequence[Tensor]], device: torch.device) -> None:
        self._work = work
        # A graph cannot be captured on the default stream. The first calls run on this stream, too,
        # since torch's autograd remembers the stream on which a weight was first used.
        self._stream = torch.cuda.Stream(device)
        self._warm_ups = _WARM_UPS
        self._graph: torch.cuda.CUDAGraph | None = None
        self._forms: list[_Form] = []
        self._given: list[Tensor] = []
        self._made: list[Tensor] = []

    def forget(self) -> None:
        """Drop the graph; the next calls run the function itself."""
        self._warm_ups, self._graph = _WARM_UPS, None
        self._given, self._made = [], []

    def __call__(self, *given: Tensor) -> list[Tensor]:
        """Do the function's work on the current stream; the host does not wait for it."""
        if self._warm_ups:
            self._warm_ups -= 1
            return self._uncaptured(given)
        if self._graph is None or [*map(_form, given)] != self._forms:
            self._graph, self._made = None, []  # frees the memory of an older graph
            self._graph = self._capture(given)
        for kept, new in zip(self._given, given, strict=True):
            kept.copy_(new)
        self._graph.replay()
        return [made.clone() for made in self._made]  # the next replay overwrites them

    def _uncaptured(self, given: Sequence[Tensor]) -> list[Tensor]:
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            made = [*self._work(*given)]
        current.wait_stream(self._stream)
        return made

    def _capture(self, given: Sequence[Tensor]) -> torch.cuda.CUDAGraph:
        """Capture the function's work, which does not run meanwhile."""
        self._forms = [*map(_form, given)]
        self._given = [torch.empty_like(tensor) for tensor in given]
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile: one makes the next batch.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._made = [*self._work(*self._given)]
        return graph


def _form(tensor: Tensor) -> _Form:
    return tensor.shape, tensor.stride(), tensor.dtype
