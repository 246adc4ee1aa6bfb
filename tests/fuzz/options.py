"""A target for every option of every verb of the command line, found in its parser."""

import argparse
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import damaging
import numpy as np
import odd
import reader_targets
import readers
import samples
import yaml
from cases import Case, Target, command
from damaging import Rng, odd_number, odd_text, one

from passerby import cli


@dataclass(frozen=True)
class Input:
    """An argument that names a file or folder to be read.

    Attributes:
        path: Below the input's folder.
        file: What is damaged: a pattern below `path`; `path` itself where it is empty.
        odd: Odd input of this kind (see `readers.reader`).
        text: Whether it is a text.
    """

    path: str
    file: str = ""
    odd: Callable[..., Any] | None = None
    text: bool = False


@dataclass(frozen=True)
class Output:
    """An argument that names a file or folder to be written, below `out`."""

    path: str


@dataclass(frozen=True)
class Verb:
    """A way to call a verb that succeeds.

    Attributes:
        make: Writes whole input.
        given: What each argument is; options that are left out are only tried with odd values.
        tried: Options that are tried in this way; all that are `given` or have a value of their
            own, if it is empty.
        made: Files of the input that the verb changes.
        check: What is wrong with what was made in a case's folder.
        here: Part of a case's folder that the verb is called in.
    """

    make: Callable[[Path], None]
    given: dict[str, Any]
    tried: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    check: Callable[[Path, Path], str | None] = field(default=lambda folder, out: None)
    here: str = "work/inner"


def _embedded(folder: Path, out: Path) -> str | None:
    """A finite row for each picture."""
    if not out.is_file():
        return None
    with np.load(out) as held:
        features, names = held["features"], held["names"]
    if len(features) != len(names):
        return f"rows: {len(features)} features of {len(names)} names"
    if not np.isfinite(features).all():
        return "not finite: features"
    there = [
        p
        for p in (folder / "in" / "photos").iterdir()
        if p.suffix in (".png", ".jpg", ".webp", ".bmp") and p.is_file()
    ]
    return None if len(names) == len(there) else f"rows: {len(names)} of {len(there)} pictures"


def _evaluated(folder: Path, out: Path) -> str | None:
    """Figures that are finite fractions."""
    metrics = out / "metrics.json"
    if not metrics.is_file():
        return None
    told = yaml.safe_load(metrics.read_text())
    figures = [told[key] for key in ("map", "minp", "auc", "eer")]
    return None if all(0 <= f <= 1 for f in figures) else f"not finite: {figures}"


def _cut_out(folder: Path, out: Path) -> str | None:
    """A file for each crop."""
    if not out.is_dir():
        return None
    found, table = len(list(out.rglob("*.jpg"))), out / "crops.tsv"
    lines = len(table.read_text().splitlines()) - 1 if table.is_file() else found
    return None if found == lines else f"rows: {found} files of {lines} crops"


def _profiles(folder: Path) -> None:
    (folder / "profiles").mkdir()
    reader_targets.profile_files(folder / "profiles")


def _repository(folder: Path) -> None:
    """Results of the city in a git repository, which `record` asks for."""
    samples.results(folder)
    for words in (["init", "-q"], [*AS_SOMEBODY, "commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


NAMES = tuple(text for text in damaging.TEXTS if text != "/")
"""Of input that is not there; the whole machine is."""
AS_SOMEBODY = ("-c", "user.name=a", "-c", "user.email=a@b.c")
STORE = Input("crops.lmdb", odd=odd.odd_header)
MODEL = Input("model", "*", odd.odd_yaml, True)
PARAMS = Input("params.yaml", odd=odd.odd_yaml, text=True)

UNTRIED = {
    "scratch": "it removes what it is given, so a second call must differ: tests/test_leftovers.py"
}
"""Verbs that are not tried here, and why."""
VERBS: dict[str, tuple[Verb, ...]] = {
    "profile": (
        Verb(_profiles, {"name": "tiny", "folder": Input("profiles", "tiny.yaml", odd.odd_yaml,
        True),
                         "out": Output("params.yaml")}),
    ),
    "clip": (
        Verb(samples.frames, {"frames": Input("frames", "*", odd.odd_picture),
                              "out": Output("a+b+c.mp4")}),
    ),
    "crops info": (Verb(samples.store, {"path": STORE}),),
    "crops verify": (Verb(samples.store, {"path": STORE}),),
    "crops show": (Verb(samples.store, {"path": STORE, "out": Output("x.jpg")}),),
    "crops export": (
        Verb(samples.store, {"path": STORE, "folder": Output("crops")}, check=_cut_out),
    ),
    "extract": (
        Verb(samples.hdf5, {"mat": Input("cuhk-03.mat", odd=odd.odd_hdf5),
                            "out": Output("cuhk03")},
             check=lambda _, out: readers.no_secret(out)),
    ),
    "adopt": (
        Verb(samples.onnx_file, {"onnx_path": Input("net.onnx", odd=odd.odd_onnx),
                                 "folder": Output("model"), "size": "32x16"}),
    ),
    "export": (
        Verb(samples.resnet, {"model": MODEL, "out": Output("net.onnx")}),
    ),
    "calibrate": (
        Verb(samples.model_and_set, {"model": MODEL, "name": "mine", "params": PARAMS},
             made=("model/model.yaml",)),
    ),
    "embed": (
        Verb(samples.model, {"model": MODEL, "source": Input("photos", "[abcd].*", odd.odd_picture),
                             "out": Output("features.npz")}, check=_embedded),
    ),
    "evaluate": (
        Verb(samples.npz, {"what": Input("features.npz", odd=odd.odd_npz), "out": Output("result")},
             ("what", "protocol", "distance", "rerank", "out"), check=_evaluated),
        Verb(samples.npz, {"what": Input("features.npz", odd=odd.odd_npz),
                           "pictures": Output("pictures")}, ("pictures",), check=_evaluated),
        Verb(samples.pth, {"what": Input("features.pth", odd=odd.odd_pth), "queries": "6",
                           "out": Output("result")}, ("queries",), check=_evaluated),
        Verb(samples.model_and_set, {"what": MODEL, "name": "mine", "params": PARAMS,
                                     "out": Output("result")}, ("name", "params", "flip"),
             check=_evaluated),
    ),
    "record": (
        Verb(_repository, {"params": PARAMS, "out": Output("mine.tsv")}, here="in"),
    ),
    "plot": (
        Verb(reader_targets.table_of_results, {"tables": Input("t.tsv", text=True),
        "out": Output("x.svg")}),
    ),
}  # fmt: skip


def leaves(
    parser: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every verb of a parser by its whole name."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield name, parser
    for action in inner:
        for verb, made in action.choices.items():
            yield from leaves(made, f"{name} {verb}".strip())


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and arguments of a verb."""
    return [a for a in parser._actions if not isinstance(a, argparse._HelpAction)]


def name_of(action: argparse.Action) -> str:
    """What a user types: `--batch`, or a place in the line by its name in capitals."""
    return action.option_strings[-1] if action.option_strings else action.dest.upper()


def every() -> list[Target]:
    """A target for each option of each verb that has a way to be called."""
    found = []
    for name, parser in leaves(cli.parser()):
        for action in actions(parser):
            for verb in VERBS.get(name, ()):
                if not verb.tried or action.dest in verb.tried:
                    found.append(_target(name, parser, action, verb))
    return found


def is_known(name: str, action: argparse.Action) -> bool:
    """Whether some way to call the verb tries an option, and knows what kind of path it names."""
    if name in UNTRIED:
        return True
    ways = [v for v in VERBS.get(name, ()) if not v.tried or action.dest in v.tried]
    paths = [v for v in ways if isinstance(v.given.get(action.dest), Input | Output)]
    return bool(paths if action.type is Path else ways)


def _target(
    name: str, parser: argparse.ArgumentParser, action: argparse.Action, verb: Verb
) -> Target:
    shown = f"{name} {name_of(action)}"

    def begin(folder: Path, rng: Rng) -> Case:
        words, what, kept, reset = _odd(folder, rng, action, verb.given.get(action.dest))
        line = _line(folder, parser, verb, {action.dest: words})
        if rng.random() < 0.15:
            line, more = _another(folder, rng, parser, verb, action, words)
            what = f"{what}; {more}"
        made = _made(folder, verb)
        return Case(
            f"{what}: passerby {name} {' '.join(line)}"[:500],
            lambda: _called(folder / verb.here, [*name.split(), *line]),
            lambda _: verb.check(folder, made),
            reset,
            _may_make(folder, verb),
            kept,
        )

    def whole(folder: Path) -> Case:
        line = _line(folder, parser, verb, {})
        made = _made(folder, verb)
        return Case(
            f"passerby {name} {' '.join(line)}"[:500],
            lambda: _called(folder / verb.here, [*name.split(), *line]),
            lambda _: verb.check(folder, made),
            made=_may_make(folder, verb),
        )

    return Target(f"option {shown}", (shown,), verb.make, begin, whole)


def _may_make(folder: Path, verb: Verb) -> tuple[Path, ...]:
    """What a verb may write outside of `out` and `work`, or try to: odd names for an output."""
    odd = folder / verb.here / "-x", folder / "in" / "a-file" / "x"
    return (*(folder / "in" / path for path in verb.made), *odd)


def _made(folder: Path, verb: Verb) -> Path:
    """What a verb writes if it is called as it is meant to be."""
    outputs = [value.path for value in verb.given.values() if isinstance(value, Output)]
    return folder / "out" / (outputs or ["nothing"])[0]


def _called(folder: Path, words: list[str]) -> None:
    begun_in = Path.cwd()
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    try:
        command(*words)
    finally:
        os.chdir(begun_in)


def _line(
    folder: Path, parser: argparse.ArgumentParser, verb: Verb, odd: dict[str, list[str] | None]
) -> list[str]:
    """The command line behind the verb, with some arguments' words replaced; `None` leaves out."""
    options: list[str] = []
    places: list[str] = []
    for action in actions(parser):
        if action.dest in odd:
            words = odd[action.dest]
        elif action.dest in verb.given:
            words = _words(action, _good(folder, verb.given[action.dest]))
        else:
            words = None
        if words is not None:
            (options if action.option_strings else places).extend(words)
    return [*options, *(["--"] if places else []), *places]


def _words(action: argparse.Action, value: str) -> list[str]:
    """An option with its value as one word, so that a value may begin with `-`."""
    if not action.option_strings:
        return [value]
    if action.nargs == "+":
        return [action.option_strings[-1], value]
    return [f"{action.option_strings[-1]}={value}"]


def _good(folder: Path, given: Any) -> str:
    if isinstance(given, Input):
        return str(folder / "in" / given.path)
    return str(folder / "out" / given.path) if isinstance(given, Output) else str(given)


Odd = tuple[list[str] | None, str, tuple[Path, ...], Callable[[], Any]]
"""Words of an option, what is odd, names to be kept, and how to put all back."""


def _odd(folder: Path, rng: Rng, action: argparse.Action, given: Any) -> Odd:
    if isinstance(action, argparse._StoreTrueAction):
        return [action.option_strings[-1]], "given", (), _nothing
    if isinstance(given, Input):
        return _odd_input(folder, rng, action, given)
    if isinstance(given, Output):
        return _odd_output(folder, rng, action, given)
    if action.choices and rng.random() < 0.5:
        text = str(one(rng, tuple(action.choices)))
    else:
        text = odd_number(rng) if (action.type is int) != (rng.random() < 0.2) else odd_text(rng)
    if action.dest == "size" and rng.random() < 0.3:
        text = f"{odd_number(rng)}x{odd_number(rng)}"
    elif action.dest in ("mean", "deviation") and rng.random() < 0.5:
        text = ",".join(odd_number(rng) for _ in range(3))
    return _words(action, text), f"{name_of(action)} {text[:40]!r}", (), _nothing


def _odd_input(folder: Path, rng: Rng, action: argparse.Action, given: Input) -> Odd:
    path = folder / "in" / given.path
    if rng.random() < 0.2:
        text = str(one(rng, (*NAMES, str(folder / "in" / "no"), f"{path}/below", "/dev/null")))
        return _words(action, text), f"{name_of(action)} {text[:40]!r}", (), _nothing
    if path.is_dir() and rng.random() < 0.1:
        what = damaging.put_node(path, folder / "outside", rng)
    else:
        found = [p for p in sorted(path.glob(given.file)) if p.is_file()] if given.file else [path]
        chosen = found[int(rng.integers(len(found)))]
        odd = (
            given.odd if chosen.suffix not in (".safetensors", ".onnx") or not given.text else None
        )
        what = readers.spoil(chosen, folder / "outside", rng, odd, given.text)
        if (path / "model.yaml").is_file() and chosen.name != "model.yaml" and chosen.is_file():
            samples.rehash(path)  # or the hash alone would refuse it
    return _words(action, str(path)), what, (), _nothing


def _odd_output(folder: Path, rng: Rng, action: argparse.Action, given: Output) -> Odd:
    out = folder / "out" / given.path
    if rng.random() < 0.4:
        below = str(folder / "in" / "a-file" / "x")
        (folder / "in" / "a-file").write_text("a file\n")
        below_out = [t for t in damaging.TEXTS if not t.startswith(("/", ".")) and "/.." not in t]
        words = (*(f"{folder / 'out'}/{t}" for t in below_out), below, "", ".", "..", "-x")
        text = str(one(rng, words))
        if text in ("", ".", ".."):
            return _words(action, text), f"{name_of(action)} {text!r}", (), _nothing
        return _words(action, text), f"{name_of(action)} {text[-40:]!r}", (), _nothing
    seed = int(rng.integers(2**31))

    def reset() -> str:
        stream = np.random.default_rng(seed)
        return damaging.put_node(out, folder / "outside", stream, b"there before\n")

    what = reset()
    kept = () if what == "nothing" else (out,)
    return _words(action, str(out)), f"{name_of(action)} is there: {what}", kept, reset


def _nothing() -> None:
    """Nothing to put back."""


def _another(
    folder: Path, rng: Rng, parser: argparse.ArgumentParser, verb: Verb, action: argparse.Action,
    words: list[str] | None,
) -> tuple[list[str], str]:  # fmt: skip
    """The line with a second option that is odd, too, or left out."""
    others = [a for a in actions(parser) if a.dest != action.dest and a.type is not Path]
    if not others:
        return _line(folder, parser, verb, {action.dest: words}), "alone"
    other = others[int(rng.integers(len(others)))]
    given = verb.given.get(other.dest)
    more, what, _, _ = (None, "left out", (), None) if rng.random() < 0.2 else _odd(
        folder, rng, other, given
    )  # fmt: skip
    odd = {action.dest: words, other.dest: more}
    return _line(folder, parser, verb, odd), f"{name_of(other)} {what}"
