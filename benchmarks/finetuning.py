"""Finetuning, passerby's trainer against a plain loop: same model, losses, optimiser, batches.

    python benchmarks/finetuning.py [--quick]

`benchmarks/README.md` says what is compared and what the figures mean.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

import _chart
import _labelled
import _measure
import _pictures
import _plain
import _record
import _turns
from passerby import errors, seeds
from passerby.errors import BadInput, Stopped
from passerby.evaluation import distance
from passerby.evaluation.pairs import Pairs
from passerby.evaluation.ranking import rank
from passerby.finetune import bridge, recipes, run
from passerby.finetune.compat import fastreid
from passerby.finetune.job import Job
from passerby.finetune.start import Start
from passerby.models import init_file
from passerby.models.small_maps import quick_on_small_maps
from passerby.progress import Progress
from passerby.settings import Encoder, Finetune
from passerby.training import precision

NAME = "finetuning"
ROUNDS = 40
"""Of the two loops, whose costs lie close together."""
ALONE_ROUNDS = 5
"""At most, of everything else."""
QUICK = {"people": 64, "rounds": 3, "steps": 1, "seconds": 0.2, "queries": 200}
PACKAGES = ("torch", "torchvision", "fastreid", "numpy", "pillow", "passerby")
PEOPLE_PER_BATCH, IMAGES_PER_PERSON = 16, 4
BATCH = PEOPLE_PER_BATCH * IMAGES_PER_PERSON
ALSO = (64, 32)
"""A second size of the pictures that is always measured: that of `params.yaml`."""
QUERIES, GALLERY, DIMENSIONS = 3_368, 15_913, 512
"""Of the ranking: Market-1501's, and features of a ResNet-18."""
ENDLESS = 10**6
"""Steps of our run: the benchmark stops it."""
WANTED = 0.97
"""Of the ratio `iteration`: the trainer costs at most 3 % more than the plain loop."""

KINDS = {
    "passerby": "iteration, passerby",
    "plain": "iteration, plain loop",
    "forward": "forward pass of training",
    "passerby_loader": "batches alone, passerby",
    "plain_loader": "batches alone, plain loop",
    "query_forward": "forward pass of queries",
    "ranking": "ranking of queries",
}
RATIOS = {
    "iteration": ("passerby", "plain"),
    "loader": ("passerby_loader", "forward"),
    "ranking": ("ranking", "query_forward"),
}
"""What is kept: of which kind of work the cost stands below, and whose above it."""

Figures = dict[str, list[float]]
"""Pictures per second of each kind of work in every round."""


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--height", type=int, default=128, help="of the pictures in the network, in pixels (128)")
    add("--width", type=int, default=64, help="(64)")
    add("--architecture", choices=["resnet18", "resnet34", "resnet50"], default="resnet18")
    add("--people", type=int, default=751, help="that are drawn (751)")
    add("--each", type=int, default=4, help="pictures of each (4)")
    add("--steps", type=int, default=2, help="of each measurement of the two loops (2)")
    add("--seconds", type=float, default=1.0, help="of each other measurement at least (1)")
    add("--queries", type=int, default=QUERIES, help=f"that are ranked ({QUERIES})")
    return _record.arguments(parser, words, NAME, QUICK, ROUNDS)


def sizes(asked: argparse.Namespace) -> list[tuple[int, int]]:
    """Heights and widths, the one that was asked for first."""
    return list(dict.fromkeys([(asked.height, asked.width), ALSO]))


def job(asked: argparse.Namespace, size: tuple[int, int], index: Path, start: Path) -> Job:
    """What our run is told: the recipe `bot` at its full rate, no checkpoint by the clock.

    Raises:
        BadInput: a size that is none, fewer people than in a batch.
    """
    try:
        plan = Finetune(
            benchmark=_labelled.NAME,
            height_px=size[0],
            width_px=size[1],
            iterations=ENDLESS,
            people_per_batch=PEOPLE_PER_BATCH,
            images_per_person=IMAGES_PER_PERSON,
            warmup_share=0.0,
            steps_share=(),
            checkpoint_s=1e9,
        )
    except ValidationError as error:
        raise BadInput("; ".join(fault["msg"] for fault in error.errors())) from None
    bridge.check_batch(asked.people, PEOPLE_PER_BATCH, 1)
    return Job(
        name=NAME,
        init=str(start),
        percent=100,
        seed=0,
        index=str(index),
        root=str(index.parent),
        plan=plan,
        encoder=Encoder(architecture=asked.architecture),
        threads=asked.cores,
        number_format=precision.decide(plan.precision, device().type),
    )


def device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def wait() -> None:
    """Return when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def configuration(told: Job) -> Any:
    """fast-reid's, the same for both."""
    return recipes.config(told.plan, told.encoder, len(told.people), len(told.images))


def plain_training(told: Job) -> _plain.Training:
    """The rival's step, its model that of our run."""
    cfg = configuration(told)
    start = Start(*init_file.read(told.init), told.encoder)
    model = quick_on_small_maps(start.build(cfg))
    rates = cfg.SOLVER.BASE_LR, cfg.SOLVER.WEIGHT_DECAY
    return _plain.Training(model, *rates, told.number_format)


def plain_batches(told: Job) -> Iterator[_plain.Batch]:
    """The rival's batches, augmented as ours."""
    augment = fastreid.data.transforms.build_transforms(configuration(told), is_train=True)
    number = {name: place for place, name in enumerate(sorted({item[1] for item in told.images}))}
    paths, people = zip(*((path, number[person]) for path, person, _ in told.images), strict=True)
    of_files = _plain.Files(paths, people, augment)
    return _plain.batches(of_files, PEOPLE_PER_BATCH, IMAGES_PER_PERSON, device())


def our_batches(told: Job) -> Iterator[Any]:
    """The batches of our run, one epoch behind the other."""
    per_epoch = told.schedule.per_epoch
    sampler = bridge.EpochSampler(
        told.images, PEOPLE_PER_BATCH, IMAGES_PER_PERSON, per_epoch, told.seed
    )
    loader = bridge.loader(configuration(told), told.images, sampler, told.seed)
    for sampler.epoch in itertools.count():
        yield from loader


def iterations(
    told: Job, asked: argparse.Namespace, folder: Path, note: Callable[[str, float], None]
) -> tuple[Figures, float]:
    """Both loops in turn; and the seconds that a checkpoint of our run takes."""
    training, batches = plain_training(told), plain_batches(told)
    turns = _turns.Turns(
        lambda: training.step(next(batches)), BATCH, asked.steps, asked.rounds, note, wait
    )
    folder.mkdir()
    try:
        run.train(told, folder, turns, quiet=True)
    except Stopped:  # it saved what it had
        return turns.kept(), time.perf_counter() - turns.ended_s
    raise AssertionError("the run came to its end before it was measured")


def alone(
    told: Job, asked: argparse.Namespace, note: Callable[[str, float], None]
) -> dict[str, list[float]]:
    """What a step and an evaluation are made of, each alone, in turn."""
    training, theirs, ours = plain_training(told), plain_batches(told), our_batches(told)
    batch = next(theirs)
    works: dict[str, tuple[Callable[[], object], int]] = {
        "forward": (lambda: training.loss(batch), BATCH),
        "passerby_loader": (lambda: next(ours), BATCH),
        "plain_loader": (lambda: next(theirs), BATCH),
        "query_forward": (lambda: query_features(training.model, batch[0]), BATCH),
        "ranking": (ranking(asked.queries), asked.queries),
    }

    def task(name: str) -> float:
        work, items = works[name]
        found = _measure.rate(work, items, asked.seconds, wait)
        note(name, found)
        return found

    tasks = {name: lambda name=name: task(name) for name in works}
    return _measure.alternate(tasks, min(asked.rounds, ALONE_ROUNDS))


def query_features(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Features of pictures as evaluation takes them, in float32."""
    model.eval()
    with torch.inference_mode():
        features: torch.Tensor = model(images)
    model.train()
    return features


def ranking(queries: int) -> Callable[[], object]:
    """Ranks Market-1501's gallery for so many queries; features are random."""
    rng = seeds.stream(0, "benchmark features")
    query, gallery = (
        rng.standard_normal((count, DIMENSIONS), np.float32) for count in (queries, GALLERY)
    )
    pairs = Pairs(
        rng.integers(1, 751, queries),
        rng.integers(0, 751, GALLERY),
        rng.integers(1, 7, queries),
        rng.integers(1, 7, GALLERY),
    )
    return lambda: rank(distance.blocks(query, gallery, "cosine"), pairs)


def measured(asked: argparse.Namespace, folder: Path) -> dict[str, tuple[Figures, float]]:
    """Of each size the figures of all kinds of work, and the seconds of a checkpoint."""
    torch.manual_seed(0)
    torch.set_num_threads(asked.cores)
    index = _labelled.draw(folder / "drawn", asked.people, asked.each)
    start = _labelled.write_start(
        folder / "start.safetensors", Encoder(architecture=asked.architecture)
    )
    found = {}
    with Progress("measure", _measurements(asked), "measurements") as progress:

        def note(name: str, rate: float) -> None:
            progress.step(1, f"{name} {rate:,.1f}/s")

        for size in sizes(asked):
            named = "{}x{}".format(*size)
            told = job(asked, size, index, start)
            loops, checkpoint_s = iterations(told, asked, folder / named, note)
            found[named] = (loops | alone(told, asked, note), checkpoint_s)
    return found


def _measurements(asked: argparse.Namespace) -> int:
    """How many there are, with those that are thrown away."""
    loops = 2 * (asked.rounds + 1)
    others = (len(KINDS) - 2) * (min(asked.rounds, ALONE_ROUNDS) + 1)
    return (loops + others) * len(sizes(asked))


def summary(found: Mapping[str, tuple[Figures, float]]) -> dict[str, Any]:
    """The figures as they are kept, but for how they came about."""
    first = next(iter(found))
    ratios = {
        what if size == first else f"{what}_{size}": _measure.ratio(figures[ours], figures[other])
        for size, (figures, _) in found.items()
        for what, (ours, other) in RATIOS.items()
    }
    return {
        "what": "finetuning: passerby's trainer against a plain loop, pictures per second",
        "ratios": {what: ratio["median"] for what, ratio in ratios.items()},
        "ratios_iqr": {what: ratio["iqr"] for what, ratio in ratios.items()},
        "rates": {
            size: {kind: _measure.spread(figures[kind]) for kind in KINDS}
            for size, (figures, _) in found.items()
        },
        "each_round": {size: figures for size, (figures, _) in found.items()},
        "checkpoint_seconds": {size: seconds for size, (_, seconds) in found.items()},
    }


def circumstances(asked: argparse.Namespace) -> dict[str, Any]:
    """How the figures came about."""
    names = ("quick", "architecture", "rounds", "steps", "seconds", "cores", "people", "each")
    size = f"{_labelled.HEIGHT_PX}x{_labelled.WIDTH_PX}"
    return {
        "settings": {
            **{name: getattr(asked, name) for name in names},
            "pictures": f"drawn, {size}, smooth with noise, JPEG {_pictures.JPEG_QUALITY}",
            "batch": [PEOPLE_PER_BATCH, IMAGES_PER_PERSON],
            "workers": 0,
            "number_format": precision.decide("auto", device().type),
            "ranking": [asked.queries, GALLERY, DIMENSIONS],
        },
        **_record.circumstances(PACKAGES),
    }


def show(result: Mapping[str, Any]) -> str:
    """The result as tables in Markdown, and what holds."""
    rates, settings, machine = result["rates"], result["settings"], result["machine"]
    rows = [
        [title, *(_record.told(of_size[kind]) for of_size in rates.values())]
        for kind, title in KINDS.items()
    ]
    ratios = [
        [f"`{what}`", _record.told({"median": value, "iqr": result["ratios_iqr"][what]})]
        for what, value in result["ratios"].items()
    ]
    where = f"{machine['gpu'] or machine['cpu']}, {machine['cores']} cores"
    network = f"{settings['architecture']}, {settings['number_format']}"
    batch = "{} people x {}".format(*settings["batch"])
    about = f"{network}, batches of {batch}; {where}; {result['date']}."
    tables = [
        _record.table(["pictures/s, median ± IQR", *rates], rows),
        _record.table(["ratio", "median ± IQR"], ratios),
    ]
    return "\n\n".join([about, *tables, "\n".join(claims(result))])


def claims(result: Mapping[str, Any]) -> list[str]:
    """Whether the trainer, the loader and the ranking cost what they may cost."""
    lines = []
    for what, value in result["ratios"].items():
        kind = what.partition("_")[0]
        least = WANTED if kind == "iteration" else 1.0
        than = "the plain loop" if kind == "iteration" else "the forward pass"
        wanted = "at most 3 % more" if kind == "iteration" else "less than it"
        answer = "yes" if value >= least else "no"
        lines.append(f"- {what}: {1 / value:.1%} of the cost of {than}; {wanted}: {answer}")
    for size, seconds in result["checkpoint_seconds"].items():
        lines.append(f"- a checkpoint at {size}: {seconds:.2f} s, by default once a minute")
    return lines


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """The chart of the rates."""
    panels = {
        size: {title: rates[kind] for kind, title in KINDS.items()}
        for size, rates in result["rates"].items()
    }
    machine = result["machine"]
    title = f"Finetuning on {machine['gpu'] or machine['cpu']}, {machine['cores']} cores"
    _chart.write(path, title, "pictures per second", panels)


def found(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        return summary(measured(asked, Path(name))) | circumstances(asked)


def main(*words: str) -> None:
    """Measure, keep and tell."""
    asked = arguments(list(words))
    _record.keep_and_tell(asked, lambda: found(asked), draw, show)


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
