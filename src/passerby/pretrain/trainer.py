"""One run of MoCo: everything that decides its future, and one step of it."""

import copy
import warnings
from collections import deque
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from passerby.errors import BadInput
from passerby.models.backbones import Backbone
from passerby.pretrain import measures, moco
from passerby.pretrain.feed import Batch
from passerby.pretrain.positives import Positives
from passerby.pretrain.queue import Queue
from passerby.settings import Pretrain
from passerby.training import cuda_graph, precision, schedule
from passerby.training.cuda_graph import Captured
from passerby.training.lars import Lars
from passerby.training.processes import Group, Watched
from passerby.training.upload import uploaded

MEASURED = ("loss", "accuracy", "spread", "alignment", "uniformity", "lr")
"""What a step gives, in this order."""
REMEDY = "A lower 'lr', a longer 'warmup_steps' or 'precision: fp32' may help"


class Trainer:
    """Two encoders, a queue, an optimiser, and how far they are.

    Args:
        encoder: The query encoder, its start loaded.
        positives: Who is whose partner, and whose negative not.
        arm: Settings of the run.
        group: The processes that share each batch.
        number_format: `fp32` or `bf16`, of the forward passes.

    Attributes:
        step: Steps done.
        saved_step: Step of the last checkpoint; `None` before there is one.
    """

    def __init__(
        self,
        encoder: moco.Encoder,
        positives: Positives,
        arm: Pretrain,
        group: Group,
        number_format: str,
    ) -> None:
        _require_whole_shares(arm, group)
        self.arm, self.group, self.number_format, self.step = arm, group, number_format, 0
        self.saved_step: int | None = None
        encoder.to(group.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Symmetric: twice the pictures in a step, in sub-batches of the same size.
        groups = arm.bn_groups * (1 + arm.symmetric) // group.world
        self.query_encoder, self.key_encoder = moco.pair(encoder, groups)
        self.queue = Queue(arm.queue, arm.dim, arm.seed).to(group.device)
        self._forward_queries = _distributed(_compiled(self.query_encoder, arm.compile), group)
        self._forward_keys = _compiled(self.key_encoder, arm.compile)
        self.optimiser = _optimiser(self.query_encoder, arm)
        # Losses that have not been checked yet, with their step and learning rate. On a GPU a loss
        # is read one step late, so that the GPU always has work while the host waits.
        self._unread: deque[tuple[Watched, int, float]] = deque()
        self._unread_at_most = 1 if group.device.type == "cuda" else 0
        self._captured = None
        if _fits_a_graph(arm, group):
            self._captured = Captured(self._work_of_tensors, group.device)
        self.friendship(positives)

    def friendship(self, positives: Positives) -> None:
        """Take note of whose keys are no negatives of whom; it may change between epochs."""
        told = [positives.friends, positives.cameras]
        self._friends, self._cameras = uploaded(told, self.group.device)

    def train_step(self, batch: Batch, steps: int) -> Tensor:
        """One step; returns `MEASURED` of this process's share, `(6,)`, on the device.

        Raises:
            BadInput: the loss of this step, on a GPU that of the step before, is not finite.
        """
        rate = learning_rate(self.arm, self.step, steps)
        share = 1 - moco.momentum(self.arm, self.step, steps)
        if self._captured:
            device = self.group.device
            changing = (torch.full((), value, device=device) for value in (rate, share))
            parts = (getattr(batch, field.name) for field in fields(batch))
            shared, measured = self._captured(*parts, self._friends, self._cameras, *changing)
        else:
            shared, measured = self._work(batch, self._friends, self._cameras, rate, share)
        self._unread.append((Watched(shared), self.step, rate))
        self._require_finite(self._unread_at_most)
        self.step += 1
        return measured

    def _work(
        self,
        batch: Batch,
        friends: Tensor,
        cameras: Tensor,
        rate: float | Tensor,
        share: float | Tensor,
    ) -> tuple[Tensor, Tensor]:
        """All work of a step for the device, in the order of MoCo's Algorithm 1.

        A CUDA graph can hold it: it depends on nothing that changes but its arguments, the weights,
        the optimiser's state and the queue.

        Args:
            batch: This process's part.
            friends: Of the positives.
            cameras: Of the positives.
            rate: The learning rate, a number or a tensor of one number on the device.
            share: Of the query encoder in the key encoder's update, likewise.

        Returns:
            The mean loss of all processes, `()`, and `MEASURED` of this one, `(6,)`.
        """
        arm, group = self.arm, self.group
        with precision.autocast(group.device.type, self.number_format):
            queries = self._forward_queries(batch.queries)  # n x D
        with torch.no_grad(), precision.autocast(group.device.type, self.number_format):
            if arm.momentum_end is None:
                share = 1 - arm.momentum  # a number is faster than a tensor
            moco.follow(self.key_encoder, self.query_encoder, share)
            shuffled = F.normalize(self._forward_keys(batch.keys).float())  # n x D
        keys = group.gathered(shuffled)[batch.unshuffle]  # N x D
        mine = group.share(len(keys))
        masked = self._masked(batch.labels, batch.key_labels[mine], friends, cameras)
        losses, nearest = moco.info_nce(
            queries, keys[mine], self.queue.keys, arm.temperature, masked
        )
        loss = losses.mean()
        shared = group.mean(loss)
        self.optimiser.zero_grad()
        loss.backward()
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        # The optimiser reads this flag on the device: a loss that is not finite updates nothing.
        self.optimiser.found_inf = (~shared.isfinite()).float()  # type: ignore[attr-defined]
        self.optimiser.step()
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = arm.lr  # a checkpoint holds a number
        self.queue.enqueue(keys, batch.key_labels)
        return shared, self._measured(loss, nearest, queries, keys, rate)

    def _work_of_tensors(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        """`_work`, the batch in parts."""
        *parts, friends, cameras, rate, share = given
        return self._work(Batch(*parts), friends, cameras, rate, share)

    def _masked(
        self, labels: Tensor, key_labels: Tensor, friends: Tensor, cameras: Tensor
    ) -> Tensor | None:
        """Which keys of the queue are no negatives, `(n, K)`."""
        masked = None
        if self.arm.mask_positives:
            masked = moco.no_negatives(labels, self.queue.labels, friends)
        if self.arm.negatives == "camera":
            there = moco.elsewhere(key_labels, self.queue.labels, cameras)
            masked = there if masked is None else masked | there
        return masked

    @torch.no_grad()
    def _measured(
        self, loss: Tensor, nearest: Tensor, queries: Tensor, keys: Tensor, rate: float | Tensor
    ) -> Tensor:
        directions = self.group.gathered(F.normalize(queries.float()))  # N x D
        return torch.stack(
            [
                loss,
                nearest.float().mean(),
                measures.spread(directions),
                measures.alignment(directions, keys),
                measures.uniformity(directions),
                torch.ones_like(loss) * rate,
            ]
        )

    def require_finite(self) -> None:
        """Check the losses of all steps that were taken so far.

        Raises:
            BadInput: one of them is not a finite number.
        """
        self._require_finite(unread=0)

    def _require_finite(self, unread: int) -> None:
        """Check the losses of all steps except the last `unread`."""
        while len(self._unread) > unread:
            watched, step, rate = self._unread.popleft()
            loss = watched.read()
            if loss - loss != 0:  # infinite, or no number
                saved = f"of step {self.saved_step:,}" if self.saved_step else "not made yet"
                raise BadInput(
                    f"pretrain: the loss is {loss} at step {step}, learning rate {rate:g}; "
                    f"nothing was updated, and the last good checkpoint is {saved}. {REMEDY}"
                )

    def require_finite_weights(self) -> None:
        """Refuse what the last step, whose loss was measured before it, may have made.

        Raises:
            BadInput: a loss or a weight is not a finite number.
        """
        self.require_finite()
        finite = [weight.isfinite().all() for weight in self.query_encoder.parameters()]
        if not torch.stack(finite).all():
            raise BadInput(
                f"pretrain: weights that are no numbers after step {self.step}. {REMEDY}"
            )

    def backbone(self) -> Backbone:
        """The query encoder's backbone as it is now, a copy in eval mode.

        Its running statistics are the mean of all processes', each of which saw a part of every
        batch. All processes must ask for it together.
        """
        made = copy.deepcopy(self.query_encoder.backbone)
        averages = iter(_floats(self.query_encoder.backbone))
        with torch.no_grad():
            for buffer in _floats(made):
                buffer.copy_(self.group.mean(next(averages)))
        return made.eval()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of this run; `processes` has what differs between them."""
        local = torch.cat([buffer.flatten() for buffer in self._local()])
        return {
            "step": self.step,
            "query_encoder": self.query_encoder.state_dict(),
            "key_encoder": self.key_encoder.state_dict(),
            "queue": self.queue.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "processes": self.group.gathered(local.unsqueeze(0)),  # R x all statistics
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state; with another number of processes, from the mean of them."""
        self.step = self.saved_step = state["step"]
        self.query_encoder.load_state_dict(state["query_encoder"])
        self.key_encoder.load_state_dict(state["key_encoder"])
        self.queue.load_state_dict(state["queue"])
        self.optimiser.load_state_dict(state["optimiser"])
        saved = state["processes"]
        local = saved[self.group.rank] if len(saved) == self.group.world else saved.mean(0)
        buffers = self._local()
        parts = local.split([buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))
        if self._captured:
            self._captured.forget()  # the optimiser has other tensors now

    def _local(self) -> list[Tensor]:
        """Running statistics: each process has its own, of what it saw."""
        return [*_floats(self.query_encoder), *_floats(self.key_encoder)]


def learning_rate(arm: Pretrain, step: int, steps: int) -> float:
    """Of a step; the peak grows with the batch over all processes (linear scaling)."""
    peak = arm.lr * arm.batch / 256
    if arm.schedule == "step":
        return schedule.stepped(step, steps, peak, arm.steps_share, arm.warmup_steps)
    return schedule.cosine(step, steps, peak, arm.warmup_steps)


def _floats(module: nn.Module) -> list[Tensor]:
    """Buffers that are averages, in a fixed order; counters are the same everywhere."""
    return [buffer for buffer in module.buffers() if buffer.is_floating_point()]


def _optimiser(encoder: moco.Encoder, arm: Pretrain) -> torch.optim.Optimizer:
    """What moves the query encoder; its rate is set before each step."""
    if arm.optimiser == "lars":
        return Lars(encoder.parameters(), arm.lr, arm.sgd_momentum, arm.weight_decay)
    return torch.optim.SGD(
        encoder.parameters(),
        lr=arm.lr,
        momentum=arm.sgd_momentum,
        weight_decay=arm.weight_decay,
        fused=True,
    )


def _compiled(encoder: moco.Encoder, wanted: bool) -> nn.Module:
    """The encoder, its layers fused where that is asked for; parameters are shared."""
    return torch.compile(encoder) if wanted else encoder  # type: ignore[return-value]


def _fits_a_graph(arm: Pretrain, group: Group) -> bool:
    """Whether the work of a step is captured in a CUDA graph."""
    # Collectives and what torch.compile makes have not been captured.
    alone_on_gpu = group.world == 1 and group.device.type == "cuda"
    return alone_on_gpu and not arm.compile and cuda_graph.is_wanted()


def _require_whole_shares(arm: Pretrain, group: Group) -> None:
    """Refuse sub-batches that would differ in size, or lie in two processes."""
    if arm.bn_groups % group.world:
        raise BadInput(
            f"pretrain: {group.world} processes, which do not divide bn_groups {arm.bn_groups} "
            f"and batch {arm.batch}; set PASSERBY_PROCESSES to a number that does"
        )


def _distributed(encoder: nn.Module, group: Group) -> nn.Module:
    """The encoder whose gradients are the mean of all processes'."""
    if group.world == 1:
        return encoder
    with warnings.catch_warnings():
        # torch renames `broadcast_buffers`, whose new name older releases do not know.
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            encoder,
            device_ids=[group.device] if group.device.type == "cuda" else None,
            broadcast_buffers=False,  # statistics are averaged when they are looked at
            gradient_as_bucket_view=True,
        )
