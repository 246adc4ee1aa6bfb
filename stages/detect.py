"""Stage `detect`: person boxes from pickles, or from a detector and a tracker.

python stages/detect.py
"""

from passerby import graph, settings
from passerby.video.detect import detect


def main() -> None:
    params = settings.read("params.yaml")
    detect(
        params.detect,
        params.videos.root,
        "data/videos",
        "data/videos.tsv",
        "data/detections.parquet",
    )


if __name__ == "__main__":
    graph.run(main)
