"""Other people's networks run in a process of their own: whatever happens there is a message here.

A library can crash over a bad file, never end, or ask for all memory there is. So a network is
tried in a process with limits first.

    python -m passerby.isolation MODULE:FUNCTION NETWORK FOLDER TIMES SECONDS
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from passerby import parallel
from passerby.foreign import first_line

MOST_CPU_S = 120
"""Of one trial, the start of the library included."""
MOST_S = 900
"""Of one trial on a machine that has other work, too."""
MOST_OUTPUT_BYTES = 2**28
"""Of one output."""
_SAID = 3
"""Exit code: an exception was raised, and its first line was written down."""

Run = Callable[[np.ndarray], np.ndarray]
"""From a batch to the network's first output."""


class Failed(Exception):
    """A network could not be run; the text says why.

    Attributes:
        was_read: Whether the library had read the file.
        was_ended: Whether the process did not end by itself: a crash, or one of the limits.
    """

    def __init__(self, why: str, was_read: bool, was_ended: bool = False) -> None:
        super().__init__(why)
        self.was_read, self.was_ended = was_read, was_ended


def outputs(
    read: Callable[[Path], Run], path: Path, batches: Sequence[np.ndarray], times: int
) -> list[list[np.ndarray]]:
    """Outputs of a network for some batches, run one after another in a process of its own.

    Args:
        read: Makes a network of a file; a function of a module that can be imported.
        path: The file.
        batches: What the network is given.
        times: How often it is given all of them.

    Returns:
        For each time, the output for each batch.

    Raises:
        Failed: the library refused the file or a batch, crashed, took too long or too much memory,
            or the output is not made of numbers.
    """
    with TemporaryDirectory(prefix="passerby-") as name:
        folder = Path(name)
        np.savez(folder / "batches.npz", *batches)
        _run(f"{read.__module__}:{read.__qualname__}", path, folder, times)
        with np.load(folder / "outputs.npz", allow_pickle=False) as held:
            found = [held[f"arr_{number}"] for number in range(times * len(batches))]
    return [found[begin : begin + len(batches)] for begin in range(0, len(found), len(batches))]


def _run(read: str, path: Path, folder: Path, times: int) -> None:
    """Run the process to its end; it leaves `outputs.npz` in the folder."""
    command = [sys.executable, "-P", "-m", "passerby.isolation", read, str(path), str(folder)]
    command += [str(times), str(MOST_CPU_S)]
    # What can be imported here, and nothing of the folder in which somebody happens to be.
    found_in = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": found_in},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MOST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"it had not ended after {MOST_S} s", _was_read(folder), True) from None
    if done.returncode == _SAID:
        raise Failed((folder / "said").read_text(), _was_read(folder))
    if done.returncode < 0:
        raise Failed(_ending(-done.returncode), _was_read(folder), True)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode()}")


def _was_read(folder: Path) -> bool:
    return (folder / "read").exists()


def _ending(number: int) -> str:
    if number == signal.SIGXCPU:
        return f"it took more than {MOST_CPU_S} s of processor time"
    name = signal.Signals(number).name
    return f"the library crashed over it: {name}"


def main(read: str, path: str, folder: str, times: str, most_cpu_s: str) -> None:
    """Read a network, give it the batches, and write down what comes out, or why nothing does."""
    parallel.die_with_parent()
    _limit(int(most_cpu_s))
    here = Path(folder)
    try:
        module, function = read.split(":")
        run: Run = getattr(import_module(module), function)(Path(path))
        (here / "read").touch()
        with np.load(here / "batches.npz", allow_pickle=False) as held:
            batches = [held[name] for name in held.files]
        found = [_numbers(run(batch)) for _ in range(int(times)) for batch in batches]
        np.savez(here / "outputs.npz", *found)
    except Exception as error:  # each library has a family of its own
        (here / "said").write_text(first_line(error))
        sys.exit(_SAID)


def _limit(most_cpu_s: int) -> None:
    """Let this process be what ends, and not the machine, if a network asks for too much."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, most_cpu_s)
    for kind, most in (*limits, (resource.RLIMIT_CORE, 0)):
        _, allowed = resource.getrlimit(kind)
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (most, allowed))
    with contextlib.suppress(OSError):  # Linux's list of whom to end when memory is short
        Path("/proc/self/oom_score_adj").write_text("1000")


def _numbers(output: object) -> np.ndarray:
    array = np.asarray(output)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"its first output is {type(output).__name__} of {array.dtype}, not numbers"
        )
    if array.nbytes > MOST_OUTPUT_BYTES:
        raise ValueError(f"its first output has the shape {array.shape}, which is too much")
    return array


if __name__ == "__main__":
    main(*sys.argv[1:])
