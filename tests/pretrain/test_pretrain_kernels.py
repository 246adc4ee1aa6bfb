"""Whether the Triton kernels can be launched: Triton, a C compiler and Python's header files."""

import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerby.pretrain import kernels


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with Triton, a C compiler and header files, all of which are empty files."""
    for name in ("bin/gcc", "include/Python.h"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme: str(tmp_path / name))
    monkeypatch.setattr(kernels, "find_spec", lambda name: name)
    kernels.is_available.cache_clear()
    yield tmp_path
    kernels.is_available.cache_clear()


def test_kernels_are_available_where_triton_can_compile(machine: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.is_available()


def test_without_triton_there_are_no_kernels_and_no_warning(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not kernels.is_available()


@pytest.mark.parametrize(
    ("absent", "told"),
    [("bin/gcc", "a C compiler"), ("include/Python.h", "the header files of Python")],
)
def test_what_triton_lacks_is_named_and_torchs_operations_are_used(
    machine: Path, absent: str, told: str
) -> None:
    (machine / absent).unlink()
    with pytest.warns(UserWarning, match=f"Triton is installed, but {told} .*was not found"):
        assert not kernels.is_available()


def test_a_compiler_may_be_named_in_the_environment(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "bin/gcc").unlink()
    monkeypatch.setenv("CC", "/opt/cc")
    assert kernels.is_available()
