"""The rival does the same work: the same loss from the same views, the list's views."""

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pretrain_samples import ARM, ENCODER, write_crops

import _pictures
import _published
import _rivals
from passerby.pretrain import moco
from passerby.pretrain.recipes import recipe


def test_the_published_step_has_the_loss_of_ours() -> None:
    torch.manual_seed(0)
    network = _rivals.network(ARM, ENCODER)
    twin = copy.deepcopy(network)
    training = _published.Training(network, ARM, torch.device("cpu"), "fp32", lr=0.1)
    queue = training._moco.queue.T.clone()
    queries, keys = torch.randn(2, 8, 3, 32, 16)
    loss, top_1, top_5 = training.step((queries, keys))
    with torch.no_grad():  # before the first step both encoders are one
        k = F.normalize(twin(keys))
        losses, nearest = moco.info_nce(twin(queries), k, queue, ARM.temperature)
    assert loss == pytest.approx(losses.mean().item(), abs=1e-4)
    assert top_1 == nearest.float().mean().item() <= top_5
    assert torch.allclose(training._moco.queue.T[:8], k, atol=1e-5)
    assert not torch.equal(training._moco.encoder_q.head[0].weight, twin.head[0].weight)


def test_the_published_queue_wraps_around() -> None:
    training = _published.Training(
        _rivals.network(ARM, ENCODER), ARM, torch.device("cpu"), "fp32", lr=0.1
    )
    mine = training._moco
    mine.pointer = ARM.queue - 1
    mine._enqueue(torch.full((3, ARM.dim), 2.0))
    full = (mine.queue == 2).all(dim=0).nonzero().flatten().tolist()
    assert (full, mine.pointer) == ([0, 1, ARM.queue - 1], 2)


def test_a_hole_is_zero_and_within_its_share() -> None:
    random.seed(0)
    erased = _published.Erased(chance=0.5, most=0.6)
    shares = [(erased(torch.ones(3, 64, 32)) == 0).float().mean().item() for _ in range(200)]
    assert 80 < sum(share > 0 for share in shares) < 120
    assert max(shares) <= 0.63  # sides are rounded to pixels
    assert min(share for share in shares if share) >= 0.015


@pytest.mark.parametrize(
    ("views", "names"),
    [
        ("ori-cj+sre", ["RandomGrayscale", "RandomApply", "Erased"]),
        ("ori", ["RandomApply", "RandomGrayscale", "RandomApply"]),
    ],
)
def test_a_list_of_views_becomes_torchvisions_operations(views: str, names: list[str]) -> None:
    change = _published.changes(recipe(views), ARM, ENCODER)
    always = {"RandomResizedCrop", "RandomHorizontalFlip", "ToTensor", "Normalize"}
    found = [type(one).__name__ for one in change.transforms]
    assert [name for name in found if name not in always] == names
    view = change(Image.new("RGB", (40, 80)))
    assert (view.shape, view.dtype) == ((3, ARM.height_px, ARM.width_px), torch.float32)


def test_files_are_the_stores_own_bytes(tmp_path: Path) -> None:
    write_crops(tmp_path / "crops.lmdb", count=8)
    crops = _pictures.chosen(tmp_path / "crops.lmdb", 3)
    assert crops.rows.tolist() == [0, 3, 7]
    paths = _pictures.write_files(crops, tmp_path / "files")
    assert [path.read_bytes() for path in paths] == [crops.store.jpeg(row) for row in (0, 3, 7)]


def test_drawn_pictures_differ_and_are_a_store(tmp_path: Path) -> None:
    _pictures.draw(tmp_path / "drawn.lmdb", 3)
    crops = _pictures.chosen(tmp_path / "drawn.lmdb", 10)
    crops.store.verify()
    first, second = crops.image(0), crops.image(1)
    assert first.shape == (256, 128, 3)
    assert np.abs(first.astype(int) - second).mean() > 20
