"""Stage `crossvalidate`: score a recipe on labelled people who are held out in turn.

python stages/crossvalidate.py INIT RECIPE
"""

import sys

from passerby import graph, settings
from passerby.finetune.crossvalidation import crossvalidate
from passerby.finetune.job import Job


def main(init: str, recipe: str) -> None:
    params = settings.read("params.yaml")
    asked, plan = params.crossvalidate, params.recipe(recipe)
    job = Job(
        name=f"crossvalidate@{init}-{recipe}",
        init=f"data/init/{init}.safetensors",
        percent=asked.percent,
        seed=asked.seed,
        index=f"data/benchmarks/{plan.benchmark}.tsv",
        root=params.benchmark(plan.benchmark).root,
        plan=plan,
        encoder=params.encoder,
        threads=params.compute.threads,
    )
    crossvalidate(job, asked.folds, f"data/validation/{init}-{recipe}.tsv")


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
