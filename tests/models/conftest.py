"""A small network, its card and pictures to feed it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.models import artifact, backbones
from passerby.models.artifact import ModelCard
from passerby.settings import Encoder


@pytest.fixture(autouse=True)
def one_thread():
    """Tests run side by side: one thread each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder(architecture="resnet18")


@pytest.fixture(scope="session")
def whole_state() -> dict[str, torch.Tensor]:
    """A ResNet-18 whose every tensor differs from a fresh one's, counters too."""
    module = backbones.build(Encoder(architecture="resnet18"), seed=3)
    generator = torch.Generator().manual_seed(5)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif "conv" not in name and "downsample.0" not in name:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.state_dict()


@pytest.fixture
def state(whole_state) -> dict[str, torch.Tensor]:
    """As `whole_state`, to take tensors out of."""
    return dict(whole_state)


@pytest.fixture
def card(encoder) -> ModelCard:
    return ModelCard.of(
        encoder,
        title="a test's",
        height_px=32,
        width_px=16,
        embedding_size=512,
        neck="bnneck",
        distance="cosine",
        trained_on="nothing",
        init="random",
        percent=10,
        seed=1,
        metrics={"map": 0.25},
        hashes={"settings": "abc"},
    )


@pytest.fixture
def neck() -> dict[str, torch.Tensor]:
    """The tensors of a BatchNorm neck, none at its usual value."""
    generator = torch.Generator().manual_seed(9)
    return {
        "neck.weight": torch.rand(512, generator=generator) + 0.5,
        "neck.bias": torch.zeros(512),
        "neck.running_mean": torch.randn(512, generator=generator),
        "neck.running_var": torch.rand(512, generator=generator) + 0.5,
        "neck.num_batches_tracked": torch.tensor(11),
    }


@pytest.fixture
def model(tmp_path, state, neck, card) -> Path:
    """A finished model artifact."""
    folder = tmp_path / "model"
    artifact.write(folder, {**state, **neck}, card)
    return folder


@pytest.fixture
def picture_files(tmp_path) -> list[Path]:
    """Five pictures of several sizes, the last a PNG with an alpha channel."""
    rng = np.random.default_rng(2)
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = []
    for number, (height, width) in enumerate([(64, 32), (128, 64), (50, 21), (32, 16)]):
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(paths[-1])
    paths.append(folder / "alpha.png")
    Image.fromarray(rng.integers(0, 256, (40, 20, 4), np.uint8)).save(paths[-1])
    return paths
