"""Text, tables and JSON from outside."""

from pathlib import Path

import pytest

from passerby.errors import BadInput
from passerby.foreign import texts


def test_marks_and_line_ends_of_every_system_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("\ufeffaé\r\nb\rc\n\nd\u2028e".encode())
    assert texts.lines(tmp_path / "a") == ["aé", "b", "c", "", "d\u2028e"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\nb\xff\n", "a, line 2: not text in UTF-8; save it as UTF-8"),
        ("abc".encode("utf-16"), "a: text in UTF-16; save it as UTF-8"),
        (b"a\n\n\0", "a, line 3: holds a NUL; a text file was wanted"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(BadInput, match=said):
        texts.lines(tmp_path / "a")


@pytest.mark.parametrize("word", ["", "x", "1.0", "1e3", "nan", "inf", " 1", "1_0", "9" * 400, "٣"])
def test_words_that_are_no_whole_number_are_none(word: str) -> None:
    assert texts.whole_number(word, least=-(2**70), most=2**70) is None


def test_limits_of_whole_numbers_are_within_them() -> None:
    assert [texts.whole_number(word, 1, 3) for word in ("0", "1", "3", "4")] == [None, 1, 3, None]


def test_a_table_is_split_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfx,y\r\n"1,\n2",3\r\n,\n4,5')
    found = texts.table(tmp_path / "a.csv", ",")
    assert found == [(1, ["x", "y"]), (3, ["1,\n2", "3"]), (5, ["4", "5"])]


@pytest.mark.parametrize("text", ['a,b\n1,"2\n', "a,b\n" + "x" * 200_000 + "\n"])
def test_an_open_quote_and_an_endless_cell_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput, match=r"a\.csv, line \d: .*; is a quote open\?"):
        texts.table(tmp_path / "a.csv", ",")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "'a' is given twice in one object"),
        ('{"a": NaN}', "found NaN, wanted a finite number"),
        ("[-Infinity]", "found -Infinity, wanted a finite number"),
        ("[1e999]", "found 1e999, wanted a finite number"),
        ("[" + "9" * 400 + "]", "a whole number of 400 digits, wanted at most 18"),
        ("[" + "9" * 9000 + "]", "a whole number of 9000 digits, wanted at most 18"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":\n }', "x, line 2: not JSON"),
        ("", "x, line 1: not JSON"),
    ],
)
def test_json_that_is_none_or_slips_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        texts.json_value(text, "x")
    assert len(str(caught.value)) < 200
