"""Stage `transfer`: make a pretrained encoder a start, every tensor accounted for.

python stages/transfer.py ARM
"""

import sys

from passerby import graph, settings
from passerby.models import starts
from passerby.text import say


def main(arm: str) -> None:
    params = settings.read("params.yaml")
    source, out = f"data/pretrain/{arm}/weights.safetensors", f"data/init/{arm}.safetensors"
    say(f"{arm}: {starts.transfer_arm(params.encoder, source, out)}")


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
