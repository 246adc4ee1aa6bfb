"""Text from outside on terminals and on pages: nothing that acts, and ordinary text as it is."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from passerby import text
from passerby.errors import BadInput, Stopped

ROOT = Path(__file__).resolve().parent.parent
ACTING = ("\x1b[2J", "\x9b31m", "\r", "\x07", "\x08", "\x00", "\x7f", "\u202e", "\u2066", "\u200f",
          "\ufeff", "\u200b", "\u2028", "\udcff", "\U000e0041")  # fmt: skip
ORDINARY = (
    "moco-published-100-0 on city-market1501",
    "mAP (trapezoid) 49.3, TAR@0.1 %; R1 +4.6 (−0.5 to 1.0) ± 0.2 × 3 [a/b] 'c' #4 d_e.f",
    "Zürich, 東京, القاهرة, नई दिल्ली, تهران\u200cها, 👩\u200d🔬",
)
MARKUP = (
    "<script>alert(1)</script>", "a | b", "two\nlines", "two\r\n\r\n# lines", "[x](http://x.y)",
    "![x](y.png)", "**bold**", "_bold_", "`code`", "~~gone~~", "# head", "1. one", "1) one",
    "- item", "+ item", "> quote", "===", "---", "&lt;b&gt;", "\\", "\\|", "<http://x.y>", "a\tb",
    "[x]: http://x.y", "    code", "```",
)  # fmt: skip


@pytest.mark.parametrize("acting", ACTING, ids=ascii)
def test_a_character_that_acts_is_shown_and_does_not_act(acting: str) -> None:
    given = f"a{acting}b"
    for shown in map(str, (text.printable(given), text.line(given), BadInput(given))):
        assert shown.isprintable()
        assert shown.startswith("a\\")
        assert shown.endswith("b")
    assert text.html(given).isprintable()
    assert text.markdown(given).isprintable()


@pytest.mark.parametrize("ordinary", ORDINARY)
def test_ordinary_text_stays_as_it_is(ordinary: str) -> None:
    assert text.printable(ordinary) == text.line(ordinary) == text.message(ordinary) == ordinary


def test_what_is_printable_already_is_not_changed_again() -> None:
    once = text.message("a\x1bb\nc")
    assert text.message(once) == once


def test_a_name_cannot_begin_a_line_of_a_message() -> None:
    refused = BadInput("x\npasserby: all is well: no such file; known:\n  a\n  b\r\n")
    assert str(refused) == "x\\npasserby: all is well: no such file; known:\n  a\n  b"
    assert str(Stopped("a\rb")) == "a\\rb"


def test_a_line_of_a_message_has_an_end() -> None:
    said = str(BadInput(f"format '{'A' * 1_000_000}' found\n  second line"))
    assert said.startswith("format 'AAAA")
    assert said.endswith("... (990,015 characters more)\n  second line")
    assert len(said) < 11_000


def rendered(page: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(page))


@pytest.mark.parametrize("markup", [*MARKUP, *ORDINARY], ids=ascii)
def test_markup_from_outside_is_read_as_plain_words(markup: str) -> None:
    words = " ".join(markup.split("\n")).replace("\r", " ").replace("\t", " ").strip()
    words = " ".join(part for part in words.split(" ") if part)
    escaped = text.html(words)
    shown = text.markdown(markup)
    page = f"# {shown}\n\n{shown}\n\n- {shown}\n\n**x {shown}**\n\n|a|b|\n|---|---|\n|{shown}|c|\n"
    found = " ".join(rendered(page).replace("&#x27;", "'").split())
    wanted = escaped.replace("&#x27;", "'")
    assert found == (
        f"<h1>{wanted}</h1> <p>{wanted}</p> <ul> <li>{wanted}</li> </ul> "
        f"<p><strong>x {wanted}</strong></p> <table> <thead> <tr> <th>a</th> <th>b</th> </tr> "
        f"</thead> <tbody> <tr> <td>{wanted}</td> <td>c</td> </tr> </tbody> </table>"
    )


def test_html_is_safe_between_tags_and_inside_of_quotes() -> None:
    assert text.html("<b>\"c\" & 'd'\n") == "&lt;b&gt;&quot;c&quot; &amp; &#x27;d&#x27; "


def test_a_stream_that_lacks_a_character_gets_its_number() -> None:
    bytes_said = io.BytesIO()
    stream = io.TextIOWrapper(bytes_said, encoding="ascii")
    text.say("東 \udcff\x1b", stream)
    assert bytes_said.getvalue() == b"\\u6771 \\udcff\\x1b\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "\udcff", "\u202eodd"], ids=ascii)
def test_the_command_shows_a_path_in_printable_characters(name: str, tmp_path: Path) -> None:
    said = run("crops", "info", tmp_path / name)
    assert said.count("\n") == 1
    assert said.startswith(f"passerby: {tmp_path}/{text.line(name)}: no such file")
    assert said[:-1].isprintable()
    said = run("crops", "show", "a", "b", "--track", name)
    assert said.startswith(f"passerby: --track: found {name!a}, wanted a whole number")
    assert said[:-1].isprintable()


def run(*arguments: object) -> str:
    """What `passerby ARGUMENTS` says as it refuses, where the terminal knows ASCII only."""
    done = subprocess.run(
        [sys.executable, "-m", "passerby.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"},
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    return done.stderr.decode("ascii")
