"""Thresholds are chosen on people apart, and stay with the model."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from passerby import cli
from passerby.datasets import index
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.evaluation.result import SEARCHES
from passerby.models import artifact, backbones
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.settings import BenchmarkSource, Encoder
from passerby.training.calibration import calibrate_on

ROOT = Path(__file__).parents[2]


def people_in_two_cameras(root: Path) -> Benchmark:
    rng = np.random.default_rng(4)
    for person in range(12):
        folder = root / "train" / f"p{person:02d}"
        folder.mkdir(parents=True)
        for camera in (1, 2):
            picture = rng.integers(0, 256, (32, 16, 3), np.uint8)
            Image.fromarray(picture).save(folder / f"a_c{camera}.png")
    return index.build("mine", BenchmarkSource(kind="folder", root=str(root)))


def written(folder: Path, trained_on: str = "nothing with labels") -> Path:
    encoder = Encoder(architecture="resnet18", last_stride=2)
    card = ModelCard.of(
        encoder,
        height_px=32,
        width_px=16,
        embedding_size=512,
        distance="cosine",
        trained_on=trained_on,
    )
    artifact.write(folder, backbones.build(encoder, seed=1).state_dict(), card)
    return folder


def test_thresholds_are_chosen_on_people_it_has_not_seen_and_stay_with_the_model(
    tmp_path: Path,
) -> None:
    model = written(tmp_path / "model")
    made = calibrate_on(model, people_in_two_cameras(tmp_path / "set"), 1)
    assert made.thresholds["chosen_on"] == "mine: its training people"
    assert made.thresholds["impostor_pairs"] == 24 * 22
    assert list(made.thresholds["at_far"]) == ["0.01"]  # of so few pairs no smaller rate
    assert list(made.thresholds["at_fpir"]) == ["24"]  # searches of all its pictures
    assert Embedder.load(model).card.thresholds == made.thresholds


def test_the_command_says_which_distance_is_for_pairs_and_which_for_searches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people_in_two_cameras(tmp_path / "set")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["benchmarks"]["mine"] = {"kind": "folder", "root": str(tmp_path / "set")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    model = written(tmp_path / "model")
    cli.calibrate(model, "mine", tmp_path / "params.yaml")
    said = capsys.readouterr().out
    stored = artifact.read_card(model).thresholds
    assert f"  FAR 0.01: accept at {stored['at_far']['0.01']['distance']} and below" in said
    assert "of strangers in a search of 24" in said
    row = stored["at_fpir"]["24"]["0.1"]
    assert f"  FPIR 0.1 in a search of 24: accept at {row['distance']} and below" in said
    assert SEARCHES in said


def test_thresholds_are_not_chosen_on_people_a_model_was_trained_on(tmp_path: Path) -> None:
    model = written(tmp_path / "model", trained_on="mine")
    with pytest.raises(BadInput, match="was trained on 'mine', whose people it knows too well"):
        calibrate_on(model, people_in_two_cameras(tmp_path / "set"), 1)


def test_a_set_without_a_training_part_gives_no_thresholds(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    people_in_two_cameras(tmp_path / "set")
    (tmp_path / "set" / "train").rename(tmp_path / "set" / "query")
    (tmp_path / "set" / "gallery").mkdir()
    shutil.copytree(tmp_path / "set" / "query", tmp_path / "set" / "gallery", dirs_exist_ok=True)
    mine = index.build("mine", BenchmarkSource(kind="folder", root=str(tmp_path / "set")))
    with pytest.raises(BadInput, match="no images of mine: its training people"):
        calibrate_on(written(tmp_path / "model"), mine, 1)
