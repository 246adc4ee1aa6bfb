"""Other people's networks as model artifacts: an ONNX file and what it wants to be fed.

A file that `export` wrote says that itself.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import require_file
from passerby.models import artifact, export
from passerby.models.artifact import Interpolation, ModelCard
from passerby.models.networks import OnnxNetwork, first_line
from passerby.settings import Encoder
from passerby.settings.section import Channels

USUAL: dict[str, Any] = {
    "height_px": 256,
    "width_px": 128,
    "mean": Encoder().mean,
    "deviation": Encoder().deviation,
    "distance": "cosine",
    "interpolation": "bilinear",
    "trained_on": "not known",
}
"""What is taken to hold where neither the caller nor the file says otherwise: ImageNet's."""

# Pictures come as (picture / 255 - mean) / deviation: with these two, as they are.
AS_THEY_ARE: dict[str, Channels] = {"mean": (0, 0, 0), "deviation": (1 / 255, 1 / 255, 1 / 255)}


def adopt(
    onnx_path: str | Path,
    folder: str | Path,
    height_px: int | None = None,
    width_px: int | None = None,
    mean: Channels | None = None,
    deviation: Channels | None = None,
    distance: Literal["cosine", "euclidean"] | None = None,
    title: str | None = None,
    trained_on: str | None = None,
    interpolation: Interpolation | None = None,
) -> ModelCard:
    """Make an ONNX file that takes pictures and gives features into a model artifact.

    The network is run on two grey pictures first: that shows that it takes this size, and how long
    its features are.

    Of a file that `export` wrote all is known, and only a title may be given beside it. For others,
    what is left out is taken from `USUAL`.

    Args:
        onnx_path: Network with one input `(B, 3, H, W)`; its first output is the features.
        folder: Where the artifact is written.
        height_px: Height that the network wants.
        width_px: Width that it wants.
        mean: Of the input's channels, RGB, on the scale 0..1.
        deviation: As `mean`.
        distance: By which its features are compared.
        title: What tables call it; the file's name by default.
        trained_on: What is known of its training data.
        interpolation: How its pictures are resized. It shows: rank-1 of an OSNet on Market-1501 was
            49.7 by OpenCV, 50.0 by Pillow; the mAP of another 74.9 bilinear, 74.4 bicubic.

    Raises:
        BadInput: the file is missing, is no network, does not take pictures of this size, or says
            something else of itself than the caller does.
    """
    path = Path(onnx_path)
    require_file(path)
    asked = {
        "height_px": height_px,
        "width_px": width_px,
        "mean": mean,
        "deviation": deviation,
        "distance": distance,
        "trained_on": trained_on,
        "interpolation": interpolation,
    }
    given = {key: value for key, value in asked.items() if value is not None}
    said = _said(path)
    if said:
        _require_agreement(path, said, given)
    names = {"title": path.stem, "architecture": path.stem}
    fields = {**names, **USUAL, **given, **said, **({"title": title} if title else {})}
    size = _embedding_size(path, ModelCard(kind="onnx", embedding_size=1, **fields))
    with files.written_whole(Path(folder) / artifact.ONNX_WEIGHTS) as beside:
        shutil.copyfile(path, beside)
    return artifact.write_card(folder, ModelCard(kind="onnx", embedding_size=size, **fields))


def _said(path: Path) -> dict[str, Any]:
    """The fields of the card that an exported file tells; none for other files."""
    statement = export.read_statement(path)
    if statement is None:
        return {}
    told = statement.model_dump(exclude={"format", "input", "weights"})
    hashes = {"exported": statement.weights} if statement.weights else {}
    return {**{k: v for k, v in told.items() if v}, **AS_THEY_ARE, "hashes": hashes}


def _require_agreement(path: Path, said: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse what contradicts the file: pictures would be fed otherwise than it wants them."""
    faults = [
        f"{key} {value}, the file says {said[key]}"
        for key, value in given.items()
        if key in said and not _agree(value, said[key])
    ]
    if faults:
        raise BadInput(
            f"{path}: exported by passerby, so it is known what it wants: found "
            f"{'; '.join(faults)}; leave that out"
        )


def _agree(given: Any, said: Any) -> bool:
    # Somebody's 0.00392 is 1/255.
    if isinstance(said, tuple):
        return bool(np.allclose(given, said, rtol=1e-3, atol=1e-6))
    return bool(given == said)


def _embedding_size(path: Path, card: ModelCard) -> int:
    """Length of the features of two pictures in the card's size."""
    grey = np.full((2, card.height_px, card.width_px, 3), 128, np.uint8)
    network = OnnxNetwork(path, card)
    try:
        return network(grey).shape[1]
    except Exception as error:  # each library has a family of its own
        raise BadInput(
            f"{path}: does not take two pictures of {card.height_px}x{card.width_px} px "
            f"({first_line(error)}); give the size it was made for, and a batch of any length"
        ) from None
