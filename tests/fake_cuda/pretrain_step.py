"""A pretraining on a fake GPU: batches, steps, mining, monitor, checkpoint; counts as JSON.

python pretrain_step.py '{"architecture": "resnet50", "pretrain": {...}}'
"""

import json
import sys
import tempfile
from pathlib import Path

import fake
import numpy as np
import torch
from pretrain_samples import write_crops

from passerby.crops.store import CropStore
from passerby.models import backbones
from passerby.models.artifact import ModelCard
from passerby.models.networks import ReidNet, TorchNetwork
from passerby.pretrain import (
    batchnorm,
    batchnorm_triton,
    features,
    kernels,
    maxpool_triton,
    moco,
    positives,
    trainer,
)
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Feed
from passerby.pretrain.pictures import Resident, Streaming
from passerby.pretrain.trainer import Trainer
from passerby.settings import Encoder, Monitor, Pretrain
from passerby.training import upload
from passerby.training.processes import Group

CROPS = 512
BACKWARD = torch.Tensor.backward
FORM = batchnorm._form
MODE = fake.install()


class Unread:
    """Stands for a loss that is copied to the host; a fake one has no value."""

    def __init__(self, value):
        assert value.device == fake.CUDA

    def read(self):
        return 1.0


def fused_sgd(parameters, gradients, buffers, found_inf=None, **options):
    """Stands for torch's fused update, which fake tensors lack; checks what it needs."""
    assert (found_inf.device, found_inf.dtype) == (fake.CUDA, torch.float32)
    for each in zip(parameters, gradients, buffers, strict=True):
        assert len({tensor.device for tensor in each}) == 1
        assert len({tensor.stride() for tensor in each}) == 1, [t.stride() for t in each]


trainer.Watched = Unread
torch._fused_sgd_ = fused_sgd
torch.nn.utils.skip_init = lambda kind, *args, **options: kind(*args, **options | {"device": "cpu"})
upload._page_locked = lambda count, device: torch.empty(count, dtype=torch.uint8)
kernels.is_available = lambda: True
# A fake convolution of a CPU build does not keep the memory order, as cuDNN does.
batchnorm_triton.fits = maxpool_triton.fits = lambda x: True


def forward_only(trained: Trainer) -> None:
    """Set gradients to zeros, since autograd's engine refuses a device that is not there."""

    def backward(loss, **options):
        for parameter in trained.query_encoder.parameters():
            parameter.grad = torch.zeros_like(parameter)

    torch.Tensor.backward = backward


def made(asked: dict, folder: Path) -> tuple[Trainer, Feed, Feed]:
    """A trainer, and feeds of resident and of streamed pictures."""
    write_crops(folder / "crops.lmdb", CROPS)
    crops = CropSet.of(CropStore(folder / "crops.lmdb"))
    arm = Pretrain(**asked["pretrain"], monitor=Monitor(benchmark="none", every_epochs=0))
    encoder = Encoder(architecture=asked["architecture"], last_stride=asked.get("last_stride", 2))
    group = Group(0, 1, fake.CUDA)
    kind = positives.kind(arm, crops)
    network = moco.seeded(backbones.build(encoder, 0), arm.dim, arm.mlp, 0)
    fake.moved(network, fake.CUDA, channels_last=True).to = lambda *args, **options: network
    trained = Trainer(network, kind, arm, group, "bf16")
    size = arm.height_px, arm.width_px
    resident, streamed = (
        Feed(crops, how(crops, size, 1, fake.CUDA), kind, arm, encoder, group, 1)
        for how in (Resident, Streaming)
    )
    return trained, resident, streamed


def stepped(trained: Trainer, feed: Feed) -> dict[str, dict]:
    """Two batches and two steps; what the second of each gave the GPU to do."""
    forward_only(trained)
    for step in range(2):
        with fake.Watch() as of_feed:
            batch = feed.batch(step)
        with fake.Watch() as of_step:
            measured = trained.train_step(batch, 100)
        assert measured.device == fake.CUDA
        assert batch.queries.is_contiguous(memory_format=torch.channels_last)
    return {
        name: {"operations": watch.count, "waits": watch.waits, "of": watch.operations}
        for name, watch in (("feed", of_feed), ("step", of_step))
    }


def mined(trained: Trainer, feed: Feed, told: dict) -> None:
    """Compute features of all crops, and find pairs among them."""
    backbone = trained.query_encoder.backbone.eval()
    found = features.of_crops(backbone, feed, CROPS, trained.group, "bf16")
    backbone.train()
    told["features"] = list(found.shape)
    rng = np.random.default_rng(0)
    feed.positives.learn(rng.standard_normal(found.shape, np.float32), trained.group)
    trained.friendship(feed.positives)


def looked_at(trained: Trainer, feed: Feed, told: dict) -> None:
    """Embed as the monitor does; save and restore the state of the run, and go on."""
    card = ModelCard.of(
        Encoder(architecture="resnet18"),
        height_px=64,
        width_px=32,
        embedding_size=512,
        distance="cosine",
        trained_on="x",
    )
    plain_to = torch.nn.Module.to
    torch.nn.Module.to = lambda module, *args, **options: (
        fake.moved(module, fake.CUDA) if args else module
    )
    network = TorchNetwork(ReidNet(card), card, "cuda:0")
    torch.nn.Module.to = plain_to
    told["embedded"] = list(network(np.zeros((8, 64, 32, 3), np.uint8)).shape)
    state = torch.utils._pytree.tree_map(
        lambda leaf: leaf.cpu() if isinstance(leaf, torch.Tensor) else leaf, trained.state()
    )
    trained.restore(state)
    trained.train_step(feed.batch(2), 100)


def backward_operations(asked: dict) -> int:
    """Count the operations of a backward pass of the fused network, on fake tensors of a CPU."""
    arm, architecture = asked["pretrain"], asked["architecture"]
    batchnorm._form = lambda x: batchnorm_triton.normalise
    encoder = Encoder(architecture=architecture, last_stride=asked.get("last_stride", 2))
    network = moco.seeded(backbones.build(encoder, 0), 128, True, 0)
    network = fake.moved(network, torch.device("cpu"), channels_last=True)
    batchnorm.grouped(network, arm["bn_groups"])
    pictures = torch.empty(arm["batch"], 3, arm["height_px"], arm["width_px"])
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        queries = network(pictures)
    negatives, keys = torch.empty(arm["queue"], 128), torch.empty(arm["batch"], 128)
    losses, _ = moco.info_nce(queries, keys, negatives, 0.1)
    with fake.Watch("cpu") as watch:
        BACKWARD(losses.mean())
    return watch.count


def main(asked: dict) -> None:
    told: dict = {}
    with tempfile.TemporaryDirectory() as folder, MODE:
        told["backward_operations"] = backward_operations(asked) if asked.get("backward") else 0
        batchnorm._form = FORM
        trained, resident, streamed = made(asked, Path(folder))
        told["passes"] = [stepped(trained, resident)]
        if asked["architecture"] == "resnet18":
            looked_at(trained, resident, told)
        if asked["pretrain"].get("positives") == "mined":
            mined(trained, resident, told)
        told["passes"].append(stepped(trained, streamed))
    print(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
