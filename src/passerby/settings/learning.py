"""Sections about learning with labels: encoder, starts, finetuning, baselines."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from passerby.settings.section import (
    Channels,
    Count,
    Deviations,
    Fraction,
    Name,
    Natural,
    Positive,
    Section,
    fault,
    merged,
)

Precision = Literal["auto", "fp32", "bf16"]
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
"""Architectures of passerby's own; the others are fast-reid's, and can be finetuned only."""
Architecture = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet18-ibn",
    "resnet34-ibn",
    "resnet50-ibn",
    "resnet101-ibn",
    "resnest50",
    "resnest101",
    "vit-small",
    "vit-base",
]
RecipeName = Literal[
    "bot",
    "bot-ibn",
    "bot-s50",
    "bot-vit",
    "agw",
    "agw-ibn",
    "agw-s50",
    "sbs",
    "sbs-ibn",
    "sbs-s50",
    "mgn",
    "mgn-ibn",
    "mgn-luperson",
]
"""fast-reid's recipes for Market-1501, and the one of LUPerson's fork: `finetune.published`."""


class Encoder(Section):
    """Section `encoder`: the network that all branches share."""

    architecture: Architecture = "resnet18"
    """A ResNet can be pretrained; the others are fast-reid's own, and can be finetuned only."""
    last_stride: Literal[1, 2] = 1
    stem_pooling: Literal["torchvision", "fastreid"] = "torchvision"
    """`torchvision`: 3x3, stride 2, padding 1; `fastreid`: no padding, ceil mode."""
    mean: Channels = (0.485, 0.456, 0.406)
    """Of the input's channels, RGB, on the scale 0..1: ImageNet's."""
    deviation: Deviations = (0.229, 0.224, 0.225)


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


class Validation(Section):
    """Section `finetune.validation`: labelled people who are held out of training and scored."""

    folds: Natural = 0
    """Parts that the labelled people are dealt into; 0 holds nobody out."""
    fold: Natural = 0
    """The part that is held out, from 0."""
    every_epochs: Count = 1
    keep: Literal["best", "last"] = "last"
    """Whose weights the model has: those of the best validation mAP, or the last."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.folds == 1:
            raise fault("1 fold holds out everybody; 0 holds out nobody, 5 a fifth")
        if self.fold >= max(self.folds, 1):
            raise fault(f"there is no fold {self.fold} of {self.folds}; they count from 0")
        if self.keep == "best" and not self.folds:
            raise fault("keep 'best' needs people to score: give 'folds'")
        return self


class Finetune(Section):
    """Section `finetune`: fast-reid on a share of a benchmark's labels.

    Where a value is `null`, it is the published recipe's, the schedule as a share of the run.
    """

    benchmark: Name
    recipe: RecipeName = "bot"
    """Published settings by name; what stands below takes the place of theirs."""
    fastreid: dict[str, Any] = Field(default_factory=dict)
    """Any of fast-reid's own keys, as nested sections: `{SOLVER: {OPT: SGD}}`."""
    height_px: Count = 64
    width_px: Count = 32
    iterations: Count | None = None
    epochs: Count | None = None
    """Instead of `iterations`: passes over the labelled images, so more labels train longer."""
    iterations_per_epoch: Count | None = None
    """At an epoch's end the rate falls and validation looks; `null`: a pass over the images."""
    people_per_batch: int | None = Field(default=None, ge=2)
    images_per_person: int | None = Field(default=None, ge=2)
    lr: Positive | None = None
    loaded_lr_factor: Positive = 1.0
    """What the rate is multiplied with for tensors that came with the start, as against those that
    start afresh: heads, and what the start lacked. Few labels ruin a good start at the full rate.
    """
    weight_decay: float | None = Field(default=None, ge=0)
    warmup_share: Fraction | None = None
    """Share of the iterations in which the rate rises."""
    steps_share: tuple[Fraction, ...] | None = None
    """Shares of the iterations after which the rate falls to a tenth, at the nearest epoch end."""
    freeze_share: Fraction | None = None
    """Share of the iterations in which what came with the start is not trained."""
    average_share: Fraction = 0.0
    """Share of the iterations, the last ones, whose mean weights the model has; 0: the last."""
    validation: Validation = Validation()
    share_of: Literal["people", "images"] = "people"
    """What `branches.percents` are shares of: all images of some people, or some of everybody's."""
    label_lists: str = ""
    """Folder with LUPerson's `few_ids` (of people) or `few_ims` lists (of images); without it they
    are drawn by seed."""
    workers: Natural = 0
    """Processes that read and augment; they decide no bytes."""
    precision: Precision = "auto"
    checkpoint_s: Positive = 60.0
    """Seconds between two checkpoints in scratch; decides no result."""

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.iterations and self.epochs:
            raise fault("both 'iterations' and 'epochs' are given; one says how long it trains")
        each = self.iterations_per_epoch
        if self.iterations and each and self.iterations % each:
            raise fault(f"{self.iterations} iterations are no whole epochs of {each}")
        early = [share for share in self.steps_share or () if share < (self.warmup_share or 0)]
        if early:
            raise fault(
                f"steps_share {early[0]} lies before the end of the warm-up, {self.warmup_share}"
            )
        return self


class Crossvalidate(Section):
    """Section `crossvalidate`: recipes set side by side on labelled people who are held out."""

    folds: int = Field(default=5, ge=2)
    """Parts that the labelled people are dealt into; each is held out in turn."""
    percent: int = Field(default=10, ge=1, le=100)
    """Share of the labelled identities."""
    seed: int = 0


class Recipe(Section):
    """An entry of `recipes`: one way to finetune. What is given replaces `finetune`'s."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def of(self, finetune: Finetune) -> Finetune:
        """The settings of this way.

        Raises:
            ValidationError: it gives what `finetune` does not know, or a value that is none.
        """
        return Finetune.model_validate(merged(finetune.model_dump(), self.model_extra or {}))


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
