"""Stage `initialise`: make a place where training may start.

python stages/initialise.py START
"""

import sys

from passerby import graph, settings
from passerby.models import starts
from passerby.text import say


def main(name: str) -> None:
    params = settings.read("params.yaml")
    out = f"data/init/{name}.safetensors"
    say(f"{name}: {starts.initialise(name, params.start(name), params.encoder, out)}")


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
