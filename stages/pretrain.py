"""Stage `pretrain`: MoCo on the crops, one arm of it, under torchrun.

python stages/pretrain.py ARM
"""

import sys

from passerby import graph, settings
from passerby.pretrain.run import pretrain


def main(name: str) -> None:
    params = settings.read("params.yaml")
    arm = params.arm(name)
    watched = arm.monitor.benchmark
    pretrain(
        name,
        arm,
        params.encoder,
        params.compute.threads,
        crops="data/crops.lmdb",
        init=f"data/init/{params.arms[name].start}.safetensors",
        benchmark=(f"data/benchmarks/{watched}.tsv", params.benchmark(watched).root),
        out=f"data/pretrain/{name}",
    )


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
