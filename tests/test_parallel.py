"""Several items at once: in order, as many as asked for, and none outlives who asked."""

import os
from pathlib import Path

import pytest

from passerby import parallel
from passerby.errors import BadInput


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def refuse(number: int) -> None:
    raise BadInput(f"item {number}")


def test_results_come_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERBY_WORKERS", "2")
    done = list(parallel.each(square, range(20)))
    assert [found for found, _ in done] == [n**2 for n in range(20)]
    assert os.getpid() not in {process for _, process in done}


def test_a_refusal_in_a_worker_is_raised_here() -> None:
    with pytest.raises(BadInput, match="item 3"):
        list(parallel.each(refuse, [3]))


def test_workers_must_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERBY_WORKERS", "many")
    with pytest.raises(BadInput, match="PASSERBY_WORKERS: found 'many', wanted a number from 1"):
        parallel.workers()
    monkeypatch.delenv("PASSERBY_WORKERS")
    assert parallel.workers() == len(os.sched_getaffinity(0))


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:  # a parent that ends at once, and its child that would sleep for long
        grandchild = os.fork()
        if grandchild == 0:
            parallel.die_with_parent()
            (tmp_path / "ready").touch()
            os.execvp("sleep", ["sleep", "60"])
        while not (tmp_path / "ready").exists():
            pass
        (tmp_path / "pid").write_text(str(grandchild))
        os._exit(0)
    os.waitpid(child, 0)
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    for _ in range(1000):
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
    pytest.fail("the worker outlived its parent")
