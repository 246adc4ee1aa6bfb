import numpy as np
import pytest
import torch

from passerby.pretrain import pairing


def directions(count: int, dim: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def slow_pairs(means, camera, least, neighbours):
    """From the definition, a pair at a time."""
    count = len(means)
    similar = means.astype(np.float64) @ means.T.astype(np.float64)

    def nearest(track, other_camera):
        there = [n for n in range(count) if camera[n] == other_camera]
        return max(there, key=lambda n: similar[track, n])

    def near(track, other):
        ahead = [
            n
            for n in range(count)
            if camera[n] != camera[track] and similar[track, n] > similar[track, other]
        ]
        return len(ahead) < neighbours

    return [
        [a, b]
        for a in range(count)
        for b in range(a + 1, count)
        if camera[a] != camera[b]
        and nearest(a, camera[b]) == b
        and nearest(b, camera[a]) == a
        and similar[a, b] >= least
        and near(a, b)
        and near(b, a)
    ]


@pytest.mark.parametrize("neighbours", [1, 2, 5, 1000])
@pytest.mark.parametrize("least", [-1.0, 0.3])
@pytest.mark.parametrize("block", [7, 1024])
def test_pairs_equal_a_slow_twins(monkeypatch, neighbours, least, block):
    monkeypatch.setattr(pairing, "BLOCK", block)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        means, camera = directions(40, 4, seed), rng.choice([3, 5, 9, 40], 40)
        found = pairing.mutual_nearest(torch.from_numpy(means), camera, least, neighbours)
        assert found.tolist() == slow_pairs(means, camera, least, neighbours)
        assert neighbours == 1 or len(found) > 0


def test_no_pair_is_an_empty_table():
    means = directions(6, 4, 0)
    found = pairing.mutual_nearest(torch.from_numpy(means), np.arange(6) % 2, 1.0, 5)
    assert found.shape == (0, 2)
    assert found.dtype == np.int64


def test_strangers_in_cameras_that_share_nobody_are_dropped_by_the_overall_neighbours():
    """Two people in cameras 0 and 1; camera 2 sees others only."""
    people = np.eye(4, 8, dtype=np.float32)
    means = np.concatenate([people[:2], people[:2], people[2:]]) + 0.01
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    camera = np.array([0, 0, 1, 1, 2, 2])
    right = [[0, 2], [1, 3]]
    every = pairing.mutual_nearest(torch.from_numpy(means), camera, -1, 100).tolist()
    assert len(every) > 2
    assert pairing.mutual_nearest(torch.from_numpy(means), camera, -1, 1).tolist() == right


@pytest.mark.parametrize("least", [0, 1, 2, 9])
def test_pairs_that_agree_have_so_many_partners_in_common(least):
    every = np.argwhere(np.triu(np.ones((12, 12), bool), 1))
    for seed in range(5):
        pairs = every[np.random.default_rng(seed).random(len(every)) < 0.5]
        partners = [{int(b if a == n else a) for a, b in pairs if n in (a, b)} for n in range(12)]
        slow = [[a, b] for a, b in pairs.tolist() if len(partners[a] & partners[b]) >= least]
        assert pairing.agreeing(pairs, 12, least).tolist() == slow
        assert (len(slow) > 0) == (least < 9)


def test_no_pair_agrees_with_none():
    assert pairing.agreeing(np.empty((0, 2), np.int64), 5, 1).shape == (0, 2)


def test_means_are_directions_of_sums():
    features = directions(9, 5, 1)
    begin, end = np.array([0, 2, 5]), np.array([2, 3, 9])
    found = pairing.means(features, begin, end)
    for row, (first, last) in zip(found, zip(begin, end, strict=True), strict=True):
        total = features[first:last].sum(axis=0)
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-6)
    assert found.dtype == np.float32


def test_standardised_features_do_not_tell_the_camera():
    features = directions(60, 6, 2)
    camera = np.arange(60) % 3
    features[camera == 1] += 2  # a camera with a colour of its own
    features[camera == 2] *= [9, 1, 1, 1, 1, 1]
    found = pairing.standardised(features, camera)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    for one in range(3):
        rows = camera == one
        part = features[rows]
        wanted = (part - part.mean(0)) / part.std(0)
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        np.testing.assert_allclose(found[rows], wanted, atol=1e-4)


def test_a_camera_with_one_crop_has_no_direction_and_is_no_fault():
    found = pairing.standardised(directions(3, 4, 3), np.array([0, 0, 7]))
    assert np.isfinite(found).all()
    assert (found[2] == 0).all()
    assert (pairing.means(found, np.array([2]), np.array([3])) == 0).all()
