"""Other people's networks as model artifacts: an ONNX file and what it wants to be fed.

A file that `export` wrote says that itself.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from passerby import files, onnx_file, places
from passerby.errors import BadInput
from passerby.foreign import require_utf8_name
from passerby.models import artifact, export, trial
from passerby.models.artifact import Interpolation, ModelCard
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

AS_THEY_ARE: dict[str, Channels] = dict(zip(("mean", "deviation"), export.PIXELS, strict=True))


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

    The file is copied, and the copy goes through its trial first (see `trial`): that shows that it
    takes this size, that it needs no other file, that a picture's features do not depend on the
    other pictures of its batch, and how many features there are.

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
        BadInput: `folder` cannot be written; the file is missing, is no network, does not pass its
            trial, or says something else of itself than the caller does. Nothing is written then.
    """
    path = Path(onnx_path)
    onnx_file.require_regular(path)
    places.require_folder(folder)
    require_utf8_name(folder)
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
    called = {"title": title} if title else {}
    with _removed_if_refused(Path(folder)):
        with files.written_whole(Path(folder) / artifact.ONNX_WEIGHTS) as beside:
            shutil.copyfile(path, beside)
            card = _card(beside, path, given, called)
        return artifact.write_card(folder, card)


@contextmanager
def _removed_if_refused(folder: Path) -> Iterator[None]:
    """Leave no empty folder where there was none, if a network is not adopted."""
    was_there = folder.exists()
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def _card(copied: Path, path: Path, given: dict[str, Any], called: dict[str, str]) -> ModelCard:
    """The card of a network that passes its trial.

    Args:
        copied: The file that is tried: what lies in the model's folder, and nothing else of it.
        path: Where it came from: what messages name.
        given: What the caller says of it.
        called: The title, if the caller gives one.
    """
    onnx_file.check(copied, str(path))
    said = _said(copied, path)
    if said:
        _require_agreement(path, said, given)
    names = {"title": path.stem, "architecture": path.stem}
    fields = {**names, **USUAL, **given, **said, **called}
    try:
        card = ModelCard(kind="onnx", embedding_size=1, **fields)
    except ValidationError as error:
        raise BadInput(f"{path}: cannot be adopted with that: {artifact.faults(error)}") from None
    size = trial.embedding_size(copied, card.size_px, card.mean, card.deviation, named=path)
    return card.model_copy(update={"embedding_size": size})


def _said(copied: Path, path: Path) -> dict[str, Any]:
    """The fields of the card that an exported file tells; none for other files."""
    statement = export.read_statement(copied, str(path))
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
