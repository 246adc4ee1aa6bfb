"""Pretraining on fake tensors of a GPU: no tensor is on a wrong device, and no step waits."""

import pytest

pytestmark = pytest.mark.slow

SMALL = {"height_px": 64, "width_px": 32, "batch": 64, "queue": 256, "bn_groups": 4}
FULL = {"height_px": 256, "width_px": 128, "batch": 256, "queue": 65536, "bn_groups": 8}
KERNELS = {"grouped_norm": 3, "make_views": 4}
"""How many kernels an operation of our own launches; each other operation counts as one."""


def launches(part: dict) -> int:
    """Number of kernels that a part of a step launches."""
    return part["operations"] + sum((KERNELS.get(n, 1) - 1) * k for n, k in part["of"].items())


@pytest.mark.parametrize(
    "asked",
    [
        {"positives": "view", "symmetric": True, "views": "moco"},
        {"positives": "view", "optimiser": "lars"},
        {"positives": "tracklet", "negatives": "camera"},
        {"positives": "mined", "mining": {"from_epoch": 1, "min_similarity": -1}},
    ],
    ids=["symmetric", "lars", "tracklet", "mined"],
)
def test_a_step_of_every_kind_runs_on_a_gpu_and_the_host_waits_for_nothing(on_fake_gpu, asked):
    """With resident pictures, then with streamed ones."""
    asked = {"architecture": "resnet18", "pretrain": SMALL | asked}
    told = on_fake_gpu("pretrain_step.py", asked)
    assert len(told["passes"]) == 2
    for each in told["passes"]:
        assert each["feed"]["waits"] == {}
        assert each["step"]["waits"] == {}
    assert told["embedded"] == [8, 512]
    if asked["pretrain"]["positives"] == "mined":
        assert told["features"] == [512, 512]


def test_a_step_of_a_resnet50_gives_a_gpu_few_operations(on_fake_gpu):
    asked = {"architecture": "resnet50", "backward": True, "pretrain": FULL}
    told = on_fake_gpu("pretrain_step.py", asked)
    # The backward pass of a norm launches three kernels, and was counted as one operation.
    backward = told["backward_operations"] + 2 * 53
    feed, step = told["passes"][0].values()
    views = launches(feed)
    assert 0 < views <= 60
    assert step["of"]["grouped_norm"] == 2 * 53
    assert step["of"]["maxpool"] == 2
    # The gradients that the program lays down in the place of a backward pass are no operations.
    step = launches(step) - step["of"]["zeros_like"] + backward
    assert 500 < step + views <= 2200
    print(f"{step + views} operations, {views} of them views")


def test_whatever_a_host_would_wait_for_is_noticed(on_fake_gpu):
    noticed = on_fake_gpu("waits.py")
    assert not noticed.pop("an asynchronous copy")
    assert not noticed.pop("a sum")
    assert len(noticed) == 5
    assert all(noticed.values()), noticed
