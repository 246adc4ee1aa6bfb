"""Stage `download`: fetch the listed videos, and account for each line of the list.

python stages/download.py
"""

from passerby import graph, settings
from passerby.video.download import download


def main() -> None:
    params = settings.read("params.yaml")
    download(params.videos, "data/videos", "data/videos.tsv")


if __name__ == "__main__":
    graph.run(main)
