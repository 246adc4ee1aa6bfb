"""Other people's networks as model artifacts: an ONNX file and what it wants to be fed."""

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from passerby import files
from passerby.errors import BadInput
from passerby.models import artifact
from passerby.models.artifact import Interpolation, ModelCard
from passerby.models.networks import OnnxNetwork, first_line
from passerby.settings.section import Channels


def adopt(
    onnx_path: str | Path,
    folder: str | Path,
    height_px: int,
    width_px: int,
    mean: Channels,
    deviation: Channels,
    distance: Literal["cosine", "euclidean"],
    title: str,
    trained_on: str = "not known",
    interpolation: Interpolation = "bilinear",
) -> ModelCard:
    """Make an ONNX file that takes pictures and gives features into a model artifact.

    The network is run on two grey pictures first: that shows that it takes this size, and how long
    its features are.

    Args:
        onnx_path: Network with one input `(B, 3, H, W)`; its first output is the features.
        folder: Where the artifact is written.
        height_px: Height that the network wants.
        width_px: Width that it wants.
        mean: Of the input's channels, RGB, on the scale 0..1.
        deviation: As `mean`.
        distance: By which its features are compared.
        title: What tables call it.
        trained_on: What is known of its training data.
        interpolation: How its pictures are resized. It shows: rank-1 of an OSNet on Market-1501 was
            49.7 by OpenCV, 50.0 by Pillow; the mAP of another 74.9 bilinear, 74.4 bicubic.

    Raises:
        BadInput: the file is missing, is no network, or does not take pictures of this size.
    """
    if not Path(onnx_path).is_file():
        raise BadInput(f"{onnx_path}: no such file")
    fields: dict[str, Any] = {
        "kind": "onnx",
        "title": title,
        "architecture": Path(onnx_path).stem,
        "height_px": height_px,
        "width_px": width_px,
        "mean": mean,
        "deviation": deviation,
        "interpolation": interpolation,
        "distance": distance,
        "trained_on": trained_on,
    }
    size = _embedding_size(Path(onnx_path), ModelCard(**fields, embedding_size=1))
    with files.written_whole(Path(folder) / artifact.ONNX_WEIGHTS) as beside:
        shutil.copyfile(onnx_path, beside)
    return artifact.write_card(folder, ModelCard(**fields, embedding_size=size))


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
