"""Stage `unlabelled`: a start or a pretrained encoder as a model, its features as they are.

python stages/unlabelled.py INIT
"""

import sys

from passerby import graph, settings
from passerby.models import as_is


def main(init: str) -> None:
    params = settings.read("params.yaml")
    size = params.finetune.height_px, params.finetune.width_px
    as_is.write(f"data/init/{init}.safetensors", params.encoder, size, f"data/models/{init}-0-0")


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
