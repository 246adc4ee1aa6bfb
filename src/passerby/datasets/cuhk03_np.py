"""CUHK03's new protocol in the usual layout: three folders, names such as `0001_c1_1.png`.

A name is person, camera (1 or 2, in each of the camera pairs) and number of the picture. The split
is the published one (767 people to train, 700 to test), so it is in the folders.
"""

import re
from pathlib import Path

from passerby.datasets.market1501 import FOLDERS
from passerby.datasets.rows import Row, matched

NAME = re.compile(r"(\d{4})_c(\d)_(\d{1,9})\.(png|jpg)")
EXAMPLE = "0001_c1_1.png"


def read(root: Path, split_seed: int = 0) -> list[Row]:
    """Read the three folders under `root`; the split is fixed, so the seed plays no part.

    Raises:
        BadInput: a folder is missing, or holds files whose names carry no labels.
    """
    return [
        Row(split, f"{folder}/{name.group()}", int(name[1]), int(name[2]), frame=int(name[3]))
        for split, folder in FOLDERS.items()
        for name in matched(root / folder, NAME, EXAMPLE)
    ]
