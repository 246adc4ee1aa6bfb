"""fast-reid's own trainer over our images: its model, losses, optimiser and rates.

What is ours: where the weights start, the streams that steps draw from, bf16, freezing, averaging,
and what happens between two steps. Every step draws from streams that its number names, so a run
that goes on after any step ends with the bytes of one that nobody disturbed.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from passerby import seeds
from passerby.errors import BadInput
from passerby.finetune import bridge, compat, recipes
from passerby.finetune.averaging import RunningMean
from passerby.finetune.compat import fastreid
from passerby.finetune.recipes import Schedule
from passerby.finetune.start import Start
from passerby.models.small_maps import quick_on_small_maps
from passerby.settings import Finetune
from passerby.training import precision
from passerby.training.processes import Watched

TRUNKS = ("backbone", "b1", "b2", "b3")
"""Parts of fast-reid's models that run in bf16: all but heads and losses."""


class Trainer(fastreid.engine.DefaultTrainer):
    """Trains a re-ID model from backbone weights, on labelled images.

    Args:
        cfg: Configuration, from `recipes.config`.
        images: From `bridge.items`.
        run: How long it trains.
        plan: The section `finetune`.
        start: Weights of the backbone.
        seed: Of batches, augmentation and heads.
        lowered: `fp32` or `bf16`, from `precision.decide`.

    Attributes:
        iter: Steps done; while one is made, its number from 0.
        mean: Of the weights after the last steps, where that was asked for.
        rows: Rows of the history whose numbers have arrived from the device; `Keeper` writes them
            and empties the list.
    """

    def __init__(
        self,
        cfg: Any,
        images: list[bridge.Item],
        run: Schedule,
        plan: Finetune,
        start: Start,
        seed: int,
        lowered: str = "fp32",
    ) -> None:
        self.seed, self.run, self.start = seed, run, start
        self._images, self._plan, self._lowered = images, plan, lowered
        super().__init__(cfg)
        loop: Any = self._trainer
        self._late = cfg.MODEL.DEVICE == "cuda" and can_skip(loop.optimizer)
        self._trainer: Any = Step(loop.model, loop.data_loader, loop.optimizer, self._late)
        # Upstream's epoch is a pass over the images, whatever a schedule needs.
        self.iters_per_epoch, self.max_iter = run.per_epoch, run.iterations
        self.iter, self.mean = 0, RunningMean()
        self.rows: list[dict[str, float]] = []

    @property
    def network(self) -> Any:
        """The model, out of DDP's wrapper."""
        return getattr(self.model, "module", self.model)

    def build_train_loader(self, cfg: Any) -> Any:
        """fast-reid's loader, its draws named by the step that they are for."""
        people, each = recipes.batch(self._plan)
        self.sampler = bridge.EpochSampler(
            self._images, people, each, self.run.per_epoch, self.seed
        )
        return bridge.loader(cfg, self._images, self.sampler, self.seed)

    def build_model(self, cfg: Any) -> Any:
        """fast-reid's model, its backbone from the start, its heads from a stream by name."""
        _seed_all(self.seed, "heads")
        model = self.start.build(cfg)
        quick_on_small_maps(model)
        for name in TRUNKS:
            if hasattr(model, name):
                trunk = getattr(model, name)
                if cfg.MODEL.DEVICE == "cuda":  # faster there; on a CPU it would change bytes
                    trunk.to(memory_format=torch.channels_last)
                lower(trunk, cfg.MODEL.DEVICE, self._lowered)
        # What a network draws as it trains (dropped paths) follows from the step alone.
        model.register_forward_pre_hook(self._seed_step)
        return model

    def build_optimizer(self, cfg: Any, model: Any) -> Any:
        """fast-reid's optimiser; what came with the start has a rate of its own."""
        factor = self._plan.loaded_lr_factor
        optimizer, wrapper = compat.build_optimizer(
            cfg, model, lambda name: factor if self.start.came_along(name) else 1.0
        )
        optimizer.register_step_pre_hook(self._leave_frozen_alone)
        return optimizer, wrapper

    def build_lr_scheduler(self, cfg: Any, optimizer: Any, iters_per_epoch: int) -> Any:
        """fast-reid's rates, by our epochs: fewer images than a batch are no division by zero."""
        return super().build_lr_scheduler(cfg, optimizer, self.run.per_epoch)

    def build_hooks(self) -> list[Any]:
        """The rates alone: evaluation, checkpoints and logs of fast-reid's stay out."""
        return [fastreid.engine.hooks.LRScheduler(self.optimizer, self.scheduler)]

    def train(self, between_steps: Callable[[], None] = lambda: None) -> None:
        """Train from the step that is next to the last.

        The order of `engine/train_loop.py:TrainerBase.train`, which can begin at an epoch only.

        Args:
            between_steps: Called after each step, and after its epoch if that is over.

        Raises:
            BadInput: the loss is no number any more; the weights are those before that step.
        """
        # One pass of the loader for the whole run: its workers make the batches of the next epoch
        # while this one ends.
        self.epoch, self.sampler.first = divmod(self.iter, self.iters_per_epoch)
        self.sampler.epoch, self.sampler.epochs = self.epoch, self.run.epochs - self.epoch
        batches = self._trainer._data_loader_iter = iter(self.data_loader)
        try:
            with Storage(self.iter) as self.storage:
                self.before_train()
                while self.iter < self.max_iter:
                    self._one_step()
                    between_steps()
                self.settle()
                self.after_train()
        finally:
            batches.close()

    def settle(self) -> None:
        """Wait for the numbers of all steps that were taken; their rows are then in `rows`.

        Raises:
            BadInput: a loss is no number; the weights are those before its step.
        """
        self._settle(0)

    def _settle(self, coming: int) -> None:
        """The same for all steps except the last `coming`."""
        while len(self._trainer.taken) > coming:
            self.rows.append(self._trainer.taken.popleft().row())

    def _one_step(self) -> None:
        if self.iter % self.iters_per_epoch == 0:
            self.epoch = self.iter // self.iters_per_epoch
            self.before_epoch()
        self.before_step()
        self._keep_frozen_still()
        self.run_step()
        self.after_step()
        self._trainer.taken[-1].lr = self.storage.latest()["lr"][0]
        self.iter += 1
        self._settle(int(self._late))
        if self.iter > self.max_iter * (1 - self._plan.average_share):
            self.mean.add(self.network.state_dict())
        if self.iter % self.iters_per_epoch == 0 or self.iter == self.max_iter:
            self.after_epoch()

    def _seed_step(self, model: Any, inputs: Any) -> None:
        if not model.training:
            return
        # On a CPU `torch.manual_seed` takes fifty times as long: it notes its callers, in case a
        # GPU is made ready later.
        on_cpu = self.cfg.MODEL.DEVICE == "cpu"
        seed = torch.default_generator.manual_seed if on_cpu else torch.manual_seed
        seed(seeds.number(self.seed, "step", self.iter))

    @property
    def _frozen(self) -> bool:
        return self.iter < self.cfg.SOLVER.FREEZE_ITERS

    def _keep_frozen_still(self) -> None:
        """Keep the BatchNorms of frozen layers as they are (`engine/hooks.py:LayerFreeze`)."""
        for name in self.cfg.MODEL.FREEZE_LAYERS:
            if hasattr(self.network, name):
                getattr(self.network, name).train(not self._frozen)

    def _leave_frozen_alone(self, optimizer: Any, *_: Any) -> None:
        if self._frozen:
            for group in optimizer.param_groups:
                if group["freeze_status"] == "freeze":
                    for value in group["params"]:
                        value.grad = None

    def weights(self) -> dict[str, Tensor]:
        """What the model would be written with now: the mean of the last steps, or the last."""
        state: dict[str, Tensor] = self.network.state_dict()
        return self.mean.over(state)

    def state(self) -> dict[str, Any]:
        """All that decides the future between two steps."""
        return {
            "iteration": self.iter,
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": {name: rate.state_dict() for name, rate in self.scheduler.items()},
            "mean": self.mean.state(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.iter = state["iteration"]
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, rate in self.scheduler.items():
            rate.load_state_dict(state["rates"][name])
        self.mean.resume(state["mean"])


class Storage(fastreid.utils.events.EventStorage):
    """fast-reid's storage, but values are kept as they are (row G5).

    Upstream's converts them to numbers, and so waits for the device in each step.
    """

    def put_scalar(self, name: str, value: Any, smoothing_hint: bool = True) -> None:
        """Keep a number, or a tensor of one."""
        self._latest_scalars[name] = (value, self.iter)


@dataclass
class Taken:
    """A step that was taken, and whose numbers may not have arrived yet.

    Attributes:
        iteration: Its number, from 1.
        names: Names of the losses.
        numbers: The losses, then the accuracy.
        lr: Its learning rate.
    """

    iteration: int
    names: tuple[str, ...]
    numbers: Watched
    lr: float = 0.0

    def row(self) -> dict[str, float]:
        """The row of this step in the history.

        Raises:
            BadInput: the sum of the losses is no finite number.
        """
        *values, accuracy = self.numbers.numbers()
        losses = dict(zip(self.names, values, strict=True))
        total = sum(losses.values())
        if not abs(total) < float("inf"):
            raise BadInput(
                f"finetune: the loss of iteration {self.iteration} is no finite number; the weights"
                " were not changed by it. Lower 'finetune.lr', or start from other weights"
            )
        row = {"iteration": self.iteration, "loss": total, "accuracy": accuracy, "lr": self.lr}
        for kind in ("loss_cls", "loss_triplet"):  # MGN's heads have one each
            row[kind] = sum(value for name, value in losses.items() if name.startswith(kind))
        return row


class Step(fastreid.engine.SimpleTrainer):
    """fast-reid's step; whether its loss is a number is agreed on by all processes.

    Args:
        model: The network that is trained.
        data_loader: Makes the batches.
        optimizer: Updates the weights.
        late: Whether the loss is read later, so that the host does not wait for it. From the first
            loss on that is not finite, a flag on the device then keeps the optimiser from changing
            weights, and the error is raised when `taken` is read.

    Attributes:
        taken: Steps whose numbers have not been read yet, the oldest first.
    """

    def __init__(self, model: Any, data_loader: Any, optimizer: Any, late: bool) -> None:
        super().__init__(model, data_loader, optimizer, None)
        self.taken: deque[Taken] = deque()
        self._late = late
        self._spoilt = torch.zeros((), device=next(model.parameters()).device)

    def _write_metrics(self, loss_dict: dict[str, Tensor], data_time: float) -> None:
        """Keep the mean of the losses over the processes, before any weight is changed.

        Raises:
            BadInput: their sum is no finite number; in every process.
        """
        values = torch.stack([value.detach().float() for value in loss_dict.values()])
        world = fastreid.utils.comm.get_world_size()
        if world > 1:
            torch.distributed.all_reduce(values)
        values = values / world
        storage = fastreid.utils.events.get_event_storage()
        accuracy, _ = storage.latest()["cls_accuracy"]
        numbers = Watched(torch.cat([values, accuracy.reshape(1)]))
        taken = Taken(storage.iter + 1, tuple(loss_dict), numbers)
        if self._late:
            broken = values.isfinite().all().logical_not()
            self._spoilt = torch.maximum(self._spoilt, broken.float())
            self.optimizer.found_inf = self._spoilt
        else:
            taken.row()
        self.taken.append(taken)


def can_skip(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a flag on the device can keep an optimiser from changing weights.

    Fused optimisers of torch have such a flag, their attribute `found_inf`.
    """
    return all(group.get("fused") for group in optimizer.param_groups)


def _seed_all(seed: int, *name: str | int) -> None:
    """Seed the global generators, which fast-reid's initialisation draws from, in 32 bits."""
    fastreid.utils.env.seed_all_rng(seeds.number(seed, *name) % 2**32)


class _Lowered:
    """Stands before a module's class: trains in bf16, hands out float32.

    Heads and losses so stay in float32. Weights and their gradients are float32 too, and inference
    is left alone. fast-reid's own way, AMPTrainer, asserts a GPU (row S3).
    """

    def forward(self: Any, images: Tensor) -> Tensor:
        if not self.training:
            return super().forward(images)  # type: ignore[misc]
        with precision.autocast(self.lowered_on, "bf16"):
            features = super().forward(images)  # type: ignore[misc]
        return features.float()


def lower(module: nn.Module, device: str, decided: str) -> None:
    """Let a module train in bf16 if that was decided.

    Args:
        module: Changed in place; its tensors keep their names.
        device: `cpu` or `cuda`.
        decided: `fp32` or `bf16`.
    """
    if decided == "bf16":
        kind = type(module)
        module.__class__ = type(f"Lowered{kind.__name__}", (_Lowered, kind), {})
        module.lowered_on = device  # type: ignore[assignment]
