import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import needs
import pytest

from passerby import files
from passerby.errors import BadInput
from passerby.training import launch

HERE = Path(__file__).parent
LAUNCH = """
import sys
from pathlib import Path
from passerby import errors
from passerby.training import launch
errors.run(launch.torchrun, "launch_samples", Path(sys.argv[1]), 2, 1)
"""


@pytest.fixture(autouse=True)
def samples_on_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def torchrun(folder: Path, what: str, processes: int = 2) -> None:
    (folder / "do").write_text(what)
    launch.torchrun("launch_samples", folder, processes, threads=1)


def launched(folder: Path) -> subprocess.Popen:
    """A launcher in a process of its own, whose two workers wait."""
    (folder / "do").write_text("wait")
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(folder)], stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: len(list(folder.glob("ready-*"))) == 2)
    return process


def wait_until(answer, limit_s: float = 60) -> None:
    end_s = time.monotonic() + limit_s
    while not answer():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def living(folder: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_processes_are_one_a_gpu_or_what_the_variable_says(monkeypatch):
    monkeypatch.delenv("PASSERBY_PROCESSES", raising=False)
    assert [launch.processes(n) for n in (0, 1, 8)] == [1, 1, 8]
    assert [launch.processes(n, default=1) for n in (0, 1, 8)] == [1, 1, 1]
    monkeypatch.setenv("PASSERBY_PROCESSES", "3")
    assert launch.processes(8) == launch.processes(8, default=1) == 3


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5", " 2", "2\n", "\u0662", "12345"])
def test_processes_refuses_what_is_no_number_from_1_to_9999(monkeypatch, text):
    monkeypatch.setenv("PASSERBY_PROCESSES", text)
    with pytest.raises(BadInput) as refused:
        launch.processes(1)
    shown = text.replace("\n", "\\n")
    assert str(refused.value) == f"PASSERBY_PROCESSES={shown}: a number from 1 to 9999 was wanted"


def test_a_number_of_processes_with_thousands_of_digits_is_refused_in_one_short_line(monkeypatch):
    monkeypatch.setenv("PASSERBY_PROCESSES", "9" * 5000)
    with pytest.raises(BadInput, match=r"PASSERBY_PROCESSES=9{20}\.\.\.: a number from 1 to 9999"):
        launch.processes(1)


@pytest.mark.parametrize(("asked", "gpus", "found"), [(2, 1, "1 GPU"), (9, 8, "8 GPUs")])
def test_more_processes_than_gpus_are_refused(monkeypatch, asked, gpus, found):
    monkeypatch.setenv("PASSERBY_PROCESSES", str(asked))
    with pytest.raises(BadInput) as refused:
        launch.processes(gpus)
    assert str(refused.value) == (
        f"PASSERBY_PROCESSES={asked}: this machine has {found}, and each process needs one of its "
        f"own; set it to at most {gpus}, or unset it"
    )


def test_as_many_processes_as_gpus_and_any_number_without_gpus_are_accepted(monkeypatch):
    monkeypatch.setenv("PASSERBY_PROCESSES", "8")
    assert launch.processes(8) == 8
    assert launch.processes(0) == 8


@pytest.mark.slow
def test_a_machine_whose_name_has_no_address_launches_like_any_other(tmp_path):
    """Without `--local-addr` torchrun would try to resolve the name for minutes."""
    needs.require("the right to rename the machine")
    (tmp_path / "do").write_text("collect")
    command = ["unshare", "--map-root-user", "--uts", "sh", "-c"]
    command += ['hostname no-such-host.invalid && exec "$0" -c "$1" "$2"']
    command += [sys.executable, LAUNCH, str(tmp_path)]
    done = subprocess.run(command, timeout=60, check=False)
    assert done.returncode == 0
    assert files.read_json(tmp_path / "found-1.json")["gathered"] == [0, 1, 2, 3, 4, 5]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [None, "eth7"])
def test_collectives_go_over_loopback_unless_the_user_chose(tmp_path, monkeypatch, chosen):
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if chosen:
            monkeypatch.setenv(name, chosen)
        else:
            monkeypatch.delenv(name, raising=False)
    torchrun(tmp_path, "interfaces", processes=1)
    assert files.read_json(tmp_path / "interfaces.json") == [chosen or "lo"] * 2


@pytest.mark.slow
def test_two_processes_share_gather_and_average(tmp_path):
    torchrun(tmp_path, "collect")
    for rank in (0, 1):
        assert files.read_json(tmp_path / f"found-{rank}.json") == {
            "world": 2,
            "threads": 1,
            "omp": "1",
            "gathered": [0, 1, 2, 3, 4, 5],
            "mean": [1.5, 0],
            "anybody": [True, False],
            "told": "by 0",
        }


@pytest.mark.slow
def test_a_workers_refusal_is_raised_by_the_launcher_and_forgotten_by_the_next_run(tmp_path):
    with pytest.raises(BadInput) as refused:
        torchrun(tmp_path, "refuse", processes=1)
    assert str(refused.value) == "found a horse, wanted a cow; ask the farmer"
    torchrun(tmp_path, "collect", processes=1)


@pytest.mark.slow
def test_workers_that_fill_the_disk_can_still_say_so(disk_of):
    disk = disk_of("200k")
    with pytest.raises(BadInput) as refused:
        torchrun(disk, "fill")
    assert str(refused.value) == (
        "an output: the disk is full (No space left on device); make room and run again"
    )


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_and_the_launcher(tmp_path):
    with pytest.raises(launch.WorkersFailed) as failed:
        torchrun(tmp_path, "crash")
    assert str(failed.value) == "launch_samples: torchrun ended with 1; the cause stands above"
    assert living(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_lets_workers_save_and_ends_with_75(tmp_path, number):
    process = launched(tmp_path)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert said.splitlines()[-1] == "passerby: saved at step 12"
    assert living(tmp_path) == []


@pytest.mark.slow
def test_nothing_outlives_a_killed_launcher(tmp_path):
    process = launched(tmp_path)
    assert len(living(tmp_path)) == 4  # launcher, torchrun, two workers
    process.kill()
    process.wait()
    wait_until(lambda: not living(tmp_path), limit_s=5)


@pytest.mark.slow
def test_a_launcher_that_is_killed_while_workers_start_leaves_nothing(tmp_path):
    (tmp_path / "do").write_text("wait")
    process = subprocess.Popen([sys.executable, "-c", LAUNCH, str(tmp_path)])
    # Workers exist as soon as there are four; Python has only begun in them.
    wait_until(lambda: len(living(tmp_path)) == 4)
    process.kill()
    process.wait()
    wait_until(lambda: not living(tmp_path), limit_s=30)
    assert not list(tmp_path.glob("ready-*"))


def test_signals_are_as_before_after_a_run(tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(launch.sys, "executable", "/bin/true")
    launch.torchrun("launch_samples", tmp_path, 1, 1)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
