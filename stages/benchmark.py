"""Stage `benchmark`: read a labelled set, check its counts, write its index.

python stages/benchmark.py NAME
"""

import sys

from passerby import errors, settings
from passerby.datasets import index


def main(name: str) -> None:
    known = settings.read("params.yaml").benchmarks
    if name not in known:
        raise errors.BadInput(f"benchmarks: no '{name}'; known: {', '.join(known)}")
    index.build(name, known[name]).write(f"data/benchmarks/{name}.tsv")


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
