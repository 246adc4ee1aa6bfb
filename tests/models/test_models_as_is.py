import numpy as np
import pytest
import torch

from passerby.errors import BadInput
from passerby.models import as_is, backbones, init_file
from passerby.models.embedder import Embedder
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder

ENCODER = Encoder(architecture="resnet18")


def write_init(folder, fresh=()):
    header = InitHeader.of(ENCODER, "random, seed 0", fresh=fresh, title="rnd")
    state = backbones.build(ENCODER).state_dict()
    init_file.write(folder / "start.safetensors", state, header)
    return folder / "start.safetensors"


def test_features_are_the_backbones_own(tmp_path):
    card = as_is.write(write_init(tmp_path), ENCODER, (64, 32), tmp_path / "model")
    assert (card.title, card.init, card.percent, card.trained_on) == (
        "rnd, no label", "start", 0, "nothing with labels",
    )  # fmt: skip
    image = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    found = Embedder.load(tmp_path / "model").embed([image])
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (ENCODER.mean, ENCODER.deviation))
    batch = (torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / deviation
    with torch.no_grad():
        wanted = backbones.build(ENCODER).eval()(batch[None])
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_what_began_afresh_stands_in_the_card_and_equal_input_gives_equal_bytes(tmp_path):
    init = write_init(tmp_path, fresh=("layer4.0.conv1.weight",))
    for name in ("one", "two"):
        card = as_is.write(init, ENCODER, (64, 32), tmp_path / name)
        assert card.fresh == ("layer4.0.conv1.weight",)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_weights_of_another_encoder_are_refused(tmp_path):
    with pytest.raises(BadInput, match="weights for another encoder"):
        as_is.write(write_init(tmp_path), Encoder(architecture="resnet34"), (64, 32), tmp_path)
