"""Stage `benchmark`: read a labelled set, check its counts, write its index.

python stages/benchmark.py NAME
"""

import sys

from passerby import graph, settings
from passerby.datasets import index
from passerby.text import say


def main(name: str) -> None:
    source = settings.read("params.yaml").benchmark(name)
    benchmark = index.build(name, source)
    say(benchmark.remarks())
    benchmark.write(f"data/benchmarks/{name}.tsv")


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
