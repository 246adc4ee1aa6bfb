"""Market-1501's layout: three folders, labels in names such as `0002_c1s1_000451_03.jpg`.

A name is person, camera, sequence, frame and number of the box. In the gallery `-1` is junk and
`0000` a distractor. Some official files end in `.jpg.jpg`.
"""

import re
from pathlib import Path

from passerby.datasets.rows import Row, matched

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
NAME = re.compile(r"(-1|\d{4})_c(\d)s(\d)_(\d{6})_(\d\d)\.jpg(\.jpg)?")
EXAMPLE = "0002_c1s1_000451_03.jpg"


def read(root: Path, split_seed: int = 0) -> list[Row]:
    """Read the three folders under `root`; the split is fixed, so the seed plays no part.

    Raises:
        BadInput: a folder is missing, or holds files whose names carry no labels.
    """
    return [
        Row(split, f"{folder}/{name.group()}", *(int(name[part]) for part in (1, 2, 3, 4)))
        for split, folder in FOLDERS.items()
        for name in matched(root / folder, NAME, EXAMPLE)
    ]
