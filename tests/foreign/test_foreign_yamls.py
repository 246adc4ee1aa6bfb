"""YAML from outside: what it says, and what is refused of what YAML allows."""

import time

import pytest

from passerby.errors import BadInput
from passerby.foreign import yamls

LEVELS = 40


def aliases() -> str:
    """Forty lines that stand for a million million values: a list of the one before, twice."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, LEVELS)]
    return "\n".join(lines)


def merges() -> str:
    """The same by merges of mappings."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, LEVELS)]
    return "\n".join(lines)


def test_values_and_the_lines_of_their_keys_are_given() -> None:
    text = "a: &x {b: 1.5, c: 0x1F}\nd:\n  e: [1, 2]\nf: *x\ng: {<<: *x, b: 2}\n"
    value, lines = yamls.load(text, "x.yaml")
    assert value["a"] == {"b": 1.5, "c": 31} == value["f"]
    assert value["g"] == {"b": 2, "c": 31}
    assert {key: lines[key] for key in ("a", "a.b", "d", "d.e", "f")} == {
        "a": 1, "a.b": 1, "d": 2, "d.e": 3, "f": 4,
    }  # fmt: skip
    assert yamls.load("", "x.yaml") == (None, {})


@pytest.mark.parametrize("text", [aliases(), merges(), "a: &a [*a]", "a: &a {b: {c: *a}}"])
def test_aliases_that_stand_for_too_much_or_for_themselves_are_refused(text: str) -> None:
    begin_s = time.process_time()
    with pytest.raises(
        BadInput, match=r"x, line \d+: (with its aliases written|a value that hold)"
    ):
        yamls.load(text, "x")
    assert time.process_time() - begin_s < 5


def test_every_repeated_key_and_every_number_that_is_none_is_named_at_once() -> None:
    text = "a: 1\nb: {c: .inf, d: [1, .NaN]}\na: 2\ne: -.Inf\nf: 1.0e+999\ng: {h: 1, h: 1}\n"
    text += f"i: {'9' * 400}\n"
    with pytest.raises(BadInput) as caught:
        yamls.load(text, "x.yaml")
    assert str(caught.value).splitlines() == [
        "x.yaml: 7 faults",
        "  b.c (line 2): found .inf, wanted a finite number",
        "  b.d[1] (line 2): found .NaN, wanted a finite number",
        "  a (line 3): given in line 1 already; leave one of the two",
        "  e (line 4): found -.Inf, wanted a finite number",
        "  f (line 5): found 1.0e+999, wanted a finite number",
        "  g.h (line 6): given in line 6 already; leave one of the two",
        "  i (line 7): a whole number of 400 digits, wanted at most 18",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a: [1", "a: b: c", "\ta: 1", "a: !!python/object/apply:os.system [id]", "a: 2001-99-99",
        "? [a]\n: 1", "a: !!int x", "--- a\n--- b\n", "a: \x07", "a: *none", "[" * 5000,
        "<<: 1", "a: !!float x",
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_one_message(text: str) -> None:
    with pytest.raises(BadInput, match=r"^x(, line \d+)?: not YAML") as caught:
        yamls.load(text, "x")
    assert len(str(caught.value)) < 300


def test_a_text_that_is_too_long_for_settings_is_refused() -> None:
    with pytest.raises(BadInput, match="characters of YAML; it cannot be settings"):
        yamls.load("a: 1\n" * 100_000, "x")


@pytest.mark.parametrize(
    "keys", [("1", "01"), ("1", "1.0"), ("yes", "on"), ("~", "null"), ("a", "'a'"), ("1", "yes")]
)
def test_a_key_that_is_written_in_two_ways_is_given_twice(keys: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match=r"\(line 3\): given in line 2 already"):
        yamls.load(f"a:\n  {keys[0]}: 1\n  {keys[1]}: 2\n", "x")


def test_a_text_and_a_number_are_two_keys() -> None:
    assert yamls.load("1: a\n'1': b\n'<<': c\n", "x")[0] == {1: "a", "1": "b", "<<": "c"}


@pytest.mark.parametrize("value", ['!!int ""', '!!int "_"', '!!float ""', "!!bool maybe"])
def test_a_number_without_a_digit_is_no_yaml(value: str) -> None:
    with pytest.raises(BadInput, match="x: not YAML"):
        yamls.load(f"a: {value}\n", "x")
