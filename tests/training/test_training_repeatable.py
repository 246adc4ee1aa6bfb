"""Trainings that are the same each time leave torch as they found it."""

import pytest
import torch

from passerby.training.repeatable import drawing_from, repeatable


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
