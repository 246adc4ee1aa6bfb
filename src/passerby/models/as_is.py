"""A start or a pretrained encoder as a model: its features as they are, without any label."""

from pathlib import Path

from passerby import files
from passerby.models import artifact, init_file
from passerby.models.artifact import ModelCard
from passerby.models.backbones import DIM
from passerby.settings import Encoder


def write(init: str | Path, encoder: Encoder, size: tuple[int, int], out: str | Path) -> ModelCard:
    """Write the model artifact of an init that nothing was trained on.

    Args:
        init: Weights, `data/init/NAME.safetensors`.
        encoder: The section `encoder`.
        size: Height and width in pixels that pictures are resized to.
        out: Folder of the artifact; emptied first.

    Raises:
        BadInput: weights for another encoder.
    """
    state, header = init_file.read(init)
    init_file.require_fit(init, header, encoder)
    name = Path(init).stem
    card = ModelCard.of(
        encoder,
        title=f"{header.title or name}, no label",
        height_px=size[0],
        width_px=size[1],
        embedding_size=DIM[encoder.architecture],
        distance="cosine",
        trained_on="nothing with labels",
        init=name,
        fresh=header.fresh,
        percent=0,
        seed=0,
        hashes={"init": files.sha256(init)},
    )
    return artifact.write(files.empty_folder(out), state, card)
