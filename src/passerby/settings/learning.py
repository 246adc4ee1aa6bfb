"""Sections about learning: encoder, starts, pretraining and its arms, finetuning, baselines."""

from typing import Literal

from pydantic import Field

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


class Arm(Section):
    """An entry of `arms`: one pretraining; what is given replaces the value in `pretrain`."""

    start: Name
    positives: Literal["view", "tracklet"] | None = None
    temperature: Positive | None = None
    queue: Count | None = None
    epochs: Count | None = None
    seed: int | None = None
    views: str | None = None


class Pretrain(Section):
    """Section `pretrain`: MoCo v2 (arXiv 2003.04297)."""

    seed: int = 0
    height_px: Count = 64
    width_px: Count = 32
    positives: Literal["view", "tracklet"] = "tracklet"
    views: Literal[
        "ori", "ori-cj", "ori-gs", "ori-gb", "ori+sre", "ori-cj+wre", "ori-cj+re", "ori-cj+sre",
        "ori-cj+ssre", "ori+wcj+sre", "ori+wwcj+sre", "moco", "mocov2", "reid",
    ] = "ori+sre"  # fmt: skip
    aspect: Literal["person", "source"] = "person"
    """`person`: crops keep the picture's own shape; `source`: torchvision's 3/4 to 4/3."""
    min_area: Fraction = 0.3
    epochs: Count = 30
    batch: Count = 128
    """Pairs in a step, over all processes."""
    queue: Count = 4096
    momentum: Fraction = 0.99
    temperature: Positive = 0.1
    dim: Count = 128
    mlp: bool = True
    bn_groups: Count = 4
    """Virtual sub-batches of BatchNorm, over all processes."""
    lr: Positive = 0.12
    """Learning rate for a batch of 256; the one used is `lr * batch / 256`."""
    warmup_steps: Natural = 100
    sgd_momentum: Fraction = 0.9
    weight_decay: float = Field(default=1e-4, ge=0)
    precision: Precision = "auto"
    checkpoint_s: Positive = 60.0
    """Seconds between two checkpoints in scratch; decides no result."""


class Finetune(Section):
    """Section `finetune`: fast-reid on a share of a benchmark's labels."""

    benchmark: Name
    recipe: Literal["bot"] = "bot"
    height_px: Count = 64
    width_px: Count = 32
    iterations: Count = 600
    iterations_per_epoch: Count = 100
    people_per_batch: Count = 16
    images_per_person: Count = 4
    lr: Positive = 3.5e-4
    weight_decay: float = Field(default=5e-4, ge=0)
    warmup_share: Fraction = 0.1
    """Share of the iterations in which the rate rises."""
    steps_share: tuple[Fraction, ...] = (0.6, 0.85)
    """Shares of the iterations after which the rate falls to a tenth."""
    margin: float = Field(default=0.3, ge=0)
    label_smoothing: Fraction = 0.1
    label_lists: str = ""
    """Folder with LUPerson's `few_ids` lists; without it identities are drawn by seed."""
    precision: Precision = "auto"


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
    batch: Count = 64
    lr: Positive = 1e-3
    dropout: Fraction = 0.4
    hidden: Count = 1000
    validation_share: Fraction = 0.2
    patience: Count = 7
    precision: Precision = "auto"
