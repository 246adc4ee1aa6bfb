"""Trainings that are the same each time leave torch as they found it."""

import os

import pytest
import torch
import torch.utils.deterministic

from passerby.training.repeatable import _deterministic, drawing_from, repeatable


def test_what_torch_draws_depends_on_the_seed_alone() -> None:
    before = torch.get_rng_state()
    with drawing_from(3):
        first = torch.rand(4)
    with drawing_from(3):
        assert torch.equal(first, torch.rand(4))
    assert torch.equal(before, torch.get_rng_state())


def test_threads_and_algorithms_are_set_for_the_time_being() -> None:
    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.deterministic
    with pytest.raises(ZeroDivisionError), repeatable(before[0] + 1):
        assert (torch.get_num_threads(), cudnn.deterministic) == (before[0] + 1, True)
        _ = 1 / 0
    assert (torch.get_num_threads(), cudnn.deterministic) == before


def test_a_cpu_keeps_the_algorithms_that_it_has() -> None:
    with repeatable(torch.get_num_threads()):
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("said", [None, ":16:8"])
def test_what_a_gpu_is_told_is_told_for_the_time_being(
    monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, said or "")
    if said is None:
        monkeypatch.delenv(name)

    def now() -> tuple[bool, bool, bool]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        )

    before = now()
    with pytest.raises(ZeroDivisionError), _deterministic():
        assert now() == (True, True, False)
        assert os.environ[name] == (said or ":4096:8")
        _ = 1 / 0
    assert now() == before
