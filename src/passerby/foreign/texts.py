"""Text from outside: UTF-8 with or without a mark, its lines, its numbers, tables and JSON."""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

from passerby.errors import BadInput
from passerby.foreign.opening import named, read_bytes

MOST_BYTES = 1 << 30
"""Of a list, a table or a JSON file: ten million lines of a hundred characters."""
MOST_DIGITS = 18
"""Of a whole number: it fits into 64 bits."""
MOST_DEPTH = 100
_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")


def text(path: str | Path, advice: str = "", most_bytes: int = MOST_BYTES) -> str:
    """A text file; line ends of every system become `\\n`, a mark of UTF-8 is left out.

    Args:
        path: The file.
        advice: What to do where it is missing.
        most_bytes: The greatest length that is taken.

    Raises:
        BadInput: there is no such file, it is longer, or it is no text in UTF-8.
    """
    return decoded(read_bytes(path, most_bytes, advice), path)


def decoded(data: bytes, path: str | Path) -> str:
    """The text of a file's bytes, as `text`.

    Raises:
        BadInput: it is no text in UTF-8; `path` is named.

    Example:
        >>> decoded(b"\\xef\\xbb\\xbfa\\r\\nb", "list.txt")
        'a\\nb'
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{named(path)}: text in UTF-16; save it as UTF-8")
    try:
        found = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{named(path)}, line {line}: not text in UTF-8; save it as UTF-8") from None
    if "\0" in found:
        line = found.count("\n", 0, found.index("\0")) + 1
        raise BadInput(f"{named(path)}, line {line}: holds a NUL; a text file was wanted")
    return found.replace("\r\n", "\n").replace("\r", "\n")


def lines(path: str | Path, advice: str = "", most_bytes: int = MOST_BYTES) -> list[str]:
    """The lines of a text file, without their ends; a last line may lack its end.

    Raises:
        BadInput: as `text`.
    """
    return split_lines(text(path, advice, most_bytes))


def split_lines(whole: str) -> list[str]:
    """The lines of a text, which end at `\\n` and at nothing else that Unicode calls a line's end.

    Example:
        >>> split_lines("a\\nb\\n"), split_lines("")
        (['a', 'b'], [])
    """
    parts = whole.split("\n")
    return parts if parts[-1] else parts[:-1]


def whole_number(word: str, least: int = 0, most: int = 2**31 - 1) -> int | None:
    """The whole number that a word is, or `None` where it is none from `least` to `most`.

    Example:
        >>> whole_number("007"), whole_number("-1"), whole_number("-1", least=-1)
        (7, None, -1)
        >>> whole_number("9" * 400), whole_number("1e3"), whole_number("nan")
        (None, None, None)
    """
    if not _WHOLE.fullmatch(word):
        return None
    number = int(word)
    return number if least <= number <= most else None


def finite_number(word: str) -> float | None:
    """The finite number that a word is, or `None` where it is none.

    Example:
        >>> finite_number("1e-3"), finite_number("inf"), finite_number("1e400"), finite_number("x")
        (0.001, None, None, None)
    """
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def table(path: str | Path, delimiter: str, advice: str = "") -> list[tuple[int, list[str]]]:
    """The rows of a table of separated cells, each with the number of its last line.

    Rows without a word in any cell are left out.

    Raises:
        BadInput: as `text`; or a quote is left open, or a cell is too long.
    """
    reader = csv.reader(
        io.StringIO(text(path, advice), newline=""), delimiter=delimiter, strict=True
    )
    try:
        rows = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise BadInput(
            f"{named(path)}, line {reader.line_num}: {error}; is a quote open?"
        ) from None
    return [(number, cells) for number, cells in rows if any(cell.strip() for cell in cells)]


def json_file(path: str | Path, advice: str = "") -> Any:
    """The value of a JSON file.

    Raises:
        BadInput: as `text`, or as `json_value`.
    """
    return json_value(text(path, advice), path, advice)


def json_value(words: str, path: str | Path, advice: str = "") -> Any:
    """The value of a JSON text.

    Args:
        words: The text.
        path: What messages call it.
        advice: What to do where it is refused.

    Raises:
        BadInput: it is no JSON (with the line), is nested too deep, gives a key twice, or holds a
            number that is not finite or has more than eighteen digits.
    """
    try:
        return json.loads(
            words,
            object_pairs_hook=_without_repeats,
            parse_constant=_refused,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        fault = f", line {error.lineno}: not JSON: {error.msg}"
    except _Fault as error:
        fault = f": {error}"
    except RecursionError:
        fault = ": not JSON that we read: it is nested too deep"
    raise BadInput(f"{named(path)}{fault}{f'; {advice}' if advice else ''}")


class _Fault(Exception):
    """JSON that is read by others and not by us."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Fault(f"'{twice[:60]}' is given twice in one object; leave one of them")
    return found


def _refused(word: str) -> Any:
    raise _Fault(f"found {word}, wanted a finite number")


def _finite(word: str) -> float:
    number = finite_number(word)
    return _refused(word[:40]) if number is None else number


def _whole(word: str) -> int:
    if not _WHOLE.fullmatch(word):
        raise _Fault(f"a whole number of {len(word)} digits, wanted at most {MOST_DIGITS}")
    return int(word)
