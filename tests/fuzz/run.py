"""Feeds damaged and odd input to every reader, every option and the settings, in this process.

    python tests/fuzz/run.py --seed 0 --count 2000
    python tests/fuzz/run.py --seconds 120                    a sample that touches every target
    python tests/fuzz/run.py --only 'option embed' --count 50
    python tests/fuzz/run.py --first 50 --count 2000          what a shorter run left to do
    python tests/fuzz/run.py --only 'reader npz' --case 17    one case again, with its details
    python tests/fuzz/run.py --list

A case fails by a traceback, by a hang, by the end of its process, by a file outside of its folder,
by a figure that is not finite, or by another result the second time. Ends with 1 if any failed.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path[:0] = [str(Path(__file__).resolve().parent)]

import targets  # noqa: E402
from cases import Outcome, Target  # noqa: E402
from worker import Worker  # noqa: E402

from passerby.progress import Progress  # noqa: E402

COUNT, DEADLINE_S, LEAST = 2000, 20.0, 2


@dataclass
class Tally:
    """What became of the cases of one target."""

    ok: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    kinds: dict[str, list[tuple[int, Outcome]]] = field(default_factory=dict)
    """Failures by kind: number and outcome of each."""

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.ok + self.refused + self.failed

    def add(self, number: int, found: Outcome, seconds: float) -> None:
        """Count one."""
        setattr(self, found.state, getattr(self, found.state) + 1)
        self.seconds += seconds
        if found.state == "failed":
            self.kinds.setdefault(found.kind, []).append((number, found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and report it; the exit code."""
    asked = _parser().parse_args(arguments)
    chosen = {t.name: t for t in targets.every() if any(o in t.name for o in asked.only or [""])}
    if asked.list or not chosen:
        print("\n".join(chosen) or f"no target is called {' or '.join(asked.only)}; see --list")
        return 0 if chosen else 2
    if asked.case is not None:
        return _one_case(chosen, asked.seed, asked.case, asked.deadline)
    numbers = range(asked.first, asked.count)
    tallies = fuzz(chosen, asked.seed, numbers, asked.seconds, asked.deadline)
    print(report(tallies, asked.seed))
    return int(any(tally.failed for tally in tallies.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--count", type=int, default=COUNT, help="cases a target, from 0 (%(default)s)"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first case; 0: whole")
    parser.add_argument("--seconds", type=float, help="end then, but try every target")
    parser.add_argument("--only", action="append", help="targets whose name holds this; repeat it")
    parser.add_argument(
        "--deadline",
        type=float,
        default=DEADLINE_S,
        help="seconds that a case may work, or do nothing (%(default)s)",
    )
    parser.add_argument("--case", type=int, help="only this number, with its details")
    parser.add_argument("--list", action="store_true", help="name the targets")
    return parser


def fuzz(
    chosen: dict[str, Target],
    seed: int,
    numbers: range,
    seconds: float | None = None,
    deadline_s: float = DEADLINE_S,
) -> dict[str, Tally]:
    """Run cases of all targets by turns.

    Args:
        chosen: Targets by name.
        seed: Of all streams.
        numbers: Of the cases of each target; case 0 is whole input.
        seconds: When to end, whatever is left; the first `LEAST` of these cases of every target are
            run all the same.
        deadline_s: Of a case.
    """
    tallies = {name: Tally() for name in chosen}
    end = time.monotonic() + (seconds if seconds is not None else float("inf"))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as base:
        worker = Worker(chosen, Path(base), deadline_s)
        try:
            with Progress("fuzz", len(numbers) * len(chosen), "cases") as progress:
                for name, number in _by_turns(chosen, numbers):
                    begin = time.monotonic()
                    if number >= numbers.start + LEAST and begin > end:
                        left = len(numbers) * len(chosen) - progress.done
                        progress.leave_out("out of time", left)
                        break
                    found = worker.run(name, seed, number)
                    tallies[name].add(number, found, time.monotonic() - begin)
                    if found.state == "failed":  # the report comes much later
                        print(f"\nFAILED {name}, case {number}: {found.kind}", file=sys.stderr)
                    progress.step(note=f"{sum(t.failed for t in tallies.values())} failed")
        except KeyboardInterrupt:
            print("stopped; this is what was done", file=sys.stderr)
        finally:
            worker.stop()
    return tallies


def _by_turns(names: dict[str, Target], numbers: range) -> Iterator[tuple[str, int]]:
    for number in numbers:
        for name in names:
            yield name, number


def report(tallies: dict[str, Tally], seed: int) -> str:
    """A line a target, then a paragraph a kind of failure, then the sums."""
    lines = [f"{'cases':>7} {'ok':>7} {'refused':>7} {'failed':>7} {'s':>7}  target"]
    for name, tally in tallies.items():
        counts = (tally.cases, tally.ok, tally.refused, tally.failed)
        told = " ".join(f"{count:>7,}" for count in counts)
        lines.append(f"{told} {tally.seconds:>7.1f}  {name}")
    for name, tally in tallies.items():
        for kind, found in tally.kinds.items():
            number, first = found[0]
            again = f"python tests/fuzz/run.py --seed {seed} --only {name!r} --case {number}"
            last = first.details.strip().rpartition("\n")[2]
            told = f"{_short(first.what)}: {_short(last)}"
            lines.append(f"FAILED {name}: {kind}, {len(found)} times; {told}\n    {again}")
    cases, failed = (sum(getattr(t, k) for t in tallies.values()) for k in ("cases", "failed"))
    seconds = sum(tally.seconds for tally in tallies.values())
    lines.append(
        f"seed {seed}: {len(tallies)} targets, {cases:,} cases, {failed:,} failed, {seconds:.0f} s"
    )
    return "\n".join(lines)


def _short(text: str) -> str:
    """A text in printable characters, the folder of its case left out."""
    return ascii(re.sub(r"/\S*?/case-\w+/", "", text))[:300]


def _one_case(chosen: dict[str, Target], seed: int, number: int, deadline_s: float) -> int:
    code = 0
    for name in chosen:
        found = next(iter(fuzz_one(chosen, name, seed, number, deadline_s)))
        print(f"{name}, case {number}: {found.state} {found.kind}\n{found.what!a}")
        print("\n".join(map(ascii, found.details.splitlines())))
        code |= found.state == "failed"
    return int(code)


def fuzz_one(
    chosen: dict[str, Target], name: str, seed: int, number: int, deadline_s: float
) -> Iterator[Outcome]:
    """The outcome of one case."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as base:
        worker = Worker(chosen, Path(base), deadline_s)
        try:
            yield worker.run(name, seed, number)
        finally:
            worker.stop()


if __name__ == "__main__":
    sys.exit(main())
