"""What all tests share: one thread a process, GPUs, reasons for skipping, and the real data.

Tests see a GPU only under `pytest -m gpu`, which selects those that are marked `gpu`. All others
are written for CPUs; those with two processes would fail on a machine with one GPU.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "plugins"))

import needs  # noqa: E402

torch.set_num_threads(1)
# Tests start dvc, and dvc starts python: both are those of this environment, whatever PATH was.
os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
ACCOUNT_FOR_SKIPS = "PASSERBY_ACCOUNT_FOR_SKIPS"
"""Environment: if set, skipped tests are listed; pytest fails if a skipped test had its need."""


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from tests for CPUs and from the processes that they start."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # read when CUDA starts, which it has not


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that are marked `gpu` where torch sees no GPU."""
    if needs.need("a GPU").is_there():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=needs.reason("a GPU")))


def skipped(config: pytest.Config) -> list[tuple[str, str]]:
    """Name and reason of every test, or whole module, that was skipped."""
    reports = config.pluginmanager.getplugin("terminalreporter").stats.get("skipped", [])
    return [(each.nodeid, each.longrepr[2].removeprefix("Skipped: ")) for each in reports]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that shall account for its skipped tests if one was skipped without need."""
    if os.environ.get(ACCOUNT_FOR_SKIPS) and exitstatus == pytest.ExitCode.OK:
        _, is_faulty = needs.account(skipped(session.config))
        if is_faulty:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List skipped tests if that was asked for."""
    if os.environ.get(ACCOUNT_FOR_SKIPS):
        terminalreporter.section("skipped tests")
        terminalreporter.write("".join(f"{line}\n" for line in needs.account(skipped(config))[0]))


@pytest.fixture(scope="session")
def realdata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real archives laid out, or a skip.

    `PASSERBY_REALDATA` names the folder that holds the archives and their `assemble`;
    `PASSERBY_REALDATA_LAID_OUT`, if given, one where that was done already.
    """
    needs.require("the archives of real data")
    laid_out = os.environ.get("PASSERBY_REALDATA_LAID_OUT")
    if laid_out:
        return Path(laid_out)
    target = tmp_path_factory.mktemp("realdata")
    subprocess.run(
        [Path(os.environ["PASSERBY_REALDATA"]) / "assemble", "--to", target],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return target


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a disk of a size such as `64k`, where this may be mounted; `True`: read-only."""
    needs.require("the right to mount a disk")
    folder = tmp_path / "small"

    def mounted(size: str, read_only: bool = False) -> Path:
        folder.mkdir()
        options = f"size={size}" + (",ro" if read_only else "")
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        subprocess.run(mount, check=True)
        return folder

    yield mounted
    subprocess.run(["umount", str(folder)], check=True)
