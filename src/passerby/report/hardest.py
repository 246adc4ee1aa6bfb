"""The hardest queries as a table, `hardest.tsv`: which, and who is taken for them.

    query               place among the queries, from 0
    file                its picture; empty where there are features alone
    person, camera      of the query; no camera where it is not known
    average_precision   fraction
    first_rank          rank of the first match
    impostor            the nearest picture of somebody else: its place in the gallery; these four
    impostor_file       are empty where every picture that counts is of the query's person
    impostor_person     0 is a distractor
    impostor_distance

Lowest average precision first. This file owns the format.
"""

from pathlib import Path

import numpy as np

from passerby import files
from passerby.evaluation.ranked_list import RankedList
from passerby.report.evaluated import Evaluated, hardest
from passerby.text import line

FORMAT = "passerby.hardest/1"
COLUMNS = (
    "query", "file", "person", "camera", "average_precision", "first_rank",
    "impostor", "impostor_file", "impostor_person", "impostor_distance",
)  # fmt: skip


def write(path: str | Path, rows: list[tuple[str, ...]]) -> None:
    """Write the rows of `table` whole."""
    lines = [f"# {FORMAT}", *("\t".join(map(line, row)) for row in (COLUMNS, *rows))]
    files.write_text(path, "\n".join(lines) + "\n")


def table(evaluated: Evaluated, count: int) -> list[tuple[str, ...]]:
    """The rows of the hardest queries, as texts in the order of `COLUMNS`.

    Args:
        evaluated: Whose queries.
        count: How many rows, at most.
    """
    lists = evaluated.lists(hardest(evaluated.result.ranking, count))
    return [(*_query(evaluated, one.query), *_impostor(evaluated, one)) for one in lists]


def _query(evaluated: Evaluated, query: int) -> tuple[str, ...]:
    arrays, pictures = evaluated.arrays, evaluated.files
    camera = int(arrays["query_cameras"][query])
    average_precision, first_rank = evaluated.standing(query)
    return (
        str(query),
        pictures.query[query] if pictures else "",
        str(arrays["query_people"][query]),
        str(camera) if camera >= 0 else "",
        f"{average_precision:.6g}",
        str(first_rank),
    )


def _impostor(evaluated: Evaluated, ranked: RankedList) -> tuple[str, ...]:
    wrong = np.flatnonzero(~ranked.genuine)
    if not len(wrong):
        return ("",) * 4
    item = int(ranked.item[wrong[0]])
    return (
        str(item),
        evaluated.files.gallery[item] if evaluated.files else "",
        str(evaluated.arrays["gallery_people"][item]),
        f"{ranked.distance[wrong[0]]:.6g}",
    )
