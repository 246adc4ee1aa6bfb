"""Numbers of options: the whole command line's, odd ones answered in one line before any work."""

import argparse
from collections.abc import Iterator
from typing import Any

import pytest

from passerby import cli
from passerby.errors import BadInput
from passerby.options import Channels, Size, Whole

ODD = (
    "", " ", "-1", "0", "-0", "1.5", "1e3", "nan", "inf", "-inf", "1_000", "0x10",
    "9" * 30, "9" * 5000, "-" + "9" * 400, "٣", "1,2", "1,2,3,4", "64x", "x32", "64x-32",
    "64.7x32", "64x32x3", "0x0", "nan,nan,nan", "0,1,1", "-0.1,0,0", "inf,1,1", "1e400,1,1",
    "a,b,c", "None", "\x1b[2J", "256,256,256",
)  # fmt: skip


def numbered(parser: argparse.ArgumentParser) -> Iterator[tuple[str, Any]]:
    """Every option of every verb that takes numbers, with its type."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from numbered(inner)
        elif action.option_strings and isinstance(action.type, Whole | Size | Channels):
            yield action.option_strings[-1], action.type


def test_all_options_that_take_numbers_are_checked() -> None:
    names = {name for name, _ in numbered(cli.parser())}
    assert names == {
        "--fps", "--count", "--track", "--size", "--mean", "--deviation", "--batch", "--queries",
    }  # fmt: skip


def test_no_option_is_read_by_a_bare_int_or_float() -> None:
    def bare(parser: argparse.ArgumentParser) -> Iterator[str]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for inner in action.choices.values():
                    yield from bare(inner)
            elif action.type in (int, float):
                yield action.dest

    assert list(bare(cli.parser())) == []


@pytest.mark.parametrize(("name", "kind"), [*numbered(cli.parser())])
def test_an_odd_number_is_taken_or_refused_by_name(name: str, kind: Any) -> None:
    said = [message for text in ODD if (message := refusal(kind, text)) is not None]
    assert len(said) >= len(ODD) - 3
    assert all(message.startswith(f"{name}: found '") for message in said)


def refusal(kind: Any, text: str) -> str | None:
    """What is said of a text that is no such number."""
    try:
        kind(text)
    except BadInput as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Whole("--batch", 1, 10), "10", 10),
        (Whole("--batch", 1, 10), "+1", 1),
        (Whole("--track", 0, 10), "0", 0),
        (Size("--size"), "256x128", (256, 128)),
        (Channels("--mean"), "0.485,0.456,0.406", (0.485, 0.456, 0.406)),
        (Channels("--mean"), "0,0,1", (0, 0, 1)),
        (Channels("--deviation", True), "0.00392157,1,1e-3", (0.00392157, 1, 0.001)),
    ],
)
def test_good_numbers_are_read(kind: Any, text: str, value: Any) -> None:
    assert kind(text) == value


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["embed", "m", "p", "--batch", "-1"], "--batch: found '-1', wanted a whole number from 1"),
        (["embed", "m", "p", "--batch=nan"], "--batch: found 'nan', wanted a whole number from 1"),
        (["clip", "f", "o.mp4", "--fps", "0"], "--fps: found '0', wanted a whole number from 1 to"),
        (["crops", "show", "s", "o.jpg", "--count", "0"], "--count: found '0', wanted a whole num"),
        (["crops", "show", "s", "o.jpg", "--track", "-1"], "--track: found '-1', wanted a whole n"),
        (["adopt", "a.onnx", "m", "--size", "64x-32"], "--size: found '64x-32', wanted 2 whole nu"),
        (
            ["adopt", "a", "m", "--deviation", "0,1,1"],
            "--deviation: found '0,1,1', wanted 3 number",
        ),
        (
            ["adopt", "a", "m", "--mean", "124,116,104"],
            "--mean: found '124,116,104', wanted 3 numb",
        ),
        (["evaluate", "a.pth", "--queries", "0"], "--queries: found '0', wanted a whole number fr"),
    ],
)
def test_a_number_that_is_none_ends_the_command_with_one_line(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["passerby", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err.startswith(f"passerby: {said}")
    assert len(captured.err.splitlines()) == 1
