"""Sections about learning with labels: encoder, starts, finetuning, baselines."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from passerby.settings.section import (
    Channels,
    Count,
    Fraction,
    Name,
    Natural,
    Positive,
    Section,
)

Precision = Literal["auto", "fp32", "bf16"]


class Encoder(Section):
    """Section `encoder`: the network that all branches share."""

    architecture: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet18"
    last_stride: Literal[1, 2] = 1
    stem_pooling: Literal["torchvision", "fastreid"] = "torchvision"
    """`torchvision`: 3x3, stride 2, padding 1; `fastreid`: no padding, ceil mode."""
    mean: Channels = (0.485, 0.456, 0.406)
    """Of the input's channels, RGB, on the scale 0..1: ImageNet's."""
    deviation: Channels = (0.229, 0.224, 0.225)


class Start(Section):
    """An entry of `starts`: weights that training may begin from."""

    kind: Literal["random", "torchvision", "file"]
    seed: int = 0
    file: str = ""
    sha256: str = ""
    """Hash of `file`: the graph does not follow the file itself, so its content is named here."""
    fresh: tuple[str, ...] = ()
    """Shell patterns of tensors that the file may lack; they start afresh and are listed."""
    zero_fresh_norms: bool = False
    """Give the last BatchNorm of a residual block that starts afresh the weight 0."""
    title: str = ""


class Finetune(Section):
    """Section `finetune`: fast-reid on a share of a benchmark's labels."""

    benchmark: Name
    recipe: Literal["bot"] = "bot"
    """Published settings by name; what stands below takes the place of theirs."""
    height_px: Count = 64
    width_px: Count = 32
    iterations: Count = 600
    iterations_per_epoch: Count = 100
    """An epoch: checkpoints are made and the rate falls at its end; divides `iterations`."""
    people_per_batch: int = Field(default=16, ge=2)
    images_per_person: int = Field(default=4, ge=2)
    lr: Positive = 3.5e-4
    weight_decay: float = Field(default=5e-4, ge=0)
    warmup_share: Fraction = 0.1
    """Share of the iterations in which the rate rises from a tenth."""
    steps_share: tuple[Fraction, ...] = (0.6, 0.85)
    """Shares of the iterations after which the rate falls to a tenth, at the nearest epoch end."""
    margin: float = Field(default=0.3, ge=0)
    """Of the triplet loss; 0 is the soft margin."""
    label_smoothing: Fraction = 0.1
    label_lists: str = ""
    """Folder with LUPerson's `few_ids` lists; without it identities are drawn by seed."""
    workers: Natural = 0
    """Processes that read and augment; each has a stream of its own, so they decide bytes."""
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.iterations % self.iterations_per_epoch:
            fault = (
                f"{self.iterations} iterations are no whole epochs of {self.iterations_per_epoch}"
            )
            raise PydanticCustomError("settings", "{fault}", {"fault": fault})
        early = [share for share in self.steps_share if share < self.warmup_share]
        if early:
            fault = (
                f"steps_share {early[0]} lies before the end of the warm-up, {self.warmup_share}"
            )
            raise PydanticCustomError("settings", "{fault}", {"fault": fault})
        return self


class Attributes(Section):
    """Section `attributes`: the baseline of report 000, twelve heads on a ResNet."""

    benchmark: Name
    annotations: str
    """Path of the attribute file (`market_attribute.mat`, or a CSV in report 000's columns)."""
    init: Name = "random"
    seed: int = 0
    height_px: Count = 64
    width_px: Count = 32
    epochs: Count = 15
    """At most: training stops early."""
    patience: Count = 7
    """Epochs without a lower validation loss after which training stops."""
    validation_share: float = Field(default=0.3, gt=0, lt=1)
    """Share of the labelled people that are kept out of training."""
    batch: Count = 64
    lr: Positive = 0.01
    momentum: Fraction = 0.9
    weight_decay: float = Field(default=0.01, ge=0)
    plateau_patience: Natural = 3
    """Epochs without a lower validation loss that are borne before the rate falls."""
    plateau_factor: float = Field(default=0.1, gt=0, lt=1)
    """What the rate is multiplied with when it falls."""
    hidden: Count = 1000
    """Units of each head's inner layer."""
    dropout: float = Field(default=0.4, ge=0, lt=1)
    """Before both layers of each head."""
    max_rotation_deg: float = Field(default=10.0, ge=0, le=180)
    erase_share: Fraction = 0.5
    """Share of the training images that lose a rectangle."""
    precision: Precision = "auto"
