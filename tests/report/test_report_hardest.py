"""The table of the hardest queries."""

from pathlib import Path

import pytest
from evaluated_samples import evaluated, slow_list

from passerby.report import hardest, outcomes


@pytest.mark.parametrize("with_files", [True, False])
def test_a_row_says_who_is_taken_for_a_query(tmp_path: Path, with_files: bool) -> None:
    given = evaluated(tmp_path / "set" if with_files else None)
    rows = [dict(zip(hardest.COLUMNS, row, strict=True)) for row in hardest.table(given, 99)]
    assert len(rows) == len(given.result.ranking.query)
    for row in rows:
        query = int(row["query"])
        ordered = slow_list(given, query)
        distance, item, _ = next(one for one in ordered if not one[2])
        assert row["first_rank"] == str(1 + [right for _, _, right in ordered].index(True))
        assert row["person"] == str(query % 6 + 1)
        assert row["camera"] == str(given.arrays["query_cameras"][query])
        assert row["file"] == (f"query/{query}.png" if with_files else "")
        assert row["impostor"] == str(item)
        assert row["impostor_file"] == (f"gallery/{item}.png" if with_files else "")
        assert row["impostor_person"] == str(given.arrays["gallery_people"][item])
        assert row["impostor_distance"] == f"{distance:.6g}"
    precisions = [float(row["average_precision"]) for row in rows]
    assert precisions == sorted(precisions)


def test_a_camera_that_is_not_known_is_left_empty() -> None:
    given = evaluated()
    given.arrays["query_cameras"][:] = -7
    assert {row[hardest.COLUMNS.index("camera")] for row in hardest.table(given, 3)} == {""}


def test_the_file_begins_with_its_format_and_reads_as_columns(tmp_path: Path) -> None:
    rows = hardest.table(evaluated(), 4)
    hardest.write(tmp_path / "hardest.tsv", rows)
    assert (tmp_path / "hardest.tsv").read_text().startswith("# passerby.hardest/1\nquery\tfile\t")
    found = outcomes.read_columns(tmp_path / "hardest.tsv")
    assert tuple(found) == hardest.COLUMNS
    assert found["query"].tolist() == [float(row[0]) for row in rows]
