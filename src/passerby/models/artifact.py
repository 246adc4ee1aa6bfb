"""The model artifact, `passerby.model/1`: a folder that holds all that embedding pictures needs.

`model.yaml`, the card, says what the network is, what it wants to be fed and where it came from.
Beside it lie `weights.safetensors` (a backbone under bare torchvision names and, with a neck,
`neck.*`), or `weights.onnx` for a network of other people's. The card is written last and holds the
hash of the weights: a folder without it is unfinished, and one with other weights is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from safetensors.torch import save_file
from torch import Tensor

from passerby import files
from passerby.errors import BadInput, listing
from passerby.foreign import exists, require_file, yamls
from passerby.models import init_file
from passerby.settings import Encoder
from passerby.settings.section import Channels, Count, Deviations, Section, Side

FORMAT = "passerby.model/1"
CARD = "model.yaml"
WEIGHTS = "weights.safetensors"
ONNX_WEIGHTS = "weights.onnx"
FILES = (CARD, WEIGHTS, ONNX_WEIGHTS)

Interpolation = Literal["bicubic", "bilinear", "opencv-bilinear"]


class ModelCard(Section):
    """What a model says of itself (`model.yaml`)."""

    format: Literal["passerby.model/1"] = "passerby.model/1"
    title: str = ""
    kind: Literal["resnet", "onnx"] = "resnet"
    architecture: str
    last_stride: Literal[1, 2] | None = None
    stem_pooling: Literal["torchvision", "fastreid"] | None = None
    height_px: Side
    width_px: Side
    mean: Channels
    """Of the input's channels, RGB, on the scale 0..1."""
    deviation: Deviations
    interpolation: Interpolation = "bicubic"
    """How pictures are resized: `bicubic` by Pillow as in fast-reid, `bilinear` by Pillow as in
    torchvision and torchreid, `opencv-bilinear` as most programs that feed ONNX networks do it."""
    embedding_size: Count
    neck: Literal["bnneck", "none"] = "none"
    """`bnneck`: a BatchNorm of the pooled features, whose output is what is compared."""
    distance: Literal["cosine", "euclidean"]
    """By which features are to be compared; they are never normalised themselves."""
    trained_on: str
    """Benchmark, or a description for other people's networks."""
    init: str = ""
    fresh: tuple[str, ...] = ()
    """Tensors that the file lacked from which the start was made."""
    percent: int | None = None
    """Share of the labelled identities that training saw."""
    seed: int | None = None
    thresholds: dict[str, Any] = Field(default_factory=dict)
    """Distance to accept at, by FAR, and the set that it was chosen on."""
    hashes: dict[str, str] = Field(default_factory=dict)
    """`weights`: SHA-256 of the weights' file, filled in when it is written; others as given."""
    metrics: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _resnet_is_described(self) -> Self:
        if self.kind == "resnet":
            self.encoder()
        return self

    def encoder(self) -> Encoder:
        """The backbone's settings, for `backbones.build`."""
        keys = ("architecture", "last_stride", "stem_pooling", "mean", "deviation")
        return Encoder.model_validate({key: getattr(self, key) for key in keys})

    @classmethod
    def of(cls, encoder: Encoder, **rest: Any) -> "ModelCard":
        """The card of a model on `encoder`'s backbone; `rest` are the other fields."""
        return cls(**encoder.model_dump(), **rest)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the pictures that the network takes."""
        return self.height_px, self.width_px

    @property
    def weights(self) -> str:
        """Name of the weights' file."""
        return WEIGHTS if self.kind == "resnet" else ONNX_WEIGHTS


def write(folder: str | Path, state: Mapping[str, Tensor], card: ModelCard) -> ModelCard:
    """Write a model's weights, then its card; equal input gives equal bytes.

    Args:
        folder: Made if it is missing; other files in it stay.
        state: The backbone under bare names and, with a neck, `neck.*`.
        card: What the model is; the weights' hash is filled in.

    Returns:
        The card as written.
    """
    with files.written_whole(Path(folder) / WEIGHTS) as beside:
        save_file(init_file.plain(state), beside)
    return write_card(folder, card)


def write_card(folder: str | Path, card: ModelCard) -> ModelCard:
    """Write the card beside the weights that lie in `folder` already."""
    hashes = {**card.hashes, "weights": files.sha256(Path(folder) / card.weights)}
    whole = card.model_copy(update={"hashes": hashes})
    values = whole.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None)
    files.write_text(Path(folder) / CARD, text)
    return whole


def read_card(folder: str | Path) -> ModelCard:
    """Read what a model says of itself.

    Raises:
        BadInput: there is no card, it is of another version, or it has faults (all are listed).
    """
    path = Path(folder) / CARD
    if not exists(path):
        raise BadInput(
            f"{folder}: no {CARD} in it, so it is no finished model; make it with "
            "'dvc repro', or adopt an ONNX file"
        )
    values = yamls.read(path)
    found = values.get("format") if isinstance(values, dict) else values
    if found != FORMAT:
        raise BadInput(f"{path}: format {found!r}, wanted {FORMAT!r}; make the model anew")
    try:
        return ModelCard.model_validate(values)
    except ValidationError as error:
        raise BadInput(f"{path}: {faults(error)}") from None


def faults(error: ValidationError) -> str:
    """What is wrong with the fields of a card, or of another section."""
    places = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
    return "; ".join(f"{place}: {what}" if place else what for place, what in places)


def read(folder: str | Path) -> tuple[dict[str, Tensor], ModelCard]:
    """Read a model's weights and card.

    Raises:
        BadInput: as `read_card`; or the weights are missing or not those of the card; or the model
            is an ONNX network, which has no tensors to hand out.
    """
    card = read_card(folder)
    path = checked_weights(folder, card)
    if card.kind == "onnx":
        raise BadInput(f"{path}: an ONNX network can be run, but not taken apart or trained")
    return init_file.read_tensors(path)[0], card


def checked_weights(folder: str | Path, card: ModelCard) -> Path:
    """Path of the weights, which are those that the card was written for.

    Raises:
        BadInput: the file is missing, or its hash is another one.
    """
    path = Path(folder) / card.weights
    held = sorted(p.name for p in Path(folder).iterdir())
    require_file(path, f"the folder holds {listing(held)}")
    found, wanted = files.sha256(path), card.hashes.get("weights", "")
    if found != wanted:
        raise BadInput(
            f"{path}: SHA-256 {found}, but {CARD} was written for {wanted or 'none'}: "
            "the two do not belong together; copy the whole folder again"
        )
    return path
