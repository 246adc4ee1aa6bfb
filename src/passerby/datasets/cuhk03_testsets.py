"""CUHK03's published classic test sets as a table: `testsets.tsv` of split, pair and person.

Twenty splits of a hundred people (Li et al., "DeepReID", CVPR 2014); everybody else trains. Pair
and person are those of the pictures' names. `passerby extract` writes the table.
"""

from collections.abc import Sequence
from pathlib import Path

from passerby import files
from passerby.datasets import cuhk03
from passerby.errors import BadInput
from passerby.foreign import texts

NAME = "testsets.tsv"
COLUMNS = ("split", "pair", "person")


def write(path: str | Path, test_sets: Sequence[Sequence[tuple[int, int]]]) -> None:
    """Write the table.

    Args:
        path: Where to.
        test_sets: Pair and person of everybody in each of the splits.
    """
    rows = [
        (number, *person) for number, people in enumerate(test_sets, start=1) for person in people
    ]
    files.write_text(path, "".join("\t".join(map(str, row)) + "\n" for row in (COLUMNS, *rows)))


def read(path: str | Path) -> tuple[tuple[int, ...], ...]:
    """The test people of each split, by their numbers over all pairs, sorted.

    Raises:
        BadInput: the table is missing or empty, or a line is no person of CUHK03 in the split of
            the line before or in the next one, or a person is in a split again.
    """
    advice = "'passerby extract cuhk-03.mat FOLDER' writes it"
    head, *lines = texts.lines(path, advice) or [""]
    if head.split("\t") != list(COLUMNS) or not lines:
        raise BadInput(
            f"{path}, line 1: columns {', '.join(COLUMNS)} and rows wanted, '{head[:60]}' and "
            f"{len(lines)} rows found; write it again with 'passerby extract'"
        )
    sets: list[set[int]] = []
    for number, line in enumerate(lines, start=2):
        split, person = _parsed(line, f"{path}, line {number}")
        if split == len(sets) + 1:
            sets.append(set())
        if not sets or split != len(sets) or person in sets[-1]:
            raise BadInput(
                f"{path}, line {number}: '{line[:60]}' is of no split in its turn, or a person "
                "again; write it again with 'passerby extract'"
            )
        sets[-1].add(person)
    return tuple(tuple(sorted(people)) for people in sets)


def _parsed(line: str, where: str) -> tuple[int, int]:
    """Split, and number of the person, of one line."""
    cells = line.split("\t")
    numbers = [number for cell in cells if (number := texts.whole_number(cell)) is not None]
    if not len(cells) == len(numbers) == len(COLUMNS):
        raise BadInput(f"{where}: numbers {', '.join(COLUMNS)} wanted, '{line[:60]}' found")
    split, pair, person = numbers
    try:
        return split, cuhk03.number(pair, person)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
