"""Text from outside, made fit to be shown: on a terminal, in a line, in HTML, in Markdown.

Names, titles, paths, ids and the error texts of libraries come from files of other people. On a
terminal they could move the cursor or turn the reading order round; on a page they could be tags,
links or the borders of a table. Whatever is printed goes through `say`, every message of a refusal
through `message`, and every page through `html` or `markdown`. Ordinary text stays as it is.
"""

import html as markup
import re
import sys
import unicodedata
from typing import TextIO

JOINERS = "\u200c\u200d"
"""Invisible characters that ordinary words of many languages, and emoji, are written with."""
MOST_CHARACTERS = 10_000
"""Of a line of a message; a damaged file can hold a name of any length."""

_LINE_ENDS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# Our own messages go on with lines that are indented. A line that begins otherwise is not ours.
_FOREIGN_LINE_END = re.compile(r"\n(?!  )")
_MARKDOWN = re.compile(r"[\\`*\[\]<>&|~]|(?<![^\W_])_|_(?![^\W_])")
_MARKDOWN_BLOCK = re.compile(r"(?:[-+=#]+|\d+[.)])(?=\s|$)")


def printable(text: object) -> str:
    r"""The text with its control characters shown, as Python writes them; line ends stay.

    Shown are terminal codes, marks that turn the reading order round or that nobody sees, and bytes
    of a file's name that are no text.

    Example:
        >>> printable("a\x1b[31m b\u202ec")
        'a\\x1b[31m b\\u202ec'
    """
    given = str(text)
    if given.isprintable():
        return given
    return "".join(char if char in "\n\t" else _shown(char) for char in given)


def line(text: object) -> str:
    r"""The text in one line and one cell of a table: line ends and tabs are shown, too.

    Example:
        >>> line("a\nb\tc")
        'a\\nb\\tc'
    """
    given = str(text)
    return given if given.isprintable() else "".join(map(_shown, given))


def message(text: object) -> str:
    r"""A message of several lines, of which all but the first are indented by two blanks or more.

    Line ends that are followed by anything else came from outside, and are shown.

    Example:
        >>> message("x: two faults\n  a\n  b"), message("x\ny: no such file")
        ('x: two faults\n  a\n  b', 'x\\ny: no such file')
    """
    whole = printable(str(text).rstrip().replace("\r\n", "\n"))
    return "\n".join(map(_cut, _FOREIGN_LINE_END.sub(r"\\n", whole).split("\n")))


def html(text: object) -> str:
    """The text for a page in HTML, in one line; also inside of quotes.

    Example:
        >>> html('<b> & "c"')
        '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return markup.escape(_in_one_line(text))


def markdown(text: object) -> str:
    r"""The text for a page in Markdown, in one line; also for a cell of a table or a caption.

    Example:
        >>> markdown("a|b <i> *c* d_e [f](g)")
        'a\\|b &lt;i&gt; \\*c\\* d_e \\[f\\](g)'
        >>> markdown("# a"), markdown("1. a"), markdown("-0.5 to 1.5")
        ('\\# a', '1\\. a', '-0.5 to 1.5')
    """
    marked = _MARKDOWN.sub(_as_markdown, _in_one_line(text).strip())
    block = _MARKDOWN_BLOCK.match(marked)
    if block:
        last = block.end() - 1
        marked = f"{marked[:last]}\\{marked[last:]}"
    return marked


def say(text: object, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print a text of ours; to standard output unless another stream is given.

    Whatever came from outside and shall not begin a line of its own went through `line` before. A
    character that the stream's encoding lacks is shown by its number.
    """
    to = stream or sys.stdout
    encoding = to.encoding or "utf-8"
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, end=end, file=to, flush=True)


def _in_one_line(text: object) -> str:
    return line(_LINE_ENDS.sub(" ", str(text)))


def _shown(char: str) -> str:
    if char.isprintable() or char in JOINERS:
        return char
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return char.encode("unicode_escape").decode()
    return char


def _cut(text: str) -> str:
    more = len(text) - MOST_CHARACTERS
    return text if more <= 0 else f"{text[:MOST_CHARACTERS]}... ({more:,} characters more)"


def _as_markdown(found: re.Match[str]) -> str:
    char = found[0]
    if char == "\\":
        return "&#92;"  # a backslash in front of a table's border would take the border away
    return markup.escape(char) if char in "<>&" else f"\\{char}"
