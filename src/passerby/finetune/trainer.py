"""fast-reid's own trainer over our images: its loop, model, losses, optimiser and rates.

What is ours: where the weights start, the streams that epochs draw from, bf16, and the hooks that
record, show and keep what happens. Every epoch begins from named streams, so that a run which goes
on at the end of an epoch ends with the bytes of one that nobody disturbed.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from passerby import seeds
from passerby.errors import BadInput
from passerby.finetune import bridge
from passerby.finetune.compat import fastreid
from passerby.models import transfer
from passerby.models.small_maps import quick_on_small_maps
from passerby.progress import Progress
from passerby.settings import Encoder, Finetune
from passerby.training import precision
from passerby.training.history import History

COLUMNS = ("iteration", "loss", "loss_cls", "loss_triplet", "accuracy", "lr")
_SCALARS = {"loss": "total_loss", "accuracy": "cls_accuracy"}
"""Names in fast-reid's event storage, where they differ from the columns'."""


class Trainer(fastreid.engine.DefaultTrainer):
    """Trains a re-ID model from backbone weights, on labelled images.

    Args:
        cfg: Configuration, from `recipes.config`.
        images: From `bridge.items`.
        plan: The section `finetune`.
        encoder: The section `encoder`.
        start: Weights of the backbone under bare names, none missing.
        seed: Of batches, augmentation and heads.
        lowered: `fp32` or `bf16`, from `precision.decide`.

    Attributes:
        account: What became of every tensor of `start`.
    """

    def __init__(
        self,
        cfg: Any,
        images: list[bridge.Item],
        plan: Finetune,
        encoder: Encoder,
        start: Mapping[str, Tensor],
        seed: int,
        lowered: str = "fp32",
    ) -> None:
        self.seed = seed
        self._images, self._plan, self._encoder = images, plan, encoder
        self._start, self._lowered = start, lowered
        super().__init__(cfg)
        # Upstream's epoch is a pass over the images, whatever a schedule needs.
        self.iters_per_epoch = plan.iterations_per_epoch
        self.max_iter = plan.iterations

    def build_train_loader(self, cfg: Any) -> Any:
        """fast-reid's loader, its sampler seeded for each epoch."""
        self.sampler = bridge.EpochSampler(
            self._images,
            self._plan.people_per_batch,
            self._plan.images_per_person,
            self._plan.iterations_per_epoch,
            self.seed,
        )
        return bridge.loader(cfg, self._images, self.sampler)

    def build_model(self, cfg: Any) -> Any:
        """fast-reid's model, its backbone from `start`, its heads from a stream by name."""
        _seed_all(self.seed, "heads")
        model = super().build_model(cfg)
        self.account = load_start(model.backbone, self._start, self._encoder)
        quick_on_small_maps(model.backbone)
        lower(model.backbone, cfg.MODEL.DEVICE, self._lowered)
        return model

    def build_lr_scheduler(self, cfg: Any, optimizer: Any, iters_per_epoch: int) -> Any:
        """fast-reid's rates, by our epochs: fewer images than a batch are no division by zero."""
        return super().build_lr_scheduler(cfg, optimizer, self._plan.iterations_per_epoch)

    def build_hooks(self) -> list[Any]:
        """The rates alone: evaluation, checkpoints and logs of fast-reid's stay out."""
        return [_Streams(), fastreid.engine.hooks.LRScheduler(self.optimizer, self.scheduler)]

    def train(self) -> None:
        """Train from the epoch that is next to the last.

        Raises:
            BadInput: the loss is no number any more; the weights are those before that step.
        """
        # Past DefaultTrainer.train, which wants to return an evaluation.
        loop = super(fastreid.engine.DefaultTrainer, self).train
        try:
            loop(self.start_epoch, self.max_epoch, self.iters_per_epoch)
        except FloatingPointError:
            raise BadInput(
                f"finetune: the loss of iteration {self.iter + 1} is no finite number; the weights "
                "were not changed by it. Lower 'finetune.lr', or start from other weights"
            ) from None

    def state(self) -> dict[str, Any]:
        """All that decides the future at the end of an epoch."""
        return {
            "epoch": self.epoch + 1,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": {name: rate.state_dict() for name, rate in self.scheduler.items()},
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.start_epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, rate in self.scheduler.items():
            rate.load_state_dict(state["rates"][name])


class _Streams(fastreid.engine.HookBase):
    """Begin every epoch from streams of its own (rows D10, C6)."""

    def before_epoch(self) -> None:
        trainer = self.trainer
        _seed_all(trainer.seed, "epoch", trainer.epoch)
        trainer.sampler.epoch = trainer.epoch
        trainer._trainer._data_loader_iter = iter(trainer.data_loader)


class Recorder(fastreid.engine.HookBase):
    """Write a row a step, and show how far training is."""

    def __init__(self, history: History, progress: Progress) -> None:
        self._history, self._progress = history, progress

    def after_step(self) -> None:
        """Add the row of the step that was taken."""
        latest = self.trainer.storage.latest()
        row: dict[str, float] = {"iteration": self.trainer.iter + 1}
        for column in COLUMNS[1:]:
            row[column] = latest[_SCALARS.get(column, column)][0]
        self._history.append(row)
        self._progress.step(note=f"loss {row['loss']:.3f}")


def _seed_all(seed: int, *name: str | int) -> None:
    """Seed the global generators, which fast-reid and its transforms draw from, in 32 bits."""
    fastreid.utils.env.seed_all_rng(seeds.number(seed, *name) % 2**32)


def load_start(backbone: Any, start: Mapping[str, Tensor], encoder: Encoder) -> transfer.Account:
    """Load weights into fast-reid's backbone and give it the encoder's stem pooling (row M2).

    Args:
        backbone: `model.backbone`; fast-reid's stem has no padding, in ceil mode.
        start: Weights under bare names.
        encoder: What they were made for.

    Raises:
        BadInput: a tensor is missing, unknown or of another shape (row C2: fast-reid would load
            nothing and say so in its log).
    """
    account = transfer.load_backbone(backbone, start)
    own = backbone.state_dict()
    wrong = [name for name in account.loaded if not torch.equal(own[name].cpu(), start[name])]
    assert not wrong, f"loaded, but not equal: {wrong}"
    if encoder.stem_pooling == "torchvision":
        backbone.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    return account


def lower(backbone: Any, device: str, decided: str) -> None:
    """Let a backbone train in bf16 and hand out float32, so that heads and losses stay in float32.

    Its weights and their gradients are float32 whatever is decided, and inference is left alone.
    fast-reid's own way, AMPTrainer, asserts a GPU (row S3).

    Args:
        backbone: Its `forward` is replaced in this one object.
        device: `cpu` or `cuda`.
        decided: `fp32` or `bf16`.
    """
    whole = backbone.forward

    def forward(images: Tensor) -> Tensor:
        if not backbone.training:
            return whole(images)
        with precision.autocast(device, decided):
            features = whole(images)
        return features.float()

    backbone.forward = forward
