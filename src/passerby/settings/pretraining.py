"""Sections about pretraining: `pretrain`, what it nests, and its `arms`."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from passerby.settings.learning import Precision
from passerby.settings.section import (
    Count,
    Fraction,
    Name,
    Natural,
    Positive,
    Section,
    fault,
    merged,
)

LISTS = ("mocov2", "moco", "reid")
"""Augmentation lists with a name of their own; the others are spelled as `ORI` says."""
ORI = re.compile(r"ori(-cj)?(-gs)?(-gb)?(\+w?wcj)?(\+(?:w|s|ss)?re)?")
VIEWS_WANTED = f"{', '.join(LISTS)} or ori[-cj][-gs][-gb][+wcj|+wwcj][+wre|+re|+sre|+ssre]"


def _known_views(name: str) -> str:
    if name not in LISTS and not ORI.fullmatch(name):
        raise fault(f"no list of augmentations is called '{name}'; known: {VIEWS_WANTED}")
    return name


class Mining(Section):
    """`pretrain.mining`: what positives of the kind `mined` add to tracklets."""

    from_epoch: Natural = 10
    """The first epoch, from 0, at whose start pairs are mined; before it there are tracklets."""
    every_epochs: Count = 3
    per_camera: bool = True
    """Whether features lose the mean and deviation of their camera before they are compared."""
    neighbours: Count = 5
    """Both tracks of a pair are among so many nearest ones of the other, of all other cameras'."""
    min_similarity: float = Field(default=0.5, ge=-1, le=1)
    """Least cosine of the mean features of two tracks that become a pair."""
    min_common: Natural = 0
    """Tracks that are partners of both tracks of a pair, at least; from 1 on it takes as many
    cameras more than two."""
    share: Fraction = 0.6
    """Share of the draws of a track with partners whose key is a partner's."""


class Monitor(Section):
    """`pretrain.monitor`: the encoder as a re-ID model on training identities; chooses nothing."""

    benchmark: Name
    every_epochs: Natural = 1
    """Epochs between two looks; the last epoch has one too. 0: none at all."""
    people: int = Field(default=30, ge=2)
    """Training identities of the benchmark that it is scored on."""
    seed: int = 0
    """Draws them."""
    hold_out: bool = False
    """Whether pretraining leaves out the images of these people: so settings are chosen."""


class Pretrain(Section):
    """Section `pretrain`: MoCo v2 (arXiv 2003.04297)."""

    seed: int = 0
    height_px: Count = 64
    width_px: Count = 32
    positives: Literal["view", "tracklet", "mined"] = "tracklet"
    min_gap_frames: Natural = 0
    """Least distance in time between the two crops of a tracklet pair."""
    mask_positives: bool = True
    """Whether keys of the query's own track (and of its mined partners) are no negatives."""
    negatives: Literal["all", "camera"] = "all"
    """`camera`: only keys that the camera of the query's own key saw: what the pictures of a camera
    have in common then tells no key. Takes tracks, and many people a camera."""
    mining: Mining = Mining()
    views: Annotated[str, AfterValidator(_known_views)] = "ori+sre"
    """List of augmentations, by LUPerson's and MoCo's names."""
    aspect: Literal["person", "source"] = "person"
    """`person`: cuts keep the picture's own shape; `source`: torchvision's 3/4 to 4/3."""
    min_area: Fraction = 0.3
    epochs: Count = 30
    batch: Count = 128
    """Pairs in a step, over all processes."""
    queue: Count = 4096
    momentum: Fraction = 0.99
    """Of the key encoder, at the first step."""
    momentum_end: Fraction | None = None
    """At the last step, reached along half a cosine (MoCo v3); null: as at the first."""
    temperature: Positive = 0.1
    dim: Count = 128
    mlp: bool = True
    symmetric: bool = False
    """Whether each view is query and key in turn; twice the work of a step. The loss is the mean of
    both ways; MoCo v3's authors take their sum, which has twice the gradient."""
    bn_groups: Count = Field(default=4, validate_default=True)
    """Virtual sub-batches of BatchNorm, over all processes."""
    optimiser: Literal["sgd", "lars"] = "sgd"
    lr: Positive = 0.12
    """Learning rate for a batch of 256; the one used is `lr * batch / 256`."""
    schedule: Literal["cosine", "step"] = "cosine"
    steps_share: tuple[Fraction, ...] = (0.6, 0.8)
    """Of `step`: shares of the run after which the rate falls to a tenth, as MoCo v1's."""
    warmup_steps: Natural = 100
    sgd_momentum: Fraction = 0.9
    """Of the optimiser, whichever it is."""
    weight_decay: float = Field(default=1e-4, ge=0)
    monitor: Monitor
    feed: Literal["auto", "resident", "streaming"] = "auto"
    """`resident`: decoded once, in memory; `streaming`: decoded at each use. Equal bytes."""
    resident_scale: Positive = 2.0
    """Crops are decoded to this multiple of the view's size."""
    compile: bool = False
    """Whether torch.compile fuses the encoders; needs a C++ compiler on a CPU."""
    precision: Precision = "auto"
    checkpoint_s: Positive = 60.0
    """Seconds between two checkpoints in scratch; decides no result."""

    @field_validator("bn_groups")
    @classmethod
    def _groups_divide(cls, bn_groups: int, info: ValidationInfo) -> int:
        batch = info.data.get("batch", bn_groups)  # a batch with a fault of its own is not there
        if batch % bn_groups:
            raise fault(f"{bn_groups} groups do not divide a batch of {batch}")
        return bn_groups


class Arm(Section):
    """An entry of `arms`: one pretraining. Beside `start`, what is given replaces `pretrain`'s."""

    model_config = ConfigDict(extra="allow", frozen=True)

    start: Name

    def of(self, pretrain: Pretrain) -> Pretrain:
        """The settings of this arm.

        Raises:
            ValidationError: it gives what `pretrain` does not know, or a value that is none.
        """
        return Pretrain.model_validate(merged(pretrain.model_dump(), self.given()))

    def given(self) -> dict[str, Any]:
        """What it replaces."""
        return self.model_extra or {}
