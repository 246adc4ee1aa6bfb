"""Report 000's attribute classifier: twelve heads on a ResNet, trained together.

A head is dropout, linear, ReLU, dropout, linear; the loss is the mean of the heads' cross
entropies. The report counts each colour as a yes/no head of its own, which makes 27 and lifts the
mean accuracy (85.0 % by the commonest class alone); here a colour is one head among twelve, and
the commonest class stands beside every figure.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passerby import files, seeds
from passerby.baselines import augment, loop, pictures
from passerby.baselines.loop import Course
from passerby.contract import of_run
from passerby.datasets import attributes as labels
from passerby.datasets.attributes import CLASSES
from passerby.datasets.index import Benchmark, Items
from passerby.models import artifact, backbones, init_file, transfer
from passerby.models.artifact import ModelCard
from passerby.models.backbones import DIM, Backbone
from passerby.models.init_file import InitHeader
from passerby.models.small_maps import quick_on_small_maps
from passerby.settings import Attributes, Encoder
from passerby.text import say
from passerby.training import checkpoint, precision, processes
from passerby.training.repeatable import drawing_from, repeatable
from passerby.training.sampler import EpochSampler
from passerby.training.upload import sent

NAME = "attributes"
FORMAT = "passerby.attributes/1"
FOLLOWED = ("baselines", "datasets", "models", "training")
"""Rooms whose code decides the result."""


@dataclass(frozen=True)
class Job:
    """One training of the attribute classifier.

    Attributes:
        init: Weights to start from, `data/init/NAME.safetensors`.
        benchmark: The labelled set; its training part is split by people.
        plan: The section `attributes`.
        encoder: The section `encoder`.
        threads: Of torch; sums depend on them.
    """

    init: str | Path
    benchmark: Benchmark
    plan: Attributes
    encoder: Encoder
    threads: int

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Hashes of the weights to start from, of the labelled images and of their labels."""
        rows = zip(self.benchmark.rows, self.benchmark.hashes, strict=True)
        images = [pair for pair in rows if pair[0].split == "train"]
        return {
            "init": files.sha256(self.init),
            "images": files.fingerprint([self.benchmark.name, images]),
            "annotations": files.sha256(self.plan.annotations),
        }

    @property
    def course(self) -> Course:
        """How long training goes on."""
        plan = self.plan
        rates = plan.plateau_patience, plan.plateau_factor
        return Course(NAME, plan.seed, plan.epochs, plan.patience, *rates)

    def settings_and_inputs(self, device: str, lowered: str) -> dict[str, Any]:
        """Everything that decides the result but our own code; its hash stands in the card."""
        return {
            **self.hashes,
            "attributes": self.plan.contract("benchmark", "annotations", "init", "precision"),
            "encoder": self.encoder.contract(),
            "threads": self.threads,
            "device": device,
            "precision": lowered,
            "versions": {"torch": str(torch.__version__)},
        }


@dataclass(frozen=True)
class Labelled:
    """Pictures with their attributes.

    Attributes:
        people: Whose they are.
        images: `uint8 (N, 3, H, W)`.
        values: `int64 (N, 12)`, indices into the classes of each attribute.
    """

    people: tuple[int, ...]
    images: Tensor
    values: Tensor


class Classifier(nn.Module):
    """Twelve heads on the pooled features of a backbone.

    Args:
        backbone: What the heads share.
        hidden: Units of each head's inner layer.
        dropout: Before both layers of each head, in [0, 1).

    Shape:
        input: `(B, 3, H, W)`, normalised; output: a `(B, classes)` for each attribute.
    """

    def __init__(self, backbone: Backbone, hidden: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(backbone.dim, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, len(classes)),
            )
            for classes in CLASSES.values()
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits of each head."""
        features = self.backbone(images)
        return [head(features) for head in self.heads]


class Task:
    """What the loop trains; see `loop.Task`.

    Args:
        job: The settings.
        network: On its device.
        training: Pictures to learn from.
        validation: Pictures of other people.
        lowered: `fp32` or `bf16`.
    """

    def __init__(
        self, job: Job, network: Classifier, training: Labelled, validation: Labelled, lowered: str
    ) -> None:
        plan = job.plan
        self.network = network
        self.optimizer = torch.optim.SGD(
            network.parameters(), plan.lr, momentum=plan.momentum, weight_decay=plan.weight_decay
        )
        self._sampler = EpochSampler(len(training.images), plan.batch, plan.seed)
        self.steps_per_epoch = self._sampler.steps_per_epoch
        self._job, self._lowered = job, lowered
        self._training, self._validation = training, validation
        self._device = next(network.parameters()).device

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of a training batch, augmented by a stream of its own."""
        plan = self._job.plan
        rows = torch.from_numpy(self._sampler.rows(step))
        images = self._normalised(self._training.images[rows])
        size = plan.height_px, plan.width_px
        rng = seeds.stream(plan.seed, NAME, "augment", step)
        drawn = augment.draw(rng, len(rows), size, plan.max_rotation_deg, plan.erase_share)
        logits = self._logits(augment.apply(images, drawn))
        values = sent(self._training.values[rows], self._device)
        return mean_loss(logits, values), hits(logits, values).float().mean()

    def _normalised(self, images: Tensor) -> Tensor:
        return pictures.normalised(sent(images, self._device), self._job.encoder)

    def _logits(self, images: Tensor) -> list[Tensor]:
        with precision.autocast(self._device.type, self._lowered):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        return [each.float() for each in logits]

    def validate(self) -> tuple[float, float]:
        """Mean loss and accuracy over the heads, on the validation people."""
        logits, values = self.validation_logits(), self._validation.values
        return mean_loss(logits, values).item(), hits(logits, values).float().mean().item()

    def validation_logits(self) -> list[Tensor]:
        """Logits of each head for all validation pictures, on the CPU."""
        parts = [
            self._logits(self._normalised(images))
            for images in self._validation.images.split(self._job.plan.batch)
        ]
        return [torch.cat(each).cpu() for each in zip(*parts, strict=True)]


def mean_loss(logits: Sequence[Tensor], values: Tensor) -> Tensor:
    """The mean of the heads' cross entropies; `values` is `int64 (B, 12)`."""
    losses = [F.cross_entropy(each, values[:, head]) for head, each in enumerate(logits)]
    return torch.stack(losses).mean()


def hits(logits: Sequence[Tensor], values: Tensor) -> Tensor:
    """Which attributes are right, `bool (B, 12)`."""
    return torch.stack([each.argmax(dim=1) for each in logits], dim=1) == values


def train(job: Job, out: str | Path, quiet: bool = False) -> ModelCard:
    """Train, and write model, accuracies and history.

    Args:
        job: What is trained, from where and on what.
        out: Folder of the model artifact (the backbone with the least validation loss),
            `attributes.json` and `history.tsv`; emptied first.
        quiet: Whether to show no progress.

    Returns:
        The card of the model.

    Raises:
        BadInput: weights for another encoder, a person without attributes, too few people or
            images, a damaged image, a loss that is no number.
    """
    start, header = init_file.read(job.init)
    init_file.require_fit(job.init, header, job.encoder)
    device = processes.device_kind()
    lowered = precision.decide(job.plan.precision, device)
    told = job.settings_and_inputs(device, lowered)
    contract = of_run(told, FOLLOWED)
    with repeatable(job.threads), files.scratch(f"baseline@{NAME}", contract) as scratch:
        checkpoint.begin(scratch, contract)
        training, validation = labelled(job)
        network = built(job, start).to(device)
        task = Task(job, network, training, validation, lowered)
        best = loop.train(task, job.course, scratch, contract, quiet)
        network.load_state_dict(best.weights)
        network.eval()
        with torch.inference_mode():
            right = hits(task.validation_logits(), validation.values).numpy()
        found = accuracies(right, training.values.numpy(), validation.values.numpy())
        folder = files.empty_folder(out)
        files.write_text(folder / loop.HISTORY, best.history)
        counts = {
            "people": len(training.people),
            "images": len(training.images),
            "validation_people": len(validation.people),
            "validation_images": len(validation.images),
            "best_epoch": best.epoch,
        }
        about = {"format": FORMAT, "trained_on": job.benchmark.name, "counts": counts}
        files.write_json(folder / "attributes.json", {**about, **found})
        card = _card(job, header, told, {**counts, **found["mean"]})
        return artifact.write(folder, network.backbone.state_dict(), card)


def labelled(job: Job) -> tuple[Labelled, Labelled]:
    """The pictures to learn from, and those of the people kept out.

    Raises:
        BadInput: the set has no training people, or some have no attributes; an image is damaged.
    """
    described = labels.read(job.plan.annotations)
    items = job.benchmark.split("train")
    parts = pictures.split(job.benchmark.people("train"), job.plan.validation_share, job.plan.seed)
    first, second = (_labelled(job, items.of_people(people), people, described) for people in parts)
    return first, second


def _labelled(
    job: Job, items: Items, people: tuple[int, ...], described: labels.Attributes
) -> Labelled:
    values = torch.from_numpy(described.of(items.person))
    size = job.plan.height_px, job.plan.width_px
    return Labelled(people, pictures.load(items.paths, *size, job.threads), values)


def built(job: Job, start: Mapping[str, Tensor]) -> Classifier:
    """The network: the start's backbone, every tensor accounted for, and new heads."""
    backbone = backbones.build(job.encoder)
    account = transfer.load_backbone(backbone, start)
    say(f"{NAME}: {account}", sys.stderr)
    quick_on_small_maps(backbone)
    with drawing_from(seeds.number(job.plan.seed, NAME, "heads")):
        return Classifier(backbone, job.plan.hidden, job.plan.dropout)


def accuracies(right: np.ndarray, learned: np.ndarray, asked: np.ndarray) -> dict[str, Any]:
    """Accuracy of each head and their mean, beside that of always saying the commonest class.

    Args:
        right: Which answers are right, `bool (N, 12)`.
        learned: Labels of the training pictures, `int64 (M, 12)`: they say what is commonest.
        asked: Labels of the validation pictures, `int64 (N, 12)`.
    """
    heads = {}
    for column, (name, classes) in enumerate(CLASSES.items()):
        commonest = np.bincount(learned[:, column], minlength=len(classes)).argmax()
        heads[name] = {
            "accuracy": float(right[:, column].mean()),
            "commonest": float((asked[:, column] == commonest).mean()),
            "commonest_class": classes[commonest],
        }
    mean = {
        key: float(np.mean([head[key] for head in heads.values()]))
        for key in ("accuracy", "commonest")
    }
    return {"heads": heads, "mean": mean}


def _card(
    job: Job, header: InitHeader, told: Mapping[str, Any], metrics: Mapping[str, float]
) -> ModelCard:
    """What the model will say of itself."""
    return ModelCard.of(
        job.encoder,
        title="attribute classifier (report 000)",
        height_px=job.plan.height_px,
        width_px=job.plan.width_px,
        embedding_size=DIM[job.encoder.architecture],
        neck="none",
        distance="cosine",
        trained_on=job.benchmark.name,
        init=Path(job.init).stem,
        fresh=header.fresh,
        seed=job.plan.seed,
        hashes={**job.hashes, "contract": files.fingerprint(told)},
        metrics=dict(metrics),
    )
