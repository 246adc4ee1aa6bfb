import copy
import math

import pytest
import torch
import torch.nn.functional as F
from pretrain_samples import ARM
from torch import nn

from passerby.models import backbones
from passerby.pretrain import moco
from passerby.pretrain.positives import NO_LABEL
from passerby.pretrain.queue import UNBORN, Queue
from passerby.settings import Encoder


def algorithm_1(q, k, queue, t, masked):
    """The paper's Algorithm 1 in a loop, a query at a time, in float64."""
    losses, nearest = [], []
    for i in range(len(q)):
        query = q[i].double() / math.sqrt(float((q[i].double() ** 2).sum()))
        l_pos = float(query @ k[i].double())
        l_neg = [float(query @ key.double()) for j, key in enumerate(queue) if not masked[i, j]]
        total = sum(math.exp(logit / t) for logit in [l_pos, *l_neg])
        losses.append(-math.log(math.exp(l_pos / t) / total))
        nearest.append(all(l_pos >= logit for logit in l_neg))
    return losses, nearest


@pytest.mark.parametrize("t", [0.07, 0.2, 1.0])
def test_info_nce_is_the_papers_loop(t):
    torch.manual_seed(0)
    q, k = 3 * torch.randn(7, 5), F.normalize(torch.randn(7, 5))
    queue, masked = F.normalize(torch.randn(11, 5)), torch.rand(7, 11) < 0.3
    masked[0] = False
    masked[1] = True  # nothing but its own key is left
    loss, nearest = moco.info_nce(q, k, queue, t, masked)
    wanted, wanted_nearest = algorithm_1(q, k, queue, t, masked)
    torch.testing.assert_close(loss, torch.tensor(wanted), rtol=1e-5, atol=1e-6)
    assert nearest.tolist() == wanted_nearest
    assert loss[1] == 0
    assert 0 < sum(wanted_nearest) < 7
    plain, _ = moco.info_nce(q, k, queue, t)
    everything = algorithm_1(q, k, queue, t, torch.zeros_like(masked))[0]
    torch.testing.assert_close(plain, torch.tensor(everything), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 40, 4096])
def test_equal_logits_lose_the_logarithm_of_their_number(size):
    ones = F.normalize(torch.ones(3, 8))
    loss, _ = moco.info_nce(ones, ones, ones[:1].expand(size, 8), 0.07)
    torch.testing.assert_close(loss, torch.full((3,), math.log(size + 1)))


def test_a_key_that_stands_apart_loses_as_the_closed_form_says():
    q = torch.eye(4)[:1]
    queue = torch.eye(4)[1:]  # all at right angles
    loss, nearest = moco.info_nce(q, q, queue, 0.5)
    torch.testing.assert_close(loss, torch.tensor([math.log(1 + 3 * math.exp(-2))]))
    assert nearest.tolist() == [True]


def test_the_loss_is_computed_in_float32_under_autocast():
    torch.manual_seed(0)
    q, k, queue = (F.normalize(torch.randn(4, 16)) for _ in range(3))
    wanted, _ = moco.info_nce(q.bfloat16().float(), k, queue, 0.07)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = moco.info_nce(q.bfloat16(), k, queue, 0.07)
    torch.testing.assert_close(loss, wanted, rtol=0, atol=0)


def test_gradients_reach_queries_alone_and_are_right():
    torch.manual_seed(0)
    q = torch.randn(3, 4, requires_grad=True)
    k, queue = F.normalize(torch.randn(3, 4)), F.normalize(torch.randn(6, 4))
    moco.info_nce(q, k, queue, 0.2)[0].mean().backward()
    step = torch.zeros_like(q)
    step[1, 2] = 1e-3
    with torch.no_grad():
        ahead, behind = (moco.info_nce(q + s, k, queue, 0.2)[0].mean() for s in (step, -step))
    assert q.grad[1, 2].item() == pytest.approx(float(ahead - behind) / 2e-3, rel=2e-2)


def test_same_labels_are_masked_and_nobody_is_not():
    found = moco.no_negatives(
        torch.tensor([3, -1, 5]),
        torch.tensor([3, -1, UNBORN, 5, 3]),
        torch.empty((6, 0), dtype=torch.int64),
    )
    assert found.int().tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]


@pytest.mark.parametrize(("size", "batch"), [(10, 4), (7, 7), (5, 3), (3, 8), (1, 4), (12, 4)])
def test_the_queue_holds_the_newest_keys_whatever_divides_what(size, batch):
    queue = Queue(size, dim=2, seed=0)
    seen = []
    for step in range(9):
        labels = torch.arange(batch) + step * batch
        queue.enqueue(torch.stack([labels.float(), -labels.float()], 1), labels)
        seen += labels.tolist()
        wanted = seen[-size:]
        held = [label for label in queue.labels.tolist() if label != UNBORN]
        assert sorted(held) == wanted
        # each key stands beside its label, and behind the pointer stands the oldest
        born = queue.labels != UNBORN
        assert torch.equal(queue.keys[born, 0], queue.labels[born].float())
        if len(seen) >= size:
            turned = torch.roll(queue.labels, -int(queue.pointer)).tolist()
            assert turned == wanted


def test_a_new_queue_is_normalised_noise_that_follows_from_the_seed():
    queue = Queue(50, dim=8, seed=1)
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(50))
    assert queue.labels.unique().tolist() == [UNBORN]
    assert torch.equal(queue.keys, Queue(50, dim=8, seed=1).keys)
    assert not torch.equal(queue.keys, Queue(50, dim=8, seed=2).keys)
    assert sorted(queue.state_dict()) == ["keys", "labels", "pointer"]


@pytest.mark.parametrize("form", [float, torch.tensor])
def test_keys_follow_queries_by_the_formula_and_statistics_do_not(form):
    torch.manual_seed(0)
    query = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    key = copy.deepcopy(query)
    for tensor in (*query.parameters(), *query.buffers(), *key.parameters()):
        if tensor.is_floating_point():
            tensor.data.uniform_(1, 2)
    before = {name: tensor.clone() for name, tensor in key.state_dict().items()}
    moco.follow(key, query, form(1 - 0.99))
    for name, parameter in key.named_parameters():
        wanted = 0.99 * before[name] + 0.01 * query.get_parameter(name)
        torch.testing.assert_close(parameter.data, wanted, rtol=1e-6, atol=0)
    for name, buffer in key.named_buffers():
        assert torch.equal(buffer, before[name])
    moco.follow(key, query, form(0.0))
    moco.follow(key, query, form(1.0))
    for name, parameter in key.named_parameters():
        assert torch.equal(parameter, query.get_parameter(name))


def test_the_pair_begins_equal_and_the_key_encoder_has_no_gradient():
    encoder = moco.seeded(backbones.build(Encoder()), dim=16, mlp=True, seed=0)
    names = list(encoder.state_dict())
    query, key = moco.pair(encoder, groups=2)
    assert list(query.state_dict()) == list(key.state_dict()) == names
    for name, tensor in query.state_dict().items():
        assert torch.equal(tensor, key.state_dict()[name])
        assert tensor.data_ptr() != key.state_dict()[name].data_ptr()
    assert all(parameter.requires_grad for parameter in query.parameters())
    assert not any(parameter.requires_grad for parameter in key.parameters())


@pytest.mark.parametrize(("mlp", "shapes"), [(True, [(512, 512), (16, 512)]), (False, [(16, 512)])])
def test_the_head_is_mocos_and_follows_from_the_seed(mlp, shapes):
    before = torch.random.get_rng_state()
    heads = [moco.seeded(backbones.build(Encoder()), 16, mlp, seed).head for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), before)
    layers = [layer for layer in heads[0] if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == shapes
    assert torch.equal(heads[0][-1].weight, heads[1][-1].weight)
    assert not torch.equal(heads[0][-1].weight, heads[2][-1].weight)


def test_keys_of_friends_are_no_negatives_either_and_the_fillers_mask_nothing():
    friends = torch.full((6, 2), NO_LABEL)
    friends[3] = torch.tensor([5, 1])
    friends[0] = torch.tensor([4, NO_LABEL])
    labels = torch.tensor([3, 5, 0, -1])
    queue = torch.tensor([1, 5, 4, -1, UNBORN, 3, 0])
    found = moco.no_negatives(labels, queue, friends)
    for row, label in enumerate(labels.tolist()):
        own = [] if label < 0 else [label, *(f for f in friends[label].tolist() if f >= 0)]
        assert found[row].tolist() == [key in own for key in queue.tolist()]


@pytest.mark.parametrize(("end", "wanted"), [(None, [0.9, 0.9, 0.9]), (1.0, [0.9, 0.95, 1.0])])
def test_momentum_is_constant_or_goes_along_half_a_cosine(end, wanted):
    arm = ARM.model_copy(update={"momentum": 0.9, "momentum_end": end})
    assert [moco.momentum(arm, step, 10) for step in (0, 5, 10)] == pytest.approx(wanted)


def test_keys_of_other_cameras_than_the_own_keys_are_elsewhere():
    cameras = torch.tensor([7, 7, 9, 8])
    keys, queue = torch.tensor([0, 2, -1, 3]), torch.tensor([1, 2, UNBORN, -1, 3, 0])
    found = moco.elsewhere(keys, queue, cameras)
    for row, key in enumerate(keys.tolist()):
        for column, other in enumerate(queue.tolist()):
            away = key >= 0 and other >= 0 and cameras[key] != cameras[other]
            assert found[row, column] == away
