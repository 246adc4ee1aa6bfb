"""Networks as ONNX files that anybody can run, `passerby.onnx/1`, each checked before it is there.

Input `images`: `float32 (B, 3, H, W)`, RGB, 0..255, any B. The normalisation is in the graph: who
feeds pictures that lack it gets features that are nearly alike for all people, and no error
(fast-reid#421). Output `features`: `float32 (B, D)`, never normalised, as an `Embedder`'s. The
file's `metadata_props` are a `Statement`: what else is to be known.

Of torch's two exporters it is the older that works (`dynamo=False`): the newer needs onnxscript,
which nothing else here does. The older one may go; a torch without it fails in `_traced` at once.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from passerby import files, places, seeds
from passerby.errors import BadInput, listing
from passerby.foreign import first_line, require_utf8_name
from passerby.isolation import Run
from passerby.models import artifact, networks, onnx_run, trial
from passerby.models.artifact import Interpolation, ModelCard
from passerby.models.networks import ReidNet
from passerby.settings.section import Channels, Section, Side

FORMAT = "passerby.onnx/1"
OPSET = 17
"""Read by onnxruntime since 1.12 and by OpenCV 4.14; the first with LayerNorm as one node."""
TOLERANCE = 1e-4
"""Largest difference from torch that is let pass, as a share of the largest feature. Measured: at
most 6e-7 with ResNet-18 to ResNet-101, at 64x32 and 256x128, in both libraries; with fast-reid's
own networks at most 1e-6 by onnxruntime and 3e-6 by OpenCV."""
PIXELS: tuple[Channels, Channels] = ((0, 0, 0), (1 / 255, 1 / 255, 1 / 255))
"""Mean and deviation of pictures that are fed as they are: they come as
(picture / 255 - mean) / deviation."""
BATCHES = (1, 2, 5)
"""Lengths of the batches of a check: a network traced with one of them may have kept its length."""


class Statement(Section):
    """What an exported file says of itself."""

    format: Literal["passerby.onnx/1"] = "passerby.onnx/1"
    title: str = ""
    architecture: str
    height_px: Side
    width_px: Side
    input: Literal["RGB, 0..255, not normalised"] = "RGB, 0..255, not normalised"
    interpolation: Interpolation
    """How pictures are resized to that size; see `ModelCard`."""
    distance: Literal["cosine", "euclidean"]
    trained_on: str = ""
    weights: str = ""
    """SHA-256 of the weights' file that the network was made of, where there is one."""

    @classmethod
    def of(cls, card: ModelCard) -> "Statement":
        """What the export of a model says."""
        keys = cls.model_fields.keys() & ModelCard.model_fields.keys() - {"format"}
        return cls(
            weights=card.hashes.get("weights", ""), **{key: getattr(card, key) for key in keys}
        )


@dataclass(frozen=True)
class Checked:
    """How far a written file's features are from torch's.

    Attributes:
        differences: Of each library that ran it, the largest as a share of the largest feature.
        unreadable: Of each library that could not run it, what it said.
    """

    differences: dict[str, float]
    unreadable: dict[str, str]

    def __str__(self) -> str:
        """The figures on one line.

        Example:
            >>> str(Checked({"onnxruntime": 2.5e-7, "OpenCV": 4e-7}, {}))
            'largest difference from torch: 2.5e-07 by onnxruntime, 4.0e-07 by OpenCV'
        """
        shown = ", ".join(f"{value:.1e} by {name}" for name, value in self.differences.items())
        lost = [f"; not run by {name} ({says})" for name, says in self.unreadable.items()]
        return f"largest difference from torch: {shown or 'not measured'}{''.join(lost)}"


class FromPixels(nn.Module):
    """A network and its normalisation.

    Args:
        network: From normalised pictures `(B, 3, H, W)` to features.
        mean: Of the input's channels, RGB, on the scale 0..1.
        deviation: As `mean`.

    Shape:
        input: `(B, 3, H, W)`, RGB, 0..255; output: the network's.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Channels, deviation: Channels) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).mul(255).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).mul(255).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        features: Tensor = self.network((images - self.mean) / self.deviation)
        return features


def export(model: str | Path, out: str | Path) -> tuple[ModelCard, Checked]:
    """Write a model artifact as an ONNX file; equal models give equal bytes.

    Args:
        model: Folder of a model of kind `resnet`.
        out: The file, `*.onnx`.

    Returns:
        The model's card, and what the check of the file measured.

    Raises:
        BadInput: the folder holds no finished model, or one that is an ONNX file already; `out`
            is no name of an ONNX file; or the written file does not do what the model does.
    """
    card = artifact.read_card(model)
    if card.kind == "onnx":
        raise BadInput(
            f"{model}: an ONNX network already; take {Path(model) / card.weights}, "
            f"and normalise pictures by mean {card.mean} and deviation {card.deviation}"
        )
    state, card = artifact.read(model)
    net = ReidNet(card)
    try:
        net.load(state)
    except BadInput as error:
        raise BadInput(f"{Path(model) / card.weights}: {error}") from None
    whole = FromPixels(networks.fused(net.eval()), card.mean, card.deviation)
    return card, to_onnx(whole, Statement.of(card), out)


def to_onnx(module: nn.Module, statement: Statement, out: str | Path) -> Checked:
    """Write any network as an ONNX file that says `statement`, if a check of it passes.

    Args:
        module: On the CPU; takes `float32 (B, 3, H, W)` RGB in 0..255 (see `FromPixels`) and gives
            features `(B, D)`. It is put in eval mode.
        statement: Its size is the size that the file takes.
        out: The file, `*.onnx`. A file that was there stays if anything fails.

    Returns:
        What the check measured.

    Raises:
        BadInput: `out` is no name of an ONNX file, the network has an operation that ONNX lacks,
            the check failed (see `check`), or the trial did (see `trial`): the network mixes the
            pictures of a batch.
    """
    if Path(out).suffix != ".onnx" or Path(out).is_dir():
        raise BadInput(f"{out}: a file was wanted whose name ends in .onnx")
    places.require_file(out)
    require_utf8_name(out)
    height_px, width_px = statement.height_px, statement.width_px
    try:
        written = _traced(module.eval(), height_px, width_px)
    except RuntimeError as error:
        raise BadInput(f"{out}: cannot be written as ONNX: {first_line(error)}") from None
    _onnx().helper.set_model_props(written, {k: str(v) for k, v in statement.model_dump().items()})
    with files.written_whole(out) as beside:
        beside.write_bytes(written.SerializeToString(deterministic=True))
        checked = _require_close(out, measured(beside, module, height_px, width_px))
        # What could not be loaded after a training is refused before it.
        trial.embedding_size(beside, (height_px, width_px), *PIXELS, named=out)
        return checked


def check(
    path: str | Path, network: Callable[[Tensor], Tensor], height_px: int, width_px: int
) -> Checked:
    """Run an ONNX file on random pictures, in every library at hand, and compare with torch.

    Args:
        path: The file.
        network: What it was made of: `float32 (B, 3, H, W)` in 0..255 -> `(B, D)`.
        height_px: Of the pictures.
        width_px: Of the pictures.

    Raises:
        BadInput: features differ by more than `TOLERANCE`; or no library runs the file. OpenCV
            reads fewer networks than onnxruntime: where both are at hand it need not run it.
    """
    return _require_close(path, measured(path, network, height_px, width_px))


def measured(
    path: str | Path, network: Callable[[Tensor], Tensor], height_px: int, width_px: int
) -> Checked:
    """As `check`, but refuses nothing."""
    wanted = []
    with torch.inference_mode():
        for length in BATCHES:
            rng = seeds.stream(0, "export", length)
            batch = rng.integers(0, 256, (length, 3, height_px, width_px)).astype(np.float32)
            wanted.append((batch, network(torch.from_numpy(batch)).numpy()))
    differences, unreadable = {}, {}
    for name, read in onnx_run.libraries().items():
        try:
            run = read(Path(path))
            differences[name] = max(_difference(run, *pair) for pair in wanted)
        except Exception as error:  # each library has a family of its own
            unreadable[name] = first_line(error)
    return Checked(differences, unreadable)


def _difference(run: Run, batch: np.ndarray, wanted: np.ndarray) -> float:
    """The largest, as a share of the largest feature; infinite where they cannot be compared."""
    found = run(batch)
    if found.shape != wanted.shape or not (np.isfinite(found) & np.isfinite(wanted)).all():
        return float("inf")
    scale = max(float(np.abs(wanted).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(found - wanted).max()) / scale


def _require_close(path: str | Path, found: Checked) -> Checked:
    first = next(iter(onnx_run.libraries()))
    if first in found.unreadable:
        raise BadInput(
            f"{path}: {first} cannot run what was written in batches of {listing(BATCHES)} "
            f"({found.unreadable[first]})"
        )
    for name, difference in found.differences.items():
        if difference > TOLERANCE:
            raise BadInput(
                f"{path}: by {name} features differ from torch's by {difference:.1e} of the "
                f"largest, wanted at most {TOLERANCE:g}; the network does something that its trace "
                "does not hold (chance, a count of calls, a branch on values) or mixes the "
                "pictures of a batch: take that out; or "
                "makes much of the last digits (an instance norm of few places): larger pictures"
            )
    return found


def _traced(module: nn.Module, height_px: int, width_px: int) -> Any:
    """The graph (`ModelProto`) of a network for pictures of one size, in batches of any length."""
    onnx = _onnx()
    # Two pictures: with one, shapes that are 1 by chance could be taken for fixed.
    example = torch.zeros(2, 3, height_px, width_px)
    written = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # That it is the older exporter; that a trace holds one example's way through the network,
        # and that InstanceNorms use the picture's own statistics: the check would show it.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "ONNX export mode is set to", UserWarning)
        torch.onnx.export(
            module,
            (example,),
            written,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["features"],
            dynamic_axes={"images": {0: "B"}, "features": {0: "B"}},
        )
    return onnx.load_model_from_string(written.getvalue())


def _onnx() -> ModuleType:
    """Import the package onnx, which is needed only where an ONNX file is written or read.

    Raises:
        BadInput: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise BadInput("ONNX files need the package onnx: pip install onnx") from None
    return onnx


def read_statement(path: str | Path, named: str = "") -> Statement | None:
    """What an ONNX file says of itself, or `None` if it was not exported here.

    Args:
        path: The file.
        named: What messages call it; its path by default.

    Raises:
        BadInput: it is of another version, or what it says has faults.
    """
    onnx = _onnx()
    try:
        properties = onnx.load(path, load_external_data=False).metadata_props
    except Exception:  # protobuf's families change from version to version
        return None  # no ONNX file: the libraries that run it say so better
    said = {each.key: each.value for each in properties}
    found = said.get("format", "")
    if not found.startswith("passerby."):
        return None
    if found != FORMAT:
        raise BadInput(
            f"{named or path}: format {found!r}, wanted {FORMAT!r}; export the model anew"
        )
    try:
        return Statement.model_validate(said)
    except ValidationError as error:
        raise BadInput(
            f"{named or path}: {artifact.faults(error)}; export the model anew"
        ) from None
