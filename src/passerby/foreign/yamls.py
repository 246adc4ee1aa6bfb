"""YAML from outside: read as PyYAML's safe loader does, less what YAML lets slip or explode.

A key that is given twice is a slip that YAML takes the last of. Aliases and merges can stand for
more values than any memory holds. Numbers can be infinite, none at all, or longer than a machine's.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from passerby.errors import BadInput
from passerby.foreign.opening import first_line, named
from passerby.foreign.texts import MOST_DIGITS, text

MOST_BYTES = 1 << 18
MOST_NODES = 100_000
"""With every alias and merge written out."""
MOST_FAULTS = 20
"""That are listed."""
_FLOAT, _INT = "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"
_AS_WRITTEN = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("str", "merge", "value"))
"""Kinds of keys that stand for their own words: texts, `<<` and `=`."""
Lines = dict[str, int]


def read(path: str | Path, advice: str = "") -> Any:
    """The value of a YAML file.

    Args:
        path: The file.
        advice: What to do where it is missing.

    Raises:
        BadInput: as `texts.text`, or as `load`.
    """
    return load(text(path, advice, MOST_BYTES), str(path))[0]


def load(words: str, name: str) -> tuple[Any, Lines]:
    """The value of a YAML text, and the line (from 1) of each dotted key.

    Args:
        words: The text, one document.
        name: What messages call it.

    Raises:
        BadInput: it is no YAML (with the line), stands for too much, or has faults: keys given
            twice, numbers that are not finite or too long (all of them are listed).
    """
    if len(words) > MOST_BYTES:
        raise BadInput(f"{named(name)}: {len(words):,} characters of YAML; it cannot be settings")
    try:
        node = yaml.compose(words, Loader=yaml.SafeLoader)
        _require_small(node, name)
        found: Lines = {}
        faults = list(_faults(node, "", found, set()))
        if not faults:
            # A loader of no text: it makes values of the nodes that were looked at.
            return (None if node is None else yaml.SafeLoader("").construct_document(node)), found
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or first_line(error)
        raise BadInput(f"{named(name)}{where}: not YAML: {problem}") from None
    except RecursionError:
        raise BadInput(f"{named(name)}: not YAML that we read: it is nested too deep") from None
    except (ValueError, TypeError, OverflowError, LookupError, AttributeError) as error:
        # A date that no calendar has, a number that is none in spite of its tag.
        raise BadInput(f"{named(name)}: not YAML: {first_line(error)}") from None
    count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    raise BadInput("\n  ".join((f"{named(name)}: {count}", *faults[:MOST_FAULTS])))


def _require_small(root: yaml.Node | None, name: str) -> None:
    """Refuse a document that holds itself, or stands for too many nodes."""
    sizes: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: yaml.Node) -> int:
        key = id(node)
        if key in inside:
            line = node.start_mark.line + 1
            raise BadInput(f"{named(name)}, line {line}: a value that holds itself")
        if key not in sizes:
            inside.add(key)
            sizes[key] = 1 + sum(size(child) for child in _children(node))
            inside.discard(key)
            if sizes[key] > MOST_NODES:
                line = node.start_mark.line + 1
                raise BadInput(
                    f"{named(name)}, line {line}: with its aliases written out it has more than "
                    f"{MOST_NODES:,} values"
                )
        return sizes[key]

    if root is not None:
        size(root)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _faults(node: yaml.Node | None, key: str, found: Lines, seen: set[int]) -> Iterator[str]:
    """What is wrong, each with key and line; `found` gets the line of each key."""
    if isinstance(node, yaml.ScalarNode) and (told := _no_number(node)):
        yield f"{key or 'the value'} (line {node.start_mark.line + 1}): {told}"
    if node is None or id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _faults(item, f"{key}[{place}]", {}, seen)
        return
    first: dict[Any, int] = {}
    for name, value in node.value:
        word = str(name.value) if isinstance(name, yaml.ScalarNode) else "?"
        full, line = f"{key}.{word}" if key else word, name.start_mark.line + 1
        known = _meant(name)
        if known in first and word != "?":
            before = first[known]
            yield f"{full[:80]} (line {line}): given in line {before} already; leave one of the two"
        first.setdefault(known, line)
        found[full] = line
        yield from _faults(value, full, found, seen)


def _meant(key: yaml.Node) -> Any:
    """What tells a key from others: `1` and `01` are one key, and so are `yes` and `on`."""
    if key.tag in _AS_WRITTEN or not isinstance(key, yaml.ScalarNode):
        return key.tag, str(key.value)
    return yaml.SafeLoader("").construct_object(key)


def _no_number(node: yaml.ScalarNode) -> str:
    """What is wrong with a scalar that YAML takes for a number, or nothing."""
    word = node.value.replace("_", "").lower()
    if node.tag == _INT and len(word.lstrip("+-")) > MOST_DIGITS:
        return f"a whole number of {len(word)} digits, wanted at most {MOST_DIGITS}"
    if node.tag == _FLOAT and ":" not in word:  # `1:30.5` counts in sixties
        number = float(word.replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(number):
            return f"found {node.value[:40]}, wanted a finite number"
    return ""
