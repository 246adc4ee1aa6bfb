import numpy as np
import pytest
import torch
from pretrain_samples import ARM, ENCODER, write_people

from passerby.datasets import index
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.models import backbones
from passerby.pretrain import monitor
from passerby.training import panel

ASKED = ARM.monitor


def benchmark(folder):
    return index.read(write_people(folder), folder)


def test_people_are_drawn_by_seed_and_sorted(tmp_path):
    found = benchmark(tmp_path)
    drawn = {monitor.people(found, ASKED.model_copy(update={"seed": s})) for s in range(8)}
    assert len(drawn) > 1
    assert all(len(people) == 4 and list(people) == sorted(set(people)) for people in drawn)
    assert monitor.people(found, ASKED) == monitor.people(found, ASKED)


def test_more_people_than_there_are_are_refused(tmp_path):
    with pytest.raises(BadInput) as refused:
        monitor.people(benchmark(tmp_path), ASKED.model_copy(update={"people": 7}))
    assert str(refused.value) == (
        "pretrain.monitor: 7 people wanted, people has 6 training identities; "
        "set a smaller 'people'"
    )


def test_one_image_of_each_person_and_camera_is_a_query(tmp_path):
    items = benchmark(tmp_path).split("train")
    chosen = panel.queries(items, 3)
    pairs = list(zip(items.person[chosen], items.camera[chosen], strict=True))
    assert sorted(pairs) == sorted(set(zip(items.person, items.camera, strict=True)))
    assert chosen.sum() == 12


def test_the_score_is_that_of_the_backbones_features(tmp_path):
    """Against the features written out: resized by PIL, normalised, the backbone, cosines."""
    from PIL import Image

    found = benchmark(tmp_path)
    watch = monitor.Monitor(found, ASKED, ENCODER, (32, 16), threads=2)
    backbone = backbones.build(ENCODER, seed=5).eval()
    items = found.split("train").of_people(monitor.people(found, ASKED))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (ENCODER.mean, ENCODER.deviation))
    pictures = [
        torch.from_numpy(np.array(Image.open(path).resize((16, 32), Image.Resampling.BICUBIC)))
        for path in items.paths
    ]
    with torch.no_grad():
        batch = torch.stack([(p.permute(2, 0, 1) / 255 - mean) / deviation for p in pictures])
        features = torch.nn.functional.normalize(backbone(batch)).numpy()
    query = panel.queries(items, ASKED.seed)
    precisions, hits = [], []
    for q in np.flatnonzero(query):
        valid = ~query & ~((items.person == items.person[q]) & (items.camera == items.camera[q]))
        order = np.flatnonzero(valid)[np.argsort(-(features[valid] @ features[q]), kind="stable")]
        right = items.person[order] == items.person[q]
        ranks = np.flatnonzero(right) + 1
        precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        hits.append(right[0])
    score = watch.score(backbone)
    assert score["map"] == pytest.approx(np.mean(precisions), abs=1e-4)
    assert score["rank_1"] == pytest.approx(np.mean(hits))


def test_people_of_unknown_cameras_are_scored_too(tmp_path):
    """One picture of each person asks for the person's others."""
    known = benchmark(tmp_path)
    rows = tuple(row._replace(camera=0) for row in known.rows)
    unknown = Benchmark({**known.header, "kind": "folder"}, known.root, rows, known.hashes)
    watch = monitor.Monitor(unknown, ASKED, ENCODER, (32, 16), threads=1)
    assert panel.queries(unknown.split("train"), 3).sum() == 6
    assert 0 < watch.score(backbones.build(ENCODER, seed=5).eval())["map"] <= 1
