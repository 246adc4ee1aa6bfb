"""A model on a labelled set: also on one without cameras."""

from pathlib import Path
from typing import get_args

import numpy as np
import scipy.io
from PIL import Image

from passerby.datasets import index
from passerby.datasets.index import Benchmark
from passerby.evaluation import protocols
from passerby.files import write_json
from passerby.judging import judge, trials, with_more
from passerby.models import backbones
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.models.networks import ReidNet, TorchNetwork
from passerby.settings import BenchmarkSource, Encoder, Evaluate, Reranking


def card() -> ModelCard:
    encoder = Encoder(architecture="resnet18", last_stride=2)
    return ModelCard.of(
        encoder,
        height_px=32,
        width_px=16,
        embedding_size=512,
        distance="cosine",
        trained_on="nothing with labels",
    )


def embedder() -> Embedder:
    net = ReidNet(card())
    net.backbone.load_state_dict(backbones.build(card().encoder(), seed=1).state_dict())
    return Embedder(TorchNetwork(net, card()), card())


def test_without_cameras_only_the_querys_own_picture_is_left_out(tmp_path: Path) -> None:
    """Each person's query lies in the gallery, too, beside two other pictures of the person."""
    rng = np.random.default_rng(3)
    for person in ("anna", "bo"):
        for split, names in (("query", ["0.png"]), ("gallery", ["0.png", "1.png", "2.png"])):
            (tmp_path / split / person).mkdir(parents=True)
            for name in names:
                Image.fromarray(rng.integers(0, 256, (32, 16, 3), np.uint8)).save(
                    tmp_path / split / person / name
                )
        own = (tmp_path / "query" / person / "0.png").read_bytes()
        (tmp_path / "gallery" / person / "0.png").write_bytes(own)
    mine = index.build("mine", BenchmarkSource(kind="folder", root=str(tmp_path)))
    found, arrays = judge(embedder(), mine, Evaluate(batch=4, flip=False, ranks=(1,), fars=()), 1)
    assert found.protocol == "folder"
    assert (found.counts["queries"], found.counts["gallery"]) == (2, 6)
    assert (found.counts["genuine_pairs"], found.counts["impostor_pairs"]) == (4, 6)
    assert arrays["query_cameras"].tolist() == arrays["gallery_cameras"][[0, 3]].tolist()


def test_cuhk03_as_pictures_is_judged_by_the_new_protocol(tmp_path: Path) -> None:
    """Of person 1 a query and the match by the other camera, and of person 2 a wrong answer."""
    rng = np.random.default_rng(4)
    labels = {"1_001_1_01.png": (1, 1), "1_001_2_06.png": (1, 2), "1_002_2_06.png": (2, 2)}
    (tmp_path / "detected").mkdir()
    for name in labels:
        noise = rng.integers(0, 256, (32, 16, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "detected" / name)
    people, cameras = zip(*labels.values(), strict=True)
    columns = {"filelist": np.array([*labels], object), "labels": people, "camId": cameras}
    places = {"train_idx": np.zeros(0, int), "query_idx": [1], "gallery_idx": [2, 3]}
    scipy.io.savemat(tmp_path / "detected" / "split.mat", columns | places)
    counts = {"query_images": 1, "gallery_images": 2}
    write_json(tmp_path / "m.json", {"format": "passerby.world/1", "counts": {"mine": counts}})
    source = BenchmarkSource(
        kind="cuhk03",
        root=str(tmp_path / "detected"),
        counts=str(tmp_path / "m.json"),
        split_file="split.mat",
    )
    asked = Evaluate(batch=4, flip=False, ranks=(1,), fars=())
    found, _ = judge(embedder(), index.build("mine", source), asked, 1)
    assert found.protocol == "cuhk03-np"
    assert (found.counts["genuine_pairs"], found.counts["impostor_pairs"]) == (1, 1)


def test_what_is_asked_for_besides_adds_to_the_settings_and_takes_nothing_away() -> None:
    plain = Evaluate()
    assert with_more(plain, flip=False, rerank=False) == plain
    more = with_more(plain, flip=True, rerank=True)
    assert (more.flip, more.rerank) == (True, Reranking())
    own = Evaluate(flip=True, rerank=Reranking(k1=7))
    assert with_more(own, flip=False, rerank=True) == own


def test_every_kind_of_set_has_a_protocol() -> None:
    kinds = get_args(BenchmarkSource.model_fields["kind"].annotation)
    sets = [index.Benchmark({"name": "mine", "kind": kind}, Path(), (), ()) for kind in kinds]
    assert {one.protocol for one in sets} == set(protocols.PROTOCOLS)


def in_two_views(people: int) -> dict[str, np.ndarray]:
    """Features of people with two pictures in each of two views."""
    rng = np.random.default_rng(0)
    labels, views = np.repeat(np.arange(1, people + 1), 2), (1, 2)
    centres = rng.normal(size=(people + 1, 8))
    sides = dict(zip(("query", "gallery"), views, strict=True))
    arrays = {}
    for side, view in sides.items():
        arrays[f"{side}_features"] = centres[labels] + rng.normal(size=(len(labels), 8))
        arrays |= {f"{side}_people": labels, f"{side}_cameras": np.full(len(labels), view)}
    return arrays


def of_kind(kind: str) -> Benchmark:
    return Benchmark({"name": "mine", "kind": kind}, Path(), (), ())


def test_cuhk03_is_evaluated_in_the_classic_way_too() -> None:
    (found,) = trials(of_kind("cuhk03-np"), in_two_views(130), "cosine")
    assert (found.protocol, found.trials) == ("cuhk03-classic", 200)
    assert found.counts["gallery"] == (100, 100)
    (few,) = trials(of_kind("cuhk03-np"), in_two_views(7), "cosine")
    assert few.counts["gallery"] == (7, 7)
    assert "all are of the same 7 people" in few.table()
    (just,) = trials(of_kind("cuhk03-np"), in_two_views(100), "cosine")
    assert "all are of the same 100 people" in just.table()
    assert "all are of the same" not in found.table()


def test_cuhk01_is_evaluated_there_and_back_by_both_shots() -> None:
    found = trials(of_kind("cuhk01"), in_two_views(9), "cosine")
    assert [(one.protocol, one.trials) for one in found] == [
        ("cuhk01-single-shot", 2),
        ("cuhk01-multi-shot", 2),
    ]
    assert [one.counts["gallery"] for one in found] == [(9, 9), (18, 18)]


def test_other_sets_have_no_trials() -> None:
    assert trials(of_kind("market1501"), in_two_views(9), "cosine") == []
