"""The table of classic test sets: it reads back as it was written, and refuses what is none."""

from pathlib import Path

import pytest

from passerby.datasets import cuhk03_testsets
from passerby.errors import BadInput


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "testsets.tsv"
    cuhk03_testsets.write(path, [[(2, 1), (1, 843)], [(1, 1), (5, 49)]])
    return path


def test_test_sets_are_the_numbers_of_people_over_all_pairs(table: Path) -> None:
    assert table.read_text().splitlines()[:3] == ["split\tpair\tperson", "1\t2\t1", "1\t1\t843"]
    assert cuhk03_testsets.read(table) == ((843, 844), (1, 1467))


def test_a_missing_table_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"testsets\.tsv: no such file; 'passerby extract cuhk-03"):
        cuhk03_testsets.read(tmp_path / "testsets.tsv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: columns split, pair, person and rows wanted, '' and 0 rows found"),
        ("split\tpair\tperson\n", "and 0 rows found"),
        ("split,pair,person\n1,1,1\n", "line 1: .* 'split,pair,person' and 1 rows found"),
        ("split\tpair\tperson\n1\t1\n", r"line 2: numbers split, pair, person wanted, '1\t1' fou"),
        ("split\tpair\tperson\n1\t1\tx\n", "line 2: numbers split, pair, person wanted"),
        ("split\tpair\tperson\n1\t1\t844\n", "line 2: no person 844 of camera pair 1 in CUHK03"),
        ("split\tpair\tperson\n2\t1\t1\n", "line 2: '2\t1\t1' is of no split in its turn"),
        ("split\tpair\tperson\n1\t1\t1\n1\t1\t1\n", "line 3: .* or a person again"),
    ],
)
def test_lines_that_are_no_rows_are_named(table: Path, text: str, message: str) -> None:
    table.write_text(text)
    with pytest.raises(BadInput, match=message):
        cuhk03_testsets.read(table)
