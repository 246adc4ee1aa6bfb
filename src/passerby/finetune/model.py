"""The model that finetuning leaves: passerby's own network where there is one, else an ONNX graph.

A ResNet with a BatchNorm neck is `passerby.models`' own; networks that fast-reid alone can build
(IBN, non-local, GeM, MGN, ResNeSt, ViT) become ONNX networks, which run without fast-reid.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from passerby import files
from passerby.errors import BadInput
from passerby.finetune.job import Job
from passerby.models import artifact, export
from passerby.models.artifact import ModelCard
from passerby.models.export import Statement
from passerby.models.init_file import InitHeader


def require_writable(folder: Path, model: nn.Module, job: Job, header: InitHeader) -> None:
    """Refuse, before it is trained, a network whose model could not be written after it.

    Args:
        folder: Scratch; what is written there for a trial is removed.
        model: fast-reid's as it starts, to be an ONNX network; it is put in eval mode on the CPU.
        job: What it is to be trained for.
        header: Of the weights that it starts from.

    Raises:
        BadInput: it cannot be an ONNX network (see `export.to_onnx`).
    """
    trial = files.empty_folder(folder / "trial")
    try:
        _write_onnx(trial, model.cpu().eval(), job, _about(job, header, {}))
    except BadInput as error:
        raise BadInput(f"{job.name}: no model could be written after training: {error}") from None
    shutil.rmtree(trial)


def write(
    folder: Path,
    model: nn.Module,
    cfg: Any,
    job: Job,
    header: InitHeader,
    scores: Mapping[str, float],
) -> ModelCard:
    """Write the artifact of a model in eval mode.

    Args:
        folder: Made if it is missing.
        model: fast-reid's, on the CPU.
        cfg: Its configuration.
        job: What it was trained for.
        header: Of the weights that it started from.
        scores: Of its weights on people who were held out, if there were any.

    Returns:
        The card of the model.
    """
    about = _about(job, header, scores)
    if is_plain(cfg):
        size = cfg.MODEL.BACKBONE.FEAT_DIM
        card = ModelCard.of(job.encoder, neck="bnneck", embedding_size=size, **about)
        return artifact.write(folder, plain_state(model), card)
    return _write_onnx(folder, model, job, about)


def _about(job: Job, header: InitHeader, scores: Mapping[str, float]) -> dict[str, Any]:
    """What a card says, whatever the network."""
    iteration = int(scores.get("iteration", job.schedule.iterations))
    metrics: dict[str, float] = {
        "people": len(job.people),
        "images": len(job.images),
        "iterations": iteration,
    }
    if scores:
        metrics |= {"held_out_people": len(job.held_out)}
        metrics |= {f"held_out_{name}": scores[name] for name in ("map", "rank_1")}
    return {
        "title": header.title or job.start,
        "height_px": job.plan.height_px,
        "width_px": job.plan.width_px,
        "distance": "cosine",
        "trained_on": job.benchmark.name,
        "init": job.start,
        "fresh": header.fresh,
        "percent": job.percent,
        "seed": job.seed,
        "hashes": {**job.hashes, "contract": files.fingerprint(job.settings_and_inputs())},
        "metrics": metrics,
    }


def is_plain(cfg: Any) -> bool:
    """Whether the network is one that `passerby.models` builds itself."""
    backbone, heads = cfg.MODEL.BACKBONE, cfg.MODEL.HEADS
    return (
        cfg.MODEL.META_ARCHITECTURE == "Baseline"
        and backbone.NAME == "build_resnet_backbone"
        and not (backbone.WITH_IBN or backbone.WITH_NL or backbone.WITH_SE)
        and (backbone.NORM, heads.NORM, heads.NAME) == ("BN", "BN", "EmbeddingHead")
        and heads.POOL_LAYER == "GlobalAvgPool"
        and heads.EMBEDDING_DIM == 0
    )


def plain_state(model: Any) -> dict[str, Tensor]:
    """A plain model's tensors as an artifact names them; the classifier stays behind.

    Args:
        model: `Baseline` with a BatchNorm neck and without an embedding layer.
    """
    state = {**model.backbone.state_dict()}
    neck = {f"neck.{name}": value for name, value in model.heads.bottleneck[0].state_dict().items()}
    assert len(state) + len(neck) + 1 == len(model.state_dict()), "a tensor was left behind"
    return {**state, **neck}


def _write_onnx(folder: Path, model: nn.Module, job: Job, about: dict[str, Any]) -> ModelCard:
    """The whole network as a graph that takes pictures in 0..255 and normalises them itself."""
    card = ModelCard(
        kind="onnx",
        architecture=f"{job.plan.recipe} {job.encoder.architecture}",
        mean=(0.0, 0.0, 0.0),
        deviation=(1 / 255, 1 / 255, 1 / 255),
        embedding_size=_size(model, about["height_px"], about["width_px"]),
        **about,
    )
    statement = Statement.of(card)
    export.to_onnx(model, statement, folder / artifact.ONNX_WEIGHTS)
    return artifact.write_card(folder, card)


def _size(model: nn.Module, height_px: int, width_px: int) -> int:
    """Length of the model's features."""
    with torch.inference_mode():
        return int(model(torch.zeros(1, 3, height_px, width_px)).shape[1])


def move(folder: Path, out: str | Path) -> ModelCard:
    """Put a finished model where it is wanted, in the place of what was there.

    Returns:
        Its card.
    """
    card = artifact.read_card(folder)
    files.put_folder(folder, out)
    return card
