"""What is annotated of people, in the formats of the two files that annotate Market-1501.

`market_attribute.mat` (Lin et al., arXiv 1703.07220) holds both halves, the course's
`annotations_train.csv` the training people. Values count from 1; 2 is "yes".
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io

from passerby import files
from passerby.world.looks import Look

UPPER = ("black", "white", "red", "purple", "yellow", "gray", "blue", "green")
LOWER = ("black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown")
_MAT_TEXT_BYTES = 116
_MAT_TEXT = b"MATLAB 5.0 MAT-file, of a synthetic city"


def describe(look: Look) -> dict[str, int]:
    """The 27 annotated columns of a person."""
    lower = look.top.family if look.cut == "dress" else look.bottom.family
    colours = {f"up{name}": 1 + (look.top.family == name) for name in UPPER}
    colours |= {f"down{name}": 1 + (lower == name) for name in LOWER}
    return {
        "age": look.age,
        "backpack": 1 + (look.backpack is not None),
        "bag": 1 + (look.bag is not None),
        "handbag": 1 + (look.handbag is not None),
        "clothes": 1 + (look.cut in ("trousers", "shorts")),
        "down": 1 + (look.cut in ("shorts", "skirt", "dress")),
        "up": 1 + (look.sleeve != "long"),
        "hair": 1 + (look.hair in ("long", "tail")),
        "hat": 1 + (look.hat != "none"),
        "gender": 1 + look.female,
        **colours,
    }


def write(root: Path, train: Mapping[int, Look], test: Mapping[int, Look]) -> None:
    """Write both files into a set's folder."""
    content = {"market_attribute": {"test": _columns(test), "train": _columns(train)}}
    with files.written_whole(root / "market_attribute.mat") as beside:
        scipy.io.savemat(beside, content, appendmat=False)
        # The first bytes are free text, in which SciPy puts the time.
        text = _MAT_TEXT.ljust(_MAT_TEXT_BYTES)
        beside.write_bytes(text + beside.read_bytes()[_MAT_TEXT_BYTES:])
    with (
        files.written_whole(root / "annotations_train.csv") as beside,
        open(beside, "w", newline="") as file,
    ):
        rows = [{"id": person, **describe(look)} for person, look in train.items()]
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _columns(people: Mapping[int, Look]) -> dict[str, np.ndarray]:
    """Columns `(1, P)` as the official file has them, people as four digits."""
    rows = [describe(look) for look in people.values()]
    columns = {name: np.array([[row[name] for row in rows]], np.uint8) for name in rows[0]}
    index = np.empty((1, len(people)), dtype=object)
    index[0] = [f"{person:04d}" for person in people]
    return {**columns, "image_index": index}
