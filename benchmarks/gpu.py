"""Measure a GPU in a given number of minutes, beginning with what matters most.

    python benchmarks/gpu.py --minutes 10 --out results
    python benchmarks/gpu.py --list

`docs/gpu.md` says how to run it, and what the figures mean.
"""

import argparse
import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [path for path in (str(HERE), str(HERE.parent / "src")) if path not in sys.path]

import _gpu_plan  # noqa: E402
import _gpu_table  # noqa: E402
from _gpu_plan import Step  # noqa: E402
from passerby import errors, files, parallel  # noqa: E402
from passerby.errors import BadInput  # noqa: E402

PERIOD_S = 0.2
SAVED_EVERY_S = 5.0
"""While a step runs, all files are written this often, and whenever its result changes."""
LOG_BYTES = 200_000
"""How much of the end of each step's log is kept."""


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        BadInput: the number of minutes is not a positive number.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--minutes", type=float, default=10.0, help="how long all steps may take together (10)")
    add("--out", type=Path, default=Path("gpu-results"), help="for the results (gpu-results)")
    add("--only", default="", help="names of steps, separated by commas; by default all")
    add("--list", action="store_true", help="show the steps, and measure nothing")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu is for a rehearsal (cuda)")
    add("--quick", action="store_true", help="small networks and few steps; figures mean nothing")
    add("--market", type=Path, help="folder of Market-1501; by default people are drawn")
    add("--archives", type=Path, help="folder with market1501-{train,query,gallery}.tar.xz")
    add("--work", type=Path, help="folder that later calls use again; by default a temporary one")
    add("--step", help=argparse.SUPPRESS)  # how this program calls itself for one step
    add("--module", help=argparse.SUPPRESS)
    add("--budget-s", type=float, default=0.0, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if not 0 < asked.minutes < float("inf"):
        raise BadInput(f"--minutes {asked.minutes:g}: a number above 0 was wanted")
    for name in ("out", "market", "archives", "work"):
        if getattr(asked, name):
            setattr(asked, name, getattr(asked, name).resolve())
    return asked


def environment(kind: str) -> dict[str, str]:
    """The environment of a step: it finds this repository's modules, and no GPU under `cpu`."""
    paths = [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if kind == "cpu" else {}
    return {**os.environ, **own, **hidden}


class Run:
    """Runs the steps one after the other, and keeps their results.

    Args:
        asked: The parsed command line.
        work: Folder for everything that the steps make.

    Attributes:
        stop: Set this to end the present step and to leave out those after it.
    """

    def __init__(self, asked: argparse.Namespace, work: Path) -> None:
        self._asked, self._work, self._begin_s = asked, work, time.monotonic()
        self._results: dict[str, dict[str, Any]] = {}
        self._left_out: dict[str, str] = {}
        self._about: dict[str, Any] = {}
        self.stop = False
        for folder in (work / "results", work / "logs", asked.out):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def left_s(self) -> float:
        """Seconds that are left of `--minutes`."""
        return self._asked.minutes * 60 - (time.monotonic() - self._begin_s)

    def all(self, steps: list[Step], parts: tuple[str, ...]) -> dict[str, Any]:
        """Run the steps that fit into the time, and return the whole result."""
        for step in steps:
            why_not = _gpu_plan.obstacle(step, self.left_s, parts, self._asked.quick)
            if self.stop:
                why_not = "the command was asked to stop"
            if why_not:
                self._left_out[step.name] = why_not
            else:
                self._one(step)
            self.save()
        return self.save()

    def _one(self, step: Step) -> None:
        """Run a step in a process of its own until it ends or reaches its time limit."""
        budget_s, limit_s = _gpu_plan.seconds(step, self.left_s, self._asked.quick)
        _result(self._work, step.name).unlink(missing_ok=True)
        print(f"gpu: {step.name}: about {step.cost(self._asked.quick):.0f} s", flush=True)
        begin_s, told = time.monotonic(), {"status": "running"}
        self._results[step.name] = told
        with open(_log(self._work, step.name), "wb") as log:
            child = subprocess.Popen(
                self._command(step, budget_s),
                env=environment(self._asked.device),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=parallel.die_with_parent,
            )
            code = self._watched(child, step, begin_s + limit_s)
        told["took_s"] = round(time.monotonic() - begin_s, 1)
        self._take(step.name)
        if code is None:
            told["status"] = "stopped" if self.stop else "timed_out"
            told["error"] = f"killed after {told['took_s']} s; its limit was {limit_s:.0f} s"
        else:
            told["status"] = "failed" if code else "passed"
        if told["status"] == "failed" and "error" not in told:
            told["error"] = f"exit code {code}; {_last_line(self._work, step.name)}"
        print(f"gpu: {step.name}: {told['status']} after {told['took_s']} s", flush=True)

    def _command(self, step: Step, budget_s: float) -> list[str]:
        asked = self._asked
        words = ["--step", step.name, "--module", step.module, "--budget-s", str(budget_s)]
        words += ["--work", str(self._work), "--device", asked.device, "--out", str(asked.out)]
        for name in ("market", "archives"):
            if getattr(asked, name):
                words += [f"--{name}", str(getattr(asked, name))]
        return [sys.executable, str(HERE / "gpu.py"), *words, *(["--quick"] if asked.quick else [])]

    def _watched(self, child: subprocess.Popen[bytes], step: Step, end_s: float) -> int | None:
        """Wait for a step; return its exit code, or `None` if it was killed before its end."""
        seen_ns, saved_s = 0, time.monotonic()
        while child.poll() is None and time.monotonic() < end_s and not self.stop:
            time.sleep(PERIOD_S)
            path = _result(self._work, step.name)
            changed_ns = path.stat().st_mtime_ns if path.exists() else 0
            if changed_ns != seen_ns or time.monotonic() - saved_s > SAVED_EVERY_S:
                seen_ns, saved_s = changed_ns, time.monotonic()
                self._take(step.name)
                self.save()
        code = child.poll()
        # What the step has started is in its process group, or ends when its parent does.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return code

    def _take(self, name: str) -> None:
        """Read what a step has written so far."""
        path = _result(self._work, name)
        if not path.exists():
            return
        told = files.read_json(path)
        self._about = self._about or told["about"]
        for key in ("result", "error"):
            if key in told:
                self._results[name][key] = told[key]

    def save(self) -> dict[str, Any]:
        """Write results, table and logs."""
        asked = self._asked
        found = {
            "what": "measurements of a GPU by benchmarks/gpu.py",
            "settings": {
                "minutes": asked.minutes,
                "device": asked.device,
                "quick": asked.quick,
                "only": asked.only,
                "data": "Market-1501" if asked.market or asked.archives else "drawn people",
            },
            **self._about,
            "took_s": round(time.monotonic() - self._begin_s, 1),
            "steps": self._results,
            "left_out": self._left_out,
        }
        found["goals"] = _gpu_table.goals(found)
        files.write_json(asked.out / "gpu.json", found)
        files.write_text(asked.out / "table.txt", _gpu_table.table(found) + "\n")
        logs = [f"==== {name}\n{_end_of_log(self._work, name)}" for name in self._results]
        files.write_text(asked.out / "logs.txt", "\n".join(logs))
        return found


def _result(work: Path, name: str) -> Path:
    return work / "results" / f"{name}.json"


def _log(work: Path, name: str) -> Path:
    return work / "logs" / f"{name}.log"


def _end_of_log(work: Path, name: str) -> str:
    path = _log(work, name)
    return path.read_bytes()[-LOG_BYTES:].decode(errors="replace") if path.exists() else ""


def _last_line(work: Path, name: str) -> str:
    lines = _end_of_log(work, name).strip().splitlines()
    return f"its last line: {lines[-1]}" if lines else "it printed nothing"


@contextlib.contextmanager
def work_folder(asked: argparse.Namespace) -> Iterator[Path]:
    """The folder that was named, or a temporary one that is deleted at the end."""
    if asked.work:
        # A rehearsal makes other pictures and models than a real run.
        yield asked.work / "quick" if asked.quick else asked.work
    else:
        with tempfile.TemporaryDirectory(prefix="gpu-", ignore_cleanup_errors=True) as name:
            yield Path(name)


def step(asked: argparse.Namespace) -> int:
    """Do one step in this process, and return its exit code."""
    from _gpu_context import Context

    context = Context(
        asked.step,
        asked.work,
        asked.device,
        asked.quick,
        asked.budget_s,
        asked.market,
        asked.archives,
    )
    context.keep()
    try:
        getattr(importlib.import_module(asked.module), asked.step)(context)
    except Exception as error:
        traceback.print_exc()
        context.fail(error)
        return 1
    return 0


def require_writable(folder: Path) -> None:
    """Make a folder where there is none, and refuse one in which no file can be written.

    Raises:
        BadInput: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(
            f"{folder}: no file can be written there ({error.strerror}); name another folder"
        ) from None


def require_device(kind: str) -> None:
    """Refuse to measure where there is no GPU.

    Raises:
        BadInput: torch sees none.
    """
    import torch

    if kind == "cuda" and not torch.cuda.is_available():
        raise BadInput(
            "torch finds no GPU here; for a rehearsal without one give --device cpu --quick"
        )


def main(*words: str) -> None:
    """Run the steps that the command line asks for, and print the table."""
    asked = arguments(list(words))
    if asked.step:
        sys.exit(step(asked))
    steps = _gpu_plan.chosen(asked.only)
    if asked.list:
        print(_gpu_plan.listing(steps))
        return
    import _gpu_data

    require_device(asked.device)
    parts = _gpu_data.parts(asked.market, asked.archives)
    for folder in filter(None, (asked.out, asked.work)):  # last, since it makes them
        require_writable(folder)
    with work_folder(asked) as work:
        run = Run(asked, work)

        def ask(number: int, frame: FrameType | None) -> None:
            run.stop = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask)
        found = run.all(steps, parts)
    print(_gpu_table.table(found))
    statuses = {one["status"] for one in found["steps"].values()}
    if statuses != {"passed"}:  # none at all where no step fits into the time
        sys.exit(1)


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
