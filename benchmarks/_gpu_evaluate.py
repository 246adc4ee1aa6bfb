"""Step `evaluate`: embed and score the test set, and compare features with those of a CPU."""

from pathlib import Path
from typing import Any

import numpy as np

import _gpu_data
from _gpu_context import Context
from _gpu_data import NAME
from _gpu_stages import Stage, last_number, run
from passerby import files
from passerby.datasets import index
from passerby.datasets.index import Benchmark
from passerby.evaluation import evaluate as score
from passerby.models import artifact
from passerby.models.embedder import Embedder
from passerby.models.networks import ReidNet, TorchNetwork
from passerby.settings import read

FINETUNED, UNTRAINED = "random-published-10-0", "random-0-0"
PEOPLE, QUICK_PEOPLE = 40, 8
"""How many people of the test set both devices embed."""
IMAGES = r"images  ([\d.,e+]+)/s  done"


def evaluate(context: Context) -> None:
    """Score the test set, and compare features with those of the CPU."""
    folder = _gpu_data.prepared(context)
    context.keep(data=_gpu_data.about(folder), model=(name := model(folder)))
    stage = Stage(folder, "evaluate", name, NAME)
    took_s = stage.ended()
    told = files.read_json(folder / "data" / "results" / f"{name}-{NAME}" / "metrics.json")
    context.keep(
        took_s=took_s,
        gallery_images_per_s=last_number(IMAGES, stage.text),
        map=told["map"],
        cmc=told["cmc"],
    )
    context.keep(against_cpu=against_cpu(context, folder, name))


def model(folder: Path) -> str:
    """Name of the finetuned model; if there is none, of one with random weights."""
    if (folder / "data" / "models" / FINETUNED / artifact.CARD).exists():
        return FINETUNED
    run(folder, "unlabelled", "random")
    return UNTRAINED


def against_cpu(context: Context, folder: Path, name: str) -> dict[str, Any]:
    """Compare features, and scores, of some people by this device and by the CPU."""
    at = folder / "data" / "models" / name
    listed = read(folder / "params.yaml").benchmark(NAME)
    benchmark = index.read(folder / "data" / "benchmarks" / f"{NAME}.tsv", listed.root)
    people = benchmark.people("query")[: QUICK_PEOPLE if context.quick else PEOPLE]
    by = {
        kind: _arrays(_embedder(at, kind), benchmark, people, context.threads)
        for kind in (context.kind, "cpu")
    }
    here, there = by[context.kind], by["cpu"]
    sides = ("query_features", "gallery_features")
    distance = artifact.read_card(at).distance
    scores = {
        kind: score(**arrays, protocol=benchmark.protocol, distance=distance, draws=0).map
        for kind, arrays in by.items()
    }
    largest = max(float(np.abs(there[side]).max()) for side in sides)
    apart = max(float(np.abs(here[side] - there[side]).max()) for side in sides)
    return {
        "images": sum(len(here[side]) for side in sides),
        "largest_feature": largest,
        "largest_difference": apart,
        "largest_difference_share": apart / largest if largest else 0.0,
        "map_here": scores[context.kind],
        "map_cpu": scores["cpu"],
        "map_difference": scores[context.kind] - scores["cpu"],
    }


def _embedder(folder: Path, kind: str) -> Embedder:
    state, card = artifact.read(folder)
    net = ReidNet(card)
    net.load(state)
    return Embedder(TorchNetwork(net, card, kind), card)


def _arrays(
    embedder: Embedder, benchmark: Benchmark, people: tuple[int, ...], threads: int
) -> dict[str, Any]:
    """The arguments of `evaluation.evaluate` for the images of some people."""
    arrays: dict[str, Any] = {}
    for side in ("query", "gallery"):
        items = benchmark.split(side).of_people(people)
        features = embedder.embed_files(items.paths, threads=threads)
        arrays[f"{side}_features"] = features
        arrays |= {f"{side}_people": items.person, f"{side}_cameras": items.views}
    return arrays
