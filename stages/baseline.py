"""Stage `baseline`: a supervised alternative of the course reports.

python stages/baseline.py NAME
"""

import sys

from passerby import graph, settings
from passerby.baselines import attributes
from passerby.datasets import index
from passerby.errors import BadInput
from passerby.settings import Params


def train_attributes(params: Params) -> None:
    plan, encoder, threads = params.attributes, params.encoder, params.compute.threads
    root = params.benchmarks[plan.benchmark].root
    benchmark = index.read(f"data/benchmarks/{plan.benchmark}.tsv", root)
    job = attributes.Job(f"data/init/{plan.init}.safetensors", benchmark, plan, encoder, threads)
    attributes.train(job, "data/models/attributes")


BASELINES = {"attributes": train_attributes}


def main(*arguments: str) -> None:
    if len(arguments) != 1 or arguments[0] not in BASELINES:
        found, known = " ".join(arguments) or "nothing", ", ".join(BASELINES)
        raise BadInput(f"the name of a baseline wanted ({known}), found {found}")
    BASELINES[arguments[0]](settings.read("params.yaml"))


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
