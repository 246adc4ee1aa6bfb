"""Stage `world`: draw a synthetic city, with known truth.

python stages/world.py CITY
"""

import sys
from pathlib import Path

from passerby import graph, settings
from passerby.world.city import draw_city


def main(name: str) -> None:
    draw_city(settings.read("params.yaml").world, name, Path("data/world") / name)


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
