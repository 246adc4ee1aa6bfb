"""Who the tracks are, where that is known: to count with, never to train with.

`people.tsv` beside a list of videos, which need not be there, has a line for each track: `video`,
`track` as the detections number it, and `person`, the same number for one person in every video.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from passerby.errors import BadInput
from passerby.foreign import exists, texts

NOBODY = -1
"""Of a box whose person is not known."""
COLUMNS = ("video", "track", "person")


def read(path: str | Path) -> dict[str, dict[int, int]]:
    """The person of each track of each video; nothing where there is no such file.

    Raises:
        BadInput: a line is not one of video, track and person.
    """
    if not exists(path):
        return {}
    found: dict[str, dict[int, int]] = {}
    for number, line in enumerate(texts.lines(path)[1:], start=2):
        words = line.split("\t")
        track, person = (texts.whole_number(word) for word in [*words, "", ""][1:3])
        if len(words) != 3 or track is None or person is None:
            raise BadInput(
                f"{path}, line {number}: {', '.join(COLUMNS)} wanted, '{line[:60]}' found; "
                "mend the line, or delete the file: nothing is trained with it"
            )
        found.setdefault(words[0], {})[track] = person
    return found


def text(rows: list[tuple[str, int, int]]) -> str:
    """What such a file holds, `rows` of video, track and person."""
    return "\n".join("\t".join(map(str, row)) for row in [COLUMNS, *rows]) + "\n"


def of_tracks(people: Mapping[int, int], track: np.ndarray) -> np.ndarray:
    """The person of each box of a video, int64 `(N,)`.

    Example:
        >>> of_tracks({4: 17}, np.array([4, -1, 5]))
        array([17, -1, -1])
    """
    return np.array([people.get(int(number), NOBODY) for number in track], np.int64)
