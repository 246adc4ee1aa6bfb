"""passerby's pretraining for the steps of `gpu.py`: settings, pictures, feed and trainer."""

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import _pictures
import _rivals
from _gpu_context import Context
from passerby.pretrain import pictures
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.feed import Feed
from passerby.pretrain.trainer import Trainer
from passerby.settings import Encoder, Monitor, Pretrain
from passerby.training import precision
from passerby.training.processes import Group
from pretraining import alone


@dataclass(frozen=True)
class Configuration:
    """What differs between two measurements of speed."""

    architecture: str
    last_stride: int
    bn_groups: int
    batch: int
    resident_scale: float = 1.0
    compile: bool = False

    @property
    def name(self) -> str:
        """The configuration in one word, for logs and tables."""
        words = [self.architecture, f"stride_{self.last_stride}", f"groups_{self.bn_groups}"]
        words += [f"batch_{self.batch}", f"scale_{self.resident_scale:g}"]
        return "_".join([*words, *(["compiled"] if self.compile else [])])


def first(context: Context) -> Configuration:
    """The configuration that `speeds` measures first, and the other steps measure alone."""
    size = context.size
    return Configuration(size.architecture, 2, size.bn_groups, size.batch)


def settings(context: Context, asked: Configuration) -> tuple[Pretrain, Encoder]:
    """The settings of an ordinary run with two views of a crop as pairs, and without a monitor."""
    size = context.size
    arm = Pretrain(
        height_px=size.height_px,
        width_px=size.width_px,
        batch=asked.batch,
        queue=size.queue,
        positives="view",
        bn_groups=asked.bn_groups,
        resident_scale=asked.resident_scale,
        compile=asked.compile,
        monitor=Monitor(benchmark="none", every_epochs=0),
    )
    encoder = Encoder(architecture=asked.architecture, last_stride=asked.last_stride)
    return arm, encoder


def drawn(context: Context) -> CropSet:
    """Drawn pictures of 256x128, which are made once for all steps."""
    path = context.work / "drawn.lmdb"
    if not path.exists():
        beside = path.with_name("drawing.lmdb")
        _pictures.draw(beside, context.size.pictures)
        beside.rename(path)
    return _pictures.chosen(path, context.size.pictures)


@contextlib.contextmanager
def grouped(context: Context) -> Iterator[Group]:
    """This process as a group of its own, with the settings of `passerby.pretrain.main`."""
    torch.set_num_threads(context.threads)
    torch.backends.cudnn.benchmark = True
    with alone(context.device) as group:
        yield group


@dataclass
class Ours:
    """Feed and trainer of a configuration.

    Attributes:
        feed: Makes batches.
        trainer: Trains with them.
        batches: The feed's batches, without end.
    """

    feed: Feed
    trainer: Trainer
    batches: Iterator[object]
    _at: int = 0

    def step(self) -> Tensor:
        """Take one step of training with the next batch."""
        return self.trainer.train_step(next(self.batches), _rivals.STEPS)

    def make_batch(self) -> object:
        """Make a batch in this thread and stream; nearly all of the device's work is its views."""
        self._at = (self._at + 1) % self.feed.sampler.steps_per_epoch
        return self.feed.batch(self._at)


def kept_pictures(
    context: Context, crops: CropSet, asked: Configuration, group: Group
) -> pictures.Resident:
    """The crops on the device, at the configuration's scale."""
    return _rivals.resident(crops, settings(context, asked)[0], group, context.threads)


def built(
    context: Context,
    crops: CropSet,
    kept: pictures.Resident,
    asked: Configuration,
    group: Group,
) -> Ours:
    """Feed and trainer of a configuration."""
    arm, encoder = settings(context, asked)
    number_format = precision.decide("auto", context.kind)
    made = _rivals.parts(crops, kept, arm, encoder, group, context.threads, number_format)
    return Ours(*made, _rivals.endless(made[0]))


def let_go() -> None:
    """Free the memory of what is no longer used, before the next configuration."""
    gc.collect()
    if torch.cuda.is_available():
        torch._dynamo.reset()
        torch.cuda.empty_cache()
