"""Stage `finetune`: train an encoder with fast-reid on a share of the labels.

python stages/finetune.py INIT RECIPE PERCENT SEED
"""

import sys

from passerby import graph, settings
from passerby.finetune import run
from passerby.finetune.job import Job
from passerby.options import Whole


def main(init: str, recipe: str, percent: str, seed: str) -> None:
    params = settings.read("params.yaml")
    plan = params.recipe(recipe)
    name = f"{init}-{recipe}-{percent}-{seed}"
    job = Job(
        name=f"finetune@{name}",
        init=f"data/init/{init}.safetensors",
        percent=Whole("PERCENT", 1, 100)(percent),
        seed=Whole("SEED", -(2**62), 2**62)(seed),
        index=f"data/benchmarks/{plan.benchmark}.tsv",
        root=params.benchmark(plan.benchmark).root,
        plan=plan,
        encoder=params.encoder,
        threads=params.compute.threads,
    )
    run.finetune(job, f"data/models/{name}")


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
