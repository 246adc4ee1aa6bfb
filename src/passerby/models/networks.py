"""What runs behind an `Embedder`: normalised pictures in, features out, by torch or by ONNX.

Which library does the work is known here only. Batches are independent, so each worker thread
takes one through the network alone: two cores then do twice the work also while others use them
(threads within a batch wait for each other at every layer), and the bytes do not depend on how many
there are.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from passerby.errors import BadInput
from passerby.models import artifact, backbones, transfer
from passerby.models.artifact import ModelCard


class Network(Protocol):
    """Features of a batch: `uint8 (B, H, W, 3)` RGB in the size of the card -> `float32 (B, D)`."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run one batch; called by several threads at once."""


class ReidNet(nn.Module):
    """A backbone and, where the card has one, a BatchNorm neck whose output is the feature.

    The names in its state dict are those of a model artifact: the backbone's are bare.
    """

    def __init__(self, card: ModelCard) -> None:
        super().__init__()
        self.backbone = backbones.build(card.encoder())
        self.neck: nn.Module = nn.Identity()
        if card.neck == "bnneck":
            self.neck = nn.BatchNorm1d(self.backbone.dim)

    def forward(self, images: Tensor) -> Tensor:
        """Features `(B, D)` of normalised pictures `(B, 3, H, W)`."""
        return self.neck(self.backbone(images))

    def load(self, state: dict[str, Tensor]) -> None:
        """Load an artifact's weights.

        Raises:
            BadInput: a tensor is missing, unknown or of another shape.
        """
        transfer.load_backbone(self.backbone, state)
        given = {k.removeprefix("neck."): v for k, v in state.items() if k.startswith("neck.")}
        wanted = backbones.state_shapes(self.neck.state_dict())
        if backbones.state_shapes(given) != wanted:
            raise BadInput(
                f"the neck's tensors are {backbones.state_shapes(given)}, wanted {wanted}: "
                "'neck' in the card does not fit the weights"
            )
        self.neck.load_state_dict(given)


def load(folder: str | Path) -> tuple[Network, ModelCard]:
    """Make the network of a model artifact ready to run.

    Raises:
        BadInput: the artifact is missing, unfinished, damaged, or does not fit its card.
    """
    card = artifact.read_card(folder)
    if card.kind == "onnx":
        return OnnxNetwork(artifact.checked_weights(folder, card), card), card
    state, card = artifact.read(folder)
    net = ReidNet(card)
    try:
        net.load(state)
    except BadInput as error:
        raise BadInput(f"{Path(folder) / card.weights}: {error}") from None
    return TorchNetwork(net, card), card


class TorchNetwork:
    """A `ReidNet` in eval mode, in fp32, on the accelerator if there is one.

    Each convolution is given the numbers of the BatchNorm behind it, which is the same function
    with fewer passes over memory.
    """

    def __init__(self, net: ReidNet, card: ModelCard, device: str | None = None) -> None:
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._net = fused(net.eval()).to(self._device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(card.mean).mul(255).view(shape).to(self._device)
        self._deviation = torch.tensor(card.deviation).mul(255).view(shape).to(self._device)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Network`."""
        # (B, H, W, 3) in memory *is* channels_last: only the view changes.
        batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
        batch = batch.sub_(self._mean).div_(self._deviation)
        with torch.inference_mode():
            return self._net(batch).float().cpu().numpy()


def fused(net: ReidNet) -> ReidNet:
    """The same function with every BatchNorm2d folded into the convolution before it."""
    for module in net.backbone.modules():
        pairs = [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")]
        for convolution, norm in pairs:
            conv, bn = (getattr(module, name, None) for name in (convolution, norm))
            if isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d):
                setattr(module, convolution, fuse_conv_bn_eval(conv, bn))
                setattr(module, norm, nn.Identity())
    return net


@contextmanager
def workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that may run networks, each with one thread of torch's own."""
    before = torch.get_num_threads()
    # TF32 would move features by 1e-3, and they would depend on the accelerator.
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    try:
        with exact, ThreadPoolExecutor(threads, "embed", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


class OnnxNetwork:
    """An ONNX file with one input `(B, 3, H, W)`, by onnxruntime, or by OpenCV without it.

    onnxruntime uses a GPU if it is built for one (`onnxruntime-gpu`). Otherwise, and with OpenCV,
    each batch is computed on the CPU by one thread.

    Raises:
        BadInput: the file cannot be read as a network.
    """

    def __init__(self, path: Path, card: ModelCard) -> None:
        self._mean = np.array(card.mean, np.float32)
        self._deviation = np.array(card.deviation, np.float32)
        read = next(iter(libraries().values()))
        try:
            self._run = read(path)
        except Exception as error:  # each library has a family of its own
            raise BadInput(f"{path}: not a network that can be run ({first_line(error)})") from None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Network`."""
        batch = (images.astype(np.float32) / 255 - self._mean) / self._deviation
        features = self._run(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
        return features.reshape(len(images), -1).astype(np.float32)


def first_line(error: Exception) -> str:
    """What a library says, less the details that it adds over many lines."""
    return next(iter(str(error).splitlines()), type(error).__name__).strip()


Run = Callable[[np.ndarray], np.ndarray]
"""From a batch to the network's first output."""


def libraries() -> dict[str, Callable[[Path], Run]]:
    """What reads an ONNX file and runs it here, the one to prefer first."""
    found: dict[str, Callable[[Path], Run]] = {}
    if find_spec("onnxruntime"):
        found["onnxruntime"] = _by_onnxruntime
    return {**found, "OpenCV": _by_opencv}


_CUDA = (
    "CUDAExecutionProvider",
    # As `workers` sets torch: no TF32, and no algorithm that is chosen by a measurement.
    {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
)
"""onnxruntime's provider for GPUs, and its options."""


def _by_onnxruntime(path: Path) -> Run:
    """Runs on a GPU if there is one and this onnxruntime is built for it, else on the CPU."""
    import onnxruntime  # an extra: not everybody has it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    on_gpu = torch.cuda.is_available() and _CUDA[0] in onnxruntime.get_available_providers()
    providers = [_CUDA, "CPUExecutionProvider"] if on_gpu else ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def _by_opencv(path: Path) -> Run:
    net = cv2.dnn.readNetFromONNX(str(path))
    one_at_a_time = Lock()

    def run(batch: np.ndarray) -> np.ndarray:
        # OpenCV 4.14 fixes computed shapes at a batch of one when it reads the file.
        with one_at_a_time:
            return np.concatenate([one(picture[None]) for picture in batch])

    def one(batch: np.ndarray) -> np.ndarray:
        net.setInput(batch)
        return net.forward().copy()

    return run
