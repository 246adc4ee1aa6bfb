"""The format of backbone weights, `passerby.init/1`: starts and what pretraining makes.

A safetensors file with bare torchvision names, and a header (JSON under the key `passerby` of the
file's metadata) that says what the weights are and which of them started afresh.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import tensors, texts
from passerby.settings import Encoder
from passerby.settings.section import Channels, Section

FORMAT = "passerby.init/1"
# One key only: safetensors writes several in an order that changes from run to run.
_KEY = "passerby"


class InitHeader(Section):
    """What a file of backbone weights says of itself."""

    format: Literal["passerby.init/1"] = "passerby.init/1"
    architecture: str
    stem_pooling: str
    source: str
    """Where they came from: `random, seed 0`, `torchvision IMAGENET1K_V1`, `pretrain moco`."""
    mean: Channels
    """Of the input's channels, RGB, on the scale 0..1."""
    deviation: Channels
    fresh: tuple[str, ...] = ()
    """Names or shell patterns of tensors that the source lacked: they start at random, or at zero
    where so asked. After pretraining none is fresh."""
    title: str = ""
    """What a report calls this start."""

    @classmethod
    def of(
        cls, encoder: Encoder, source: str, fresh: tuple[str, ...] = (), title: str = ""
    ) -> "InitHeader":
        """The header of weights for `encoder`."""
        return cls(
            architecture=encoder.architecture,
            stem_pooling=encoder.stem_pooling,
            source=source,
            mean=encoder.mean,
            deviation=encoder.deviation,
            fresh=fresh,
            title=title,
        )


def write(path: str | Path, state: Mapping[str, Tensor], header: InitHeader) -> None:
    """Write weights and header whole; equal input gives equal bytes."""
    text = json.dumps(header.model_dump(mode="json"), sort_keys=True)
    with files.written_whole(path) as beside:
        save_file(plain(state), beside, metadata={_KEY: text})


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU in the usual memory order, which is all that safetensors takes."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def read(path: str | Path) -> tuple[dict[str, Tensor], InitHeader]:
    """Read weights and header.

    Raises:
        BadInput: the file is missing, is damaged, has no header or one of another version.
    """
    state, header = read_tensors(path)
    if header is None:
        raise BadInput(
            f"{path}: weights without passerby's header; {FORMAT} was wanted. "
            "Name the file under 'starts' with kind 'file': the stage 'initialise' converts it"
        )
    return state, header


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], InitHeader | None]:
    """Read any safetensors file; the header is `None` where it is not one of ours.

    Raises:
        BadInput: the file is missing or damaged, or its header is of another version.
    """
    state, metadata = tensors.safetensors(path, "make it anew")
    return state, _header(path, metadata[_KEY]) if _KEY in metadata else None


def _header(path: str | Path, text: str) -> InitHeader:
    """Parse the header's JSON."""
    values = texts.json_value(text, f"{path}: its header")
    found = values.get("format") if isinstance(values, dict) else values
    if found != FORMAT:
        raise BadInput(
            f"{path}: format {found!r}, wanted {FORMAT!r}; make it anew with 'dvc repro'"
        )
    try:
        return InitHeader.model_validate(values)
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(str(part) for part in detail["loc"])
        raise BadInput(f"{path}: its header's '{key}': {detail['msg']}; make it anew") from None


def require_fit(path: str | Path, header: InitHeader, encoder: Encoder) -> None:
    """Refuse weights that were made for another encoder than the settings ask for.

    Raises:
        BadInput: architecture, stem pooling, mean or deviation differ; all that do are listed.
    """
    differences = [
        f"{key} {_shown(found)} in the file, {_shown(wanted)} in 'encoder'"
        for key in ("architecture", "stem_pooling", "mean", "deviation")
        if (found := getattr(header, key)) != (wanted := getattr(encoder, key))
    ]
    if differences:
        raise BadInput(
            f"{path}: weights for another encoder: {'; '.join(differences)}. "
            "Make the settings agree, or make the weights anew"
        )


def _shown(value: object) -> str:
    return ", ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)
