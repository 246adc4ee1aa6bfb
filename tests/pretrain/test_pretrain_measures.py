import math

import pytest
import torch
import torch.nn.functional as F

from passerby.pretrain import measures

ROWS = F.normalize(torch.randn(12, 8, generator=torch.Generator().manual_seed(0)))
OTHERS = F.normalize(torch.randn(12, 8, generator=torch.Generator().manual_seed(1)))


def test_one_direction_has_no_spread_and_uniformity_0():
    same = ROWS[:1].expand(12, 8)
    assert measures.spread(same).item() == pytest.approx(0, abs=1e-6)
    assert measures.uniformity(same).item() == pytest.approx(0, abs=1e-5)


def test_the_axes_both_ways_have_a_spread_of_about_1():
    axes = torch.cat([torch.eye(8), -torch.eye(8)])
    wanted = torch.full((8,), math.sqrt(2 / 15)).mean() * math.sqrt(8)
    assert measures.spread(axes).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_alignment_is_the_mean_squared_distance_of_pairs():
    wanted = sum(((a - b) ** 2).sum().item() for a, b in zip(ROWS, OTHERS, strict=True)) / 12
    assert measures.alignment(ROWS, OTHERS).item() == pytest.approx(wanted, rel=1e-5)
    assert measures.alignment(ROWS, -ROWS).item() == pytest.approx(4, rel=1e-5)


def test_uniformity_is_the_log_of_the_mean_potential_of_all_pairs():
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j]
    potential = [math.exp(-2 * ((ROWS[i] - ROWS[j]) ** 2).sum().item()) for i, j in pairs]
    wanted = math.log(sum(potential) / len(pairs))
    assert measures.uniformity(ROWS).item() == pytest.approx(wanted, rel=1e-4)
