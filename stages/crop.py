"""Stage `crop`: cut people out of the videos, and say why boxes were left out.

python stages/crop.py
"""

from pathlib import Path

from passerby import graph, settings
from passerby.crops.build import build


def main() -> None:
    params = settings.read("params.yaml")
    roots = {name: params.benchmarks[name].root for name in params.crops.benchmarks}
    people = Path(params.videos.root) / "people.tsv"
    build(params.crops, roots, Path("data"), people)


if __name__ == "__main__":
    graph.run(main)
