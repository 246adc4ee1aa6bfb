"""Running a module under torchrun, and ending as it did.

torchrun ends with 1 whatever its workers ended with. So a worker that ends with a refusal, or was
stopped, says so in a file (`OUTCOME`) and ends with 0, and the launcher raises it again. To stop,
the launcher lays down a file (`STOP`) for which the workers look at each step: they then save and
end together, which a signal passed on by torchrun does not give them time for.

Nothing outlives the launcher: torchrun dies with it, and the workers with torchrun.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from passerby import files, places
from passerby.errors import STOPPED, BadInput, PasserbyError, Stopped, of_disk
from passerby.parallel import die_with_parent

OUTCOME = "outcome.json"
_OUTCOME_BYTES = 4096
"""What the launcher keeps free for an outcome: a worker may end because the disk is full."""
STOP = "stop"
_LAUNCHER = "PASSERBY_LAUNCHER"
"""Environment: number of the process that launched."""


class WorkersFailed(RuntimeError):
    """A worker ended with an error of ours or was killed; what it said stands above."""


def processes(accelerators: int, default: int | None = None) -> int:
    """How many processes train together: `PASSERBY_PROCESSES`, or `default` if it is not set.

    Args:
        accelerators: GPUs that this machine has.
        default: `None` stands for one per GPU, or one where there is no GPU.

    Raises:
        BadInput: the variable is not a number from 1 to 9999, or there are GPUs and it asks for
            more processes than there are GPUs: each process trains on a GPU of its own.
    """
    text = os.environ.get("PASSERBY_PROCESSES", "")
    if not text:
        return max(accelerators, 1) if default is None else default
    if not re.fullmatch("0*[1-9][0-9]{0,3}", text):
        shown = text if len(text) < 20 else f"{text[:20]}..."
        raise BadInput(f"PASSERBY_PROCESSES={shown}: a number from 1 to 9999 was wanted")
    if int(text) > accelerators > 0:
        found = "1 GPU" if accelerators == 1 else f"{accelerators} GPUs"
        raise BadInput(
            f"PASSERBY_PROCESSES={text}: this machine has {found}, and each process needs one of "
            f"its own; set it to at most {accelerators}, or unset it"
        )
    return int(text)


def torchrun(module: str, folder: Path, count: int, threads: int) -> None:
    """Run `python -m module folder` in `count` processes, and end as they did.

    Args:
        module: Its `main` goes through `worker`.
        folder: Scratch of the run: its argument, and where outcome and stop request lie.
        count: Processes.
        threads: Of each process.

    Raises:
        Stopped: SIGTERM or SIGINT came, and the workers saved what they had.
        BadInput: the workers refused something.
        WorkersFailed: one of them failed or was killed.
    """
    (folder / STOP).unlink(missing_ok=True)
    with places.written_to(folder / OUTCOME):
        (folder / OUTCOME).write_bytes(b" " * _OUTCOME_BYTES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    # Without this, the workers would look for each other under the host's name, and wait for
    # minutes if that name cannot be resolved.
    command += ["--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(count), "--module", module, str(folder)]
    # A session of its own: a terminal's Ctrl-C reaches the launcher alone, which then asks nicely.
    with _stop_requests(folder / STOP) as running:
        child = subprocess.Popen(
            command, env=_environment(threads), preexec_fn=die_with_parent, start_new_session=True
        )
        running.append(child)
        code = child.wait()
    _raise_outcome(folder / OUTCOME, module, code)


def _environment(threads: int) -> dict[str, str]:
    """The workers' environment: threads fixed, gloo and NCCL on loopback unless the user chose.

    All workers are on this machine.
    """
    own = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    own[_LAUNCHER] = str(os.getpid())
    loopback = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    return {**loopback, **os.environ, **own}


@contextlib.contextmanager
def _stop_requests(request: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Turn SIGTERM and SIGINT into the file `request`; a second one kills what runs."""
    running: list[subprocess.Popen[bytes]] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if request.exists():
            for child in running:
                child.kill()
        request.touch()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield running
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_outcome(path: Path, module: str, code: int) -> None:
    """Raise what the workers left, if they left anything or failed."""
    if path.read_bytes().strip():
        outcome = files.read_json(path)
        raise (Stopped if outcome["exit"] == STOPPED else BadInput)(outcome["message"])
    if code:
        raise WorkersFailed(f"{module}: torchrun ended with {code}; the cause stands above")


def worker(main: Callable[[Path], None]) -> NoReturn:
    """A worker's program: run `main(folder)`, and leave refusals for the launcher to raise.

    The process then ends at once, nothing taken down (`processes.joined` says why).
    """
    die_with_parent()
    code = 1
    if not _orphaned():  # while Python started, before the kernel was asked
        code = _ended(main, Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _ended(main: Callable[[Path], None], folder: Path) -> int:
    """Run `main(folder)` and return an exit code: 1 for an error of ours, shown in full."""
    try:
        main(folder)
    except PasserbyError as error:
        return _left(folder / OUTCOME, error)
    except BaseException as error:
        if fault := of_disk(error):
            return _left(folder / OUTCOME, fault)
        traceback.print_exc()
        return 1
    return 0


def _left(path: Path, error: PasserbyError) -> int:
    """Leave a refusal for the launcher, in the room that it kept, unless another worker did."""
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not file.read().strip():
            file.seek(0)
            file.write(json.dumps({"exit": error.exit_code, "message": str(error)}).encode())
    return 0


def _orphaned() -> bool:
    """Whether this worker's parent is no longer the torchrun of its launcher (Linux)."""
    if sys.platform != "linux" or _LAUNCHER not in os.environ:
        return False
    # Behind the name, which may hold anything: state, number of the parent, ...
    parent = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1]
    return parent != os.environ[_LAUNCHER]
