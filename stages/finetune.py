"""Stage `finetune`: train an encoder with fast-reid on a share of the labels.

python stages/finetune.py INIT PERCENT SEED
"""

import sys

from passerby import errors, settings
from passerby.datasets import index
from passerby.finetune import run


def main(init: str, percent: str, seed: str) -> None:
    params = settings.read("params.yaml")
    name = params.finetune.benchmark
    benchmark = index.read(f"data/benchmarks/{name}.tsv", params.benchmark(name).root)
    job = run.Job(
        f"data/init/{init}.safetensors",
        int(percent),
        int(seed),
        benchmark,
        params.finetune,
        params.encoder,
        params.compute.threads,
    )
    run.finetune(job, f"data/models/{init}-{percent}-{seed}")


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
