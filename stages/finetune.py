"""Stage `finetune`: train an encoder with fast-reid on a share of the labels.

python stages/finetune.py INIT PERCENT SEED
"""

import sys

from passerby import errors, settings
from passerby.datasets import index
from passerby.errors import BadInput
from passerby.finetune import run


def main(*arguments: str) -> None:
    try:
        init, percent, seed = arguments
        numbers = int(percent), int(seed)
    except ValueError:
        found = " ".join(arguments) or "nothing"
        raise BadInput(
            f"INIT PERCENT SEED wanted, found {found}; numbers for the last two"
        ) from None
    params = settings.read("params.yaml")
    name = params.finetune.benchmark
    benchmark = index.read(f"data/benchmarks/{name}.tsv", params.benchmarks[name].root)
    weights, threads = f"data/init/{init}.safetensors", params.compute.threads
    job = run.Job(weights, *numbers, benchmark, params.finetune, params.encoder, threads)
    run.finetune(job, f"data/models/{init}-{percent}-{seed}")


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
