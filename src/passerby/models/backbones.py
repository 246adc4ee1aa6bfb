"""Backbones: torchvision's ResNets without the classifier, under torchvision's own names.

Two geometries of theirs are settings, because weights do not tell them: the stride of the last
stage (re-ID uses 1) and the stem's pooling. fast-reid pools without padding in ceil mode, which
shifts the picture by a pixel: with the same weights a ResNet-50's features differ by an eighth.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from passerby import seeds
from passerby.errors import BadInput
from passerby.settings import Encoder
from passerby.vision import torchvision

_RESNETS = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048}
DIM = {
    **_RESNETS,
    **{f"{name}-ibn": dim for name, dim in _RESNETS.items()},
    "resnest50": 2048,
    "resnest101": 2048,
    "vit-small": 768,
    "vit-base": 768,
}
"""Length of the pooled features; only the ResNets without IBN are built here."""

_BLOCKS = {
    "resnet18": (torchvision.models.resnet.BasicBlock, [2, 2, 2, 2]),
    "resnet34": (torchvision.models.resnet.BasicBlock, [3, 4, 6, 3]),
    "resnet50": (torchvision.models.resnet.Bottleneck, [3, 4, 6, 3]),
    "resnet101": (torchvision.models.resnet.Bottleneck, [3, 4, 23, 3]),
}
RESNETS = tuple(_BLOCKS)


class Backbone(torchvision.models.ResNet):
    """A ResNet whose output is its pooled features.

    Args:
        encoder: Architecture, stride of the last stage and pooling of the stem.

    Shape:
        input: `(B, 3, H, W)`, normalised; output: `(B, D)`, `D = DIM[architecture]`.

    Raises:
        BadInput: the architecture is one of fast-reid's own.
    """

    def __init__(self, encoder: Encoder) -> None:
        require_resnet(encoder)
        block, layers = _BLOCKS[encoder.architecture]
        super().__init__(block, layers)
        del self.fc
        self.dim = DIM[encoder.architecture]
        if encoder.stem_pooling == "fastreid":
            self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        if encoder.last_stride == 1:
            for module in self.layer4[0].modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)

    def feature_map(self, images: Tensor) -> Tensor:
        """The last stage's output, `(B, D, H / 16, W / 16)` with a last stride of 1."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, images: Tensor) -> Tensor:
        """The mean of the feature map over its places, `(B, D)`."""
        return torch.flatten(self.avgpool(self.feature_map(images)), 1)


def is_resnet(encoder: Encoder) -> bool:
    """Whether the architecture is built here, and not fast-reid's own."""
    return encoder.architecture in _BLOCKS


def require_resnet(encoder: Encoder) -> None:
    """Refuse an architecture that is fast-reid's own.

    Raises:
        BadInput: it is one.
    """
    if not is_resnet(encoder):
        raise BadInput(
            f"encoder.architecture: '{encoder.architecture}' is fast-reid's own: it can be "
            f"finetuned from a file or at random; here one of {', '.join(_BLOCKS)} was wanted"
        )


def build(encoder: Encoder, seed: int = 0) -> Backbone:
    """A backbone with random weights (torchvision's initialisation), the same for the same seed.

    The global random state is left as it was.

    Example:
        >>> len(build(Encoder(architecture="resnet18")).state_dict())
        120
    """
    # torchvision's constructor draws from the global generator and takes no other. Only the CPU's
    # is seeded: `torch.manual_seed` would reseed the accelerators too.
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seeds.number(seed, "weights"))
        return Backbone(encoder)


def shapes(encoder: Encoder) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a backbone; costs no memory."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return state_shapes(Backbone(encoder).state_dict())


def state_shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of `state`."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
