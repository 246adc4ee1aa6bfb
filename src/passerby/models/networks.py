"""What runs behind an `Embedder`: normalised pictures in, features out, by torch or by ONNX.

Which library does the work is known here only. Batches are independent, so each worker thread
takes one through the network alone: two cores then do twice the work also while others use them
(threads within a batch wait for each other at every layer), and the bytes do not depend on how many
there are.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from passerby.errors import BadInput
from passerby.foreign import first_line
from passerby.models import artifact, backbones, onnx_run, transfer, trial
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

    An ONNX network goes through its trial each time: the folder may be somebody else's.

    Raises:
        BadInput: the artifact is missing, unfinished, damaged, or does not fit its card; or an
            ONNX network does not pass its trial.
    """
    card = artifact.read_card(folder)
    if card.kind == "onnx":
        path = artifact.checked_weights(folder, card)
        found = trial.embedding_size(path, card.size_px, card.mean, card.deviation)
        if found != card.embedding_size:
            raise BadInput(
                f"{path}: gives {found} features a picture, {artifact.CARD} says "
                f"{card.embedding_size}; adopt the network anew"
            )
        return OnnxNetwork(path, card), card
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

    Args:
        path: A file that passed its trial (see `trial.embedding_size`).
        card: What it wants to be fed, and how many features it gives.

    Raises:
        BadInput: the file cannot be read as a network.
    """

    def __init__(self, path: Path, card: ModelCard) -> None:
        self._path, self._card = path, card
        read = next(iter(onnx_run.libraries().values()))
        try:
            self._run = read(path)
        except Exception as error:  # each library has a family of its own
            raise BadInput(f"{path}: not a network that can be run ({first_line(error)})") from None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See `Network`.

        Raises:
            BadInput: features are not one row a picture of the card's length, or not finite.
        """
        batch = onnx_run.normalised(images, self._card.mean, self._card.deviation)
        output = self._run(batch)
        wanted = (len(images), self._card.embedding_size)
        if output.shape[:1] != wanted[:1] or output.size != wanted[0] * wanted[1]:
            raise BadInput(f"{self._path}: gave features of shape {output.shape}, wanted {wanted}")
        features = output.reshape(wanted).astype(np.float32)
        if not np.isfinite(features).all():
            raise BadInput(
                f"{self._path}: gave features that are not finite (NaN or infinite); "
                "export the network anew"
            )
        return features
