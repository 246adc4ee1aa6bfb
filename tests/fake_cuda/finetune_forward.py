"""Training steps of fast-reid's recipes on a fake GPU; what they did as JSON.

Forward pass, losses and the optimiser's step are ours and fast-reid's; gradients are zeros, since
autograd's engine refuses a device that is not there. A read of a number from the GPU is an error.

For each recipe there are: under `waits` the lines where the host waits for a copy; under `devices`
the devices of losses and numbers; under `channels_last` whether the input and the weights of the
trunk's convolutions are in that memory format. (The format between two convolutions is cuDNN's
choice, and cuDNN is absent here.)
"""

import json
from typing import Any

import fake
import torch

from passerby.finetune import trainer as training
from passerby.finetune.compat import fastreid
from passerby.finetune.recipes import config, schedule
from passerby.finetune.start import Start
from passerby.finetune.trainer import TRUNKS, Trainer
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Finetune

PEOPLE, IMAGES = 751, 12936
RECIPES = {
    "bot": ("resnet50", (256, 128)),
    "bot-ibn": ("resnet50-ibn", (256, 128)),
    "agw": ("resnet50", (256, 128)),
    "sbs": ("resnet50", (384, 128)),
    "mgn": ("resnet50", (384, 128)),
}


class OnTheWay:
    """Stands for `Watched`, since a CPU build has no pinned memory; it is never read here."""

    def __init__(self, value: torch.Tensor) -> None:
        self.device = value.device.type


def laid_out(module: torch.nn.Module, *args: Any, **options: Any) -> torch.nn.Module:
    """Stands for `Module.to`: to the device, or into another memory format."""
    wanted = options.get("memory_format")
    for each in module.modules() if wanted else ():
        for name, value in list(each._parameters.items()):
            if value is not None and value.ndim == 4:
                kept = value.detach().contiguous(memory_format=wanted)
                each._parameters[name] = torch.nn.Parameter(kept, value.requires_grad)
    return module if wanted else fake.moved(module, fake.CUDA)


def batches(size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """A batch as the loader hands it out."""
    labels = torch.zeros(64, dtype=torch.int64, device=fake.CUDA)
    images = torch.empty(64, 3, *size, device=fake.CUDA)
    return {"images": images, "targets": labels, "camids": labels}


def step(recipe: str, architecture: str, size: tuple[int, int]) -> dict[str, Any]:
    """Take two steps of our trainer, and return what the second did."""
    encoder = Encoder(architecture=architecture)
    plan = Finetune(benchmark="x", recipe=recipe, height_px=size[0], width_px=size[1], workers=0)
    start = Start({}, InitHeader.of(encoder, "random", fresh=("*",)), encoder)
    cfg = config(plan, encoder, PEOPLE, IMAGES)
    assert cfg.MODEL.DEVICE == "cuda"
    Trainer.build_train_loader = lambda self, cfg: Batches(size)
    trainer = Trainer(cfg, [], schedule(plan, IMAGES), plan, start, 0, "bf16")
    convolutions = [
        module
        for name in TRUNKS
        for module in getattr(trainer.network, name, torch.nn.Module()).modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    inputs: list[torch.Tensor] = []
    convolutions[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    losses: list[torch.Tensor] = []
    torch.Tensor.backward = lambda loss, **_: (losses.append(loss), zero_gradients(trainer))[0]
    watch = fake.Watch()
    with training.Storage(0) as trainer.storage:
        trainer.before_train()
        trainer._trainer._data_loader_iter = iter(trainer.data_loader)
        trainer._one_step()
        losses.clear()
        trainer._settle = lambda coming: None
        with watch:
            trainer._one_step()
    return {
        "waits": watch.waits,
        "devices": sorted({*(each.device.type for each in losses), *devices(trainer)}),
        "channels_last": {
            "weights": all(last(each.weight) for each in convolutions),
            "input": all(last(each) for each in inputs),
        },
    }


def devices(trainer: Trainer) -> list[str]:
    """The devices of the numbers of two steps, which have not been read yet."""
    taken = trainer._trainer.taken
    assert len(taken) == 2, taken
    return [each.numbers.device for each in taken]


def last(tensor: torch.Tensor) -> bool:
    """Whether channels are innermost."""
    return tensor.is_contiguous(memory_format=torch.channels_last)


def zero_gradients(trainer: Trainer) -> None:
    """Give every parameter a gradient in the memory format that autograd would use."""
    for value in trainer.network.parameters():
        value.grad = torch.zeros_like(value) if value.requires_grad else None


class Images(list[int]):
    """Stands for the data set."""

    num_classes = PEOPLE


class Batches:
    """Stands for the loader."""

    dataset = Images(range(IMAGES))

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size

    def __iter__(self) -> Any:
        while True:
            yield batches(self._size)


def main() -> None:
    """Print what was found."""
    mode = fake.install()
    torch.nn.Module.to = laid_out
    torch.nn.utils.skip_init = lambda kind, *given, **named: kind(*given, **named)
    training.Watched = OnTheWay
    fastreid.utils.env.seed_all_rng = lambda seed: None
    torch.manual_seed = lambda seed: None
    found = {}
    for recipe, (architecture, size) in RECIPES.items():
        with mode:
            found[recipe] = step(recipe, architecture, size)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
