"""Pretraining, passerby's against the published way: same pictures, model, batch and views.

    python benchmarks/pretraining.py [--quick] [--crops data/crops.lmdb]

`benchmarks/README.md` says what is compared and what the figures mean.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from pydantic import ValidationError

import _measure
import _pictures
import _record
import _rivals
from _rivals import KINDS, Rival
from passerby import errors
from passerby.errors import BadInput
from passerby.models.backbones import DIM
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.recipes import recipe
from passerby.progress import Progress
from passerby.settings import Encoder, Monitor, Pretrain
from passerby.training import precision
from passerby.training.processes import Group

NAME = "pretraining"
QUICK = {"height": 64, "width": 32, "batch": 32, "images": 256, "rounds": 2, "seconds": 0.4}
PACKAGES = ("torch", "torchvision", "numpy", "pillow", "opencv-python-headless", "passerby")
RIVALS = {
    "a": "published",
    "a_same_precision": "published, our number format",
    "b": "passerby",
}
TITLES = {"joint": "end to end", "loader": "batches alone", "model": "training alone"}
RATIOS = {
    "end_to_end": ("joint", "a"),
    "end_to_end_same_precision": ("joint", "a_same_precision"),
    "feed": ("loader", "a"),
}
"""What is kept: kind of work, and which rival's cost stands over ours."""


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--crops", help="a crop store; without it pictures are drawn")
    add("--images", type=int, default=2048, help="most pictures (2048)")
    add("--height", type=int, default=128, help="of the views in pixels (128)")
    add("--width", type=int, default=64, help="(64)")
    add("--architecture", choices=sorted(DIM), default="resnet18")
    add("--last-stride", type=int, choices=[1, 2], default=2)
    add("--batch", type=int, default=128, help="pairs in a step (128)")
    add("--queue", type=int, default=4096, help="(4096)")
    add("--views", default="ori+sre", help="list of augmentations (ori+sre)")
    add("--compile", action="store_true", help="torch.compile for passerby's encoders")
    add("--seconds", type=float, default=6.0, help="of each measurement at least (6)")
    return _record.arguments(parser, words, NAME, QUICK)


def settings(asked: argparse.Namespace) -> tuple[Pretrain, Encoder]:
    """An ordinary run's settings, with the published cut of the views for all.

    Raises:
        BadInput: a size that is none, a list of augmentations that nobody knows, or one that cuts
            bodies, which torchvision's RandomResizedCrop does not.
    """
    try:
        arm = Pretrain(
            height_px=asked.height,
            width_px=asked.width,
            batch=asked.batch,
            queue=asked.queue,
            views=asked.views,
            positives="view",
            aspect="source",
            min_area=0.2,
            bn_groups=4,
            mask_positives=True,
            compile=asked.compile,
            monitor=Monitor(benchmark="none", every_epochs=0),
        )
    except ValidationError as error:
        raise BadInput("; ".join(fault["msg"] for fault in error.errors())) from None
    if recipe(asked.views).body:
        raise BadInput(f"--views {asked.views}: this list is not compared; give 'mocov2' or an ori")
    encoder = Encoder(architecture=asked.architecture, last_stride=asked.last_stride)
    return arm, encoder


def device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def alone(where: torch.device) -> Iterator[Group]:
    """A group of this process alone."""
    gpu = where if where.type == "cuda" else None
    backend = "nccl" if gpu else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, device_id=gpu)
    yield Group(0, 1, where)
    time.sleep(0.05)  # gloo's threads let go of their last tensors, for which they need the GIL
    dist.destroy_process_group()


def pictures(asked: argparse.Namespace, folder: Path) -> tuple[CropSet, str]:
    """The crops, and in words which they are."""
    if asked.crops:
        crops = _pictures.chosen(Path(asked.crops), asked.images)
        return crops, f"{len(crops):,} of the {len(crops.store):,} crops of {crops.store.path.name}"
    _pictures.draw(folder / "drawn.lmdb", asked.images)
    size = f"{_pictures.HEIGHT_PX}x{_pictures.WIDTH_PX}"
    told = f"{asked.images:,} drawn, {size}, smooth with noise, JPEG {_pictures.JPEG_QUALITY}"
    return _pictures.chosen(folder / "drawn.lmdb", asked.images), told


@contextlib.contextmanager
def rivals(
    crops: CropSet, folder: Path, arm: Pretrain, encoder: Encoder, cores: int
) -> Iterator[dict[str, Rival]]:
    """All rivals, ready to be timed; the published way's two share their workers."""
    where = device()
    torch.set_num_threads(cores)
    torch.backends.cudnn.benchmark = True  # as in main_moco.py and in passerby.pretrain.main
    torch.manual_seed(0)
    paths = _pictures.write_files(crops, folder / "files")
    batches = _rivals.published_batches(paths, arm, encoder, cores, where)
    next(batches)  # the workers are forked before this process has threads of its own
    first, same = _number_formats(where)
    with alone(where) as group:
        yield {
            "a": _built(lambda: _rivals.published(batches, arm, encoder, cores, where, first)),
            "a_same_precision": _built(
                lambda: _rivals.published(batches, arm, encoder, cores, where, same)
            ),
            "b": _built(lambda: _rivals.ours(crops, arm, encoder, group, cores, same)),
        }
        batches.close()  # type: ignore[attr-defined]


def _number_formats(where: torch.device) -> tuple[str, str]:
    """The published one, and ours."""
    return "fp16" if where.type == "cuda" else "fp32", precision.decide("auto", where.type)


def _built(make: Callable[[], Rival]) -> Rival:
    """A rival; on a GPU after some steps that show how much memory it takes beside the others."""
    if not torch.cuda.is_available():
        return make()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    rival = make()
    for _ in range(3):
        rival.train(next(rival.batches))
    torch.cuda.synchronize()
    rival.peak_mb = (torch.cuda.max_memory_allocated() - before) / 1e6
    return rival


def measured(
    compared: Mapping[str, Rival], asked: argparse.Namespace
) -> dict[tuple[str, str], list[float]]:
    """Pairs per second of each rival and kind in every round."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    keys = [(name, kind) for kind in KINDS for name in compared]
    total = (asked.rounds + 1) * len(keys)
    with Progress("measure", total, "measurements") as progress:

        def task(name: str, kind: str) -> float:
            found = compared[name].timed(kind, asked.batch, asked.seconds, wait)
            progress.step(1, f"{name} {kind} {found:,.1f} pairs/s")
            return found

        tasks = {key: lambda key=key: task(*key) for key in keys}
        return _measure.alternate(tasks, asked.rounds)


def summary(
    compared: Mapping[str, Rival], found: Mapping[tuple[str, str], list[float]]
) -> dict[str, Any]:
    """The figures as they are kept, but for how they came about."""
    rates = {n: {k: _measure.spread(found[n, k]) for k in KINDS} for n in compared}
    ratios = {
        what: _measure.ratio(found["b", kind], found[rival, kind])
        for what, (kind, rival) in RATIOS.items()
    }
    return {
        "what": "pretraining: MoCo on person crops, pairs per second",
        "ratios": {what: ratio["median"] for what, ratio in ratios.items()},
        "ratios_iqr": {what: ratio["iqr"] for what, ratio in ratios.items()},
        "rates": rates,
        "each_round": {n: {k: found[n, k] for k in KINDS} for n in compared},
        "share_of_harmonic": {name: _share_of_harmonic(rates[name]) for name in compared},
        "gpu": _on_gpu(compared, rates),
        "rivals": {
            name: {"title": RIVALS[name], "what": r.what, "number_format": r.number_format}
            for name, r in compared.items()
        },
    }


def _share_of_harmonic(rates: Mapping[str, Mapping[str, float]]) -> float:
    """End to end over what the two parts would give one after the other; above 1 they overlap."""
    loader, model, joint = (rates[kind]["median"] for kind in KINDS)
    return joint / _measure.harmonic(loader, model)


def _on_gpu(compared: Mapping[str, Rival], rates: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is told of a GPU alone."""
    if not torch.cuda.is_available():
        return None
    ours = rates["b"]
    return {
        "views_share_of_step": ours["joint"]["median"] / ours["loader"]["median"],
        "peak_memory_mb": {name: rival.peak_mb for name, rival in compared.items()},
    }


def circumstances(
    asked: argparse.Namespace, arm: Pretrain, encoder: Encoder, told: str
) -> dict[str, Any]:
    """How the figures came about."""
    names = ("quick", "rounds", "seconds", "cores", "images")
    own = {name: getattr(asked, name) for name in names}
    return {
        "settings": {
            **own,
            "pictures": told,
            "published_workers": asked.cores,
            "pretrain": arm.model_dump(mode="json", exclude={"monitor", "mining"}),
            "encoder": encoder.model_dump(mode="json"),
        },
        **_record.circumstances(PACKAGES),
    }


def show(result: Mapping[str, Any]) -> str:
    """The result as tables in Markdown."""
    head = ["pairs/s, median ± IQR", *TITLES.values(), "share of harmonic"]
    rows = []
    for name, rival in result["rivals"].items():
        figures = [_record.told(result["rates"][name][kind]) for kind in TITLES]
        share = f"{result['share_of_harmonic'][name]:.2f}"
        rows.append([f"({name}) {rival['title']}, {rival['number_format']}", *figures, share])
    ratios = [
        [f"`{what}`", _record.told({"median": value, "iqr": result["ratios_iqr"][what]})]
        for what, value in result["ratios"].items()
    ]
    machine, pretrain = result["machine"], result["settings"]["pretrain"]
    size = f"{pretrain['height_px']}x{pretrain['width_px']}, batch {pretrain['batch']}"
    network = f"{result['settings']['encoder']['architecture']}, {size}"
    where = f"{machine['gpu'] or machine['cpu']}, {machine['cores']} cores"
    about = f"{network}; {where}; {result['settings']['pictures']}; {result['date']}."
    tables = [_record.table(head, rows), _record.table(["ratio", "median ± IQR"], ratios)]
    return "\n\n".join([about, *tables])


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """The chart of the rates."""
    import _chart  # it needs Matplotlib, which machines that run `gpu.py` may lack

    panels = {
        title: {
            f"{rival['title']}\n{rival['number_format']}": result["rates"][name][kind]
            for name, rival in result["rivals"].items()
        }
        for kind, title in TITLES.items()
    }
    machine = result["machine"]
    title = f"MoCo pretraining on {machine['gpu'] or machine['cpu']}, {machine['cores']} cores"
    _chart.write(path, title, "pairs per second", panels)


def found(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure in a folder that is gone afterwards."""
    arm, encoder = settings(asked)
    with tempfile.TemporaryDirectory() as name:
        crops, told = pictures(asked, Path(name))
        with rivals(crops, Path(name), arm, encoder, asked.cores) as compared:
            measurements = summary(compared, measured(compared, asked))
    return measurements | circumstances(asked, arm, encoder, told)


def main(*words: str) -> None:
    """Measure, keep and tell."""
    asked = arguments(list(words))
    _record.keep_and_tell(asked, lambda: found(asked), draw, show)


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
