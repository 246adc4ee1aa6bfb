"""A process of its own for other people's networks: what happens there is a message here."""

import shutil
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from passerby import isolation
from passerby.isolation import Failed, Run

MODULE = """
    import os
    import numpy as np

    def doubles(path):
        factor = float(path.read_text())
        return lambda batch: batch * factor

    def counts(path):
        seen = []
        return lambda batch: seen.append(1) or np.full(len(batch), len(seen))

    def crashes_reading(path):
        os.abort()

    def crashes_running(path):
        return lambda batch: os.abort()

    def spins(path):
        while True:
            pass

    def wants_all_memory(path):
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return lambda batch: np.ones(whole, np.uint8)

    def raises_reading(path):
        raise ValueError("no layer \\x1b[2J\\nat line 5")

    def raises_running(path):
        return lambda batch: {}[len(batch)]

    def gives_texts(path):
        return lambda batch: ["a", "b"]

    def gives_too_much(path):
        return lambda batch: np.broadcast_to(np.float32(1), (2**20, 2**10))

    def prints(path):
        print("loud" * 10**5, flush=True)
        return lambda batch: batch
"""
BATCHES = [np.ones((2, 3), np.float32), np.full((1, 3), 5, np.float32)]


@pytest.fixture
def reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Callable[[Path], Run]]:
    """A function of a module that can be imported here, and so in the process too."""
    (tmp_path / "foreign_library.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name: getattr(import_module("foreign_library"), name)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    (tmp_path / "network").write_text("2")
    return tmp_path / "network"


def test_outputs_are_those_of_the_same_function_here(
    reader: Callable[[str], Callable[[Path], Run]], network: Path
) -> None:
    found = isolation.outputs(reader("doubles"), network, BATCHES, times=2)
    assert [len(each) for each in found] == [2, 2]
    for each in found:
        for output, batch in zip(each, BATCHES, strict=True):
            np.testing.assert_array_equal(output, batch * 2)
    counted = isolation.outputs(reader("counts"), network, BATCHES, times=2)
    assert [output.tolist() for each in counted for output in each] == [[1, 1], [2], [3, 3], [4]]


@pytest.mark.parametrize(
    ("name", "says", "was_read", "was_ended"),
    [
        ("crashes_reading", "the library crashed over it: SIGABRT", False, True),
        ("crashes_running", "the library crashed over it: SIGABRT", True, True),
        ("raises_reading", r"no layer \\x1b\[2J$", False, False),
        ("raises_running", "^2$", True, False),
        ("wants_all_memory", "Unable to allocate", True, False),
        ("gives_texts", "its first output is list of <U1, not numbers", True, False),
        ("gives_too_much", r"the shape \(1048576, 1024\), which is too much", True, False),
    ],
)
def test_whatever_goes_wrong_is_told_in_a_line(
    reader: Callable[[str], Callable[[Path], Run]],
    network: Path,
    name: str,
    says: str,
    was_read: bool,
    was_ended: bool,
) -> None:
    with pytest.raises(Failed, match=says) as caught:
        isolation.outputs(reader(name), network, BATCHES, times=1)
    assert (caught.value.was_read, caught.value.was_ended) == (was_read, was_ended)


@pytest.mark.slow
def test_what_never_ends_is_ended(
    reader: Callable[[str], Callable[[Path], Run]], network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "MOST_CPU_S", 1)
    with pytest.raises(Failed, match="it took more than 1 s of processor time") as caught:
        isolation.outputs(reader("spins"), network, BATCHES, times=1)
    assert caught.value.was_ended
    monkeypatch.setattr(isolation, "MOST_CPU_S", 100)
    monkeypatch.setattr(isolation, "MOST_S", 1)
    with pytest.raises(Failed, match="it had not ended after 1 s"):
        isolation.outputs(reader("spins"), network, BATCHES, times=1)


def test_what_a_library_prints_is_not_shown_and_does_not_block(
    reader: Callable[[str], Callable[[Path], Run]],
    network: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    isolation.outputs(reader("prints"), network, BATCHES, times=1)
    assert capfd.readouterr() == ("", "")


def test_no_module_of_the_folder_that_one_happens_to_be_in_is_imported(
    reader: Callable[[str], Callable[[Path], Run]],
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    for name in ("numpy.py", "passerby.py", "resource.py"):
        (tmp_path / "here" / name).write_text("raise SystemExit('the wrong one')")
    double = reader("doubles")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("sys.path", ["", *sys.path])
    (found,) = isolation.outputs(double, network, BATCHES[:1], times=1)
    assert found[0].tolist() == [[2.0] * 3] * 2


def test_a_process_that_cannot_start_is_no_fault_of_the_network(
    reader: Callable[[str], Callable[[Path], Run]], network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="ended with 1"):
        isolation.outputs(reader("doubles"), network, BATCHES, times=1)
