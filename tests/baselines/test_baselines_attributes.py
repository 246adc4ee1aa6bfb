"""A whole training of the attribute classifier: what it writes, equal bytes, refusals."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from passerby import contract, files
from passerby.baselines import attributes, pictures
from passerby.baselines.attributes import Job
from passerby.datasets.attributes import CLASSES
from passerby.errors import BadInput
from passerby.images import read_image
from passerby.models import artifact, init_file
from passerby.models.embedder import Embedder
from passerby.training import checkpoint

ROOT = Path(__file__).resolve().parents[2]
Jobs = Callable[..., Job]


def contents(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted(folder.iterdir())}


def test_there_are_twelve_heads_and_their_losses_are_averaged(job: Jobs) -> None:
    network = attributes.built(job(), init_file.read(job().init)[0]).eval()
    logits = network(torch.randn(3, 3, 32, 16, generator=torch.Generator().manual_seed(0)))
    assert [each.shape for each in logits] == [(3, len(names)) for names in CLASSES.values()]
    assert len(logits) == 12
    kinds = [type(layer).__name__ for layer in network.heads[0]]
    assert kinds == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    values = torch.zeros(3, 12, dtype=torch.int64)
    slow = sum(
        -F.log_softmax(each[row], 0)[0] for each in logits for row in range(3)
    ) / (3 * 12)  # fmt: skip
    torch.testing.assert_close(attributes.mean_loss(logits, values), slow)


@pytest.mark.slow
def test_a_training_writes_model_accuracies_and_history(
    job: Jobs, tmp_path: Path, scratch: Path
) -> None:
    card = attributes.train(job(), tmp_path / "model", quiet=True)
    assert sorted(contents(tmp_path / "model")) == [
        "attributes.json", "history.tsv", "model.yaml", "weights.safetensors",
    ]  # fmt: skip
    assert artifact.read_card(tmp_path / "model") == card
    assert (card.neck, card.distance, card.trained_on) == ("none", "cosine", "noise")
    assert (card.init, card.embedding_size, card.height_px) == ("random", 512, 32)
    found = json.loads((tmp_path / "model" / "attributes.json").read_text())
    assert found["counts"]["people"] == 6
    assert found["counts"]["validation_images"] == 4
    assert list(found["heads"]) == sorted(CLASSES)
    assert found["heads"]["upper_colour"]["commonest_class"] == "red"
    assert found["heads"]["upper_colour"]["commonest"] == 1.0
    mean = np.mean([head["accuracy"] for head in found["heads"].values()])
    assert found["mean"]["accuracy"] == pytest.approx(mean)
    assert card.metrics["accuracy"] == found["mean"]["accuracy"]
    assert len((tmp_path / "model" / "history.tsv").read_text().splitlines()) == 3
    assert not scratch.exists() or not any(scratch.rglob("*"))


@pytest.mark.slow
def test_the_model_embeds_by_its_features(job: Jobs, tmp_path: Path) -> None:
    attributes.train(job(epochs=1), tmp_path / "model", quiet=True)
    features = Embedder.load(tmp_path / "model").embed([np.zeros((64, 32, 3), np.uint8)])
    assert features.shape == (1, 512)
    trained, _ = artifact.read(tmp_path / "model")
    start, _ = init_file.read(job().init)
    same = [name for name in start if torch.equal(start[name], trained[name])]
    assert same == []


def test_accuracies_stand_beside_the_commonest_class_of_training() -> None:
    learned = np.zeros((4, 12), np.int64)
    learned[:3, 0] = 1
    asked = np.zeros((2, 12), np.int64)
    asked[0, 0] = 1
    right = np.ones((2, 12), bool)
    right[:, 0] = False
    found = attributes.accuracies(right, learned, asked)
    assert found["heads"]["gender"] == {
        "accuracy": 0.0, "commonest": 0.5, "commonest_class": "female",
    }  # fmt: skip
    assert found["mean"] == {
        "accuracy": pytest.approx(11 / 12),
        "commonest": pytest.approx(11.5 / 12),
    }


def test_nobody_is_both_in_training_and_in_validation(job: Jobs) -> None:
    training, validation = attributes.labelled(job(seed=5))
    assert not set(training.people) & set(validation.people)
    assert sorted(training.people + validation.people) == list(range(1, 9))
    items = job().benchmark.split("train").of_people(validation.people)
    assert np.array_equal(validation.values[:, 0], (items.person + 1) % 2)
    whole = pictures.load(items.paths, 64, 32, 1)
    assert np.array_equal(whole[0].permute(1, 2, 0), read_image(items.paths[0]))


def test_two_people_are_needed() -> None:
    with pytest.raises(BadInput, match="1 labelled people, 1 of them for validation"):
        pictures.split([4], 0.3, 0)


def test_people_without_attributes_are_named(job: Jobs, tmp_path: Path) -> None:
    lines = Path(job().plan.annotations).read_text().splitlines()
    Path(job().plan.annotations).write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(BadInput, match="no attributes of 1 people: 8"):
        attributes.train(job(), tmp_path / "model", quiet=True)


def test_a_rate_that_is_too_high_is_refused_and_named(job: Jobs, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"loss is .*a finite number was wanted; lower 'attributes\.lr'"
    ):
        attributes.train(job(lr=1e30), tmp_path / "model", quiet=True)
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
@pytest.mark.parametrize("lowered", ["fp32", "bf16"])
def test_a_killed_run_goes_on_and_ends_with_equal_bytes(
    job: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lowered: str
) -> None:
    attributes.train(job(precision=lowered), tmp_path / "whole", quiet=True)
    keep = checkpoint.save

    def die(*arguments: object) -> None:
        keep(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(checkpoint, "save", die)
        with pytest.raises(KeyboardInterrupt):
            attributes.train(job(precision=lowered), tmp_path / "killed", quiet=True)
    attributes.train(job(precision=lowered), tmp_path / "killed", quiet=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_changed_code_does_not_go_on_from_the_checkpoint_and_changes_no_card(
    job: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attributes.train(job(), tmp_path / "whole", quiet=True)
    save = checkpoint.save

    def die(*given: object) -> None:
        save(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(checkpoint, "save", die)
        with pytest.raises(KeyboardInterrupt):
            attributes.train(job(), tmp_path / "killed", quiet=True)
    code, load, loaded = contract.code, checkpoint.load, []
    monkeypatch.setattr(contract, "code", lambda rooms: {**code(rooms), "baselines/loop.py": "0"})
    monkeypatch.setattr(
        checkpoint, "load", lambda *given: loaded.append(load(*given)) or loaded[-1]
    )
    attributes.train(job(), tmp_path / "killed", quiet=True)
    assert loaded == [None]
    said = capsys.readouterr().err
    assert "baseline@attributes: not gone on from " in said
    assert "\n  code: changed in baselines/loop.py\n" in said
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_another_seed_ends_with_other_weights(job: Jobs, tmp_path: Path) -> None:
    for seed in (0, 1):
        attributes.train(job(epochs=1, seed=seed), tmp_path / str(seed), quiet=True)
    one, other = (artifact.read(tmp_path / str(seed))[0]["conv1.weight"] for seed in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.slow
def test_the_stage_names_the_baselines_that_it_knows() -> None:
    command = [sys.executable, "stages/baseline.py", "attribute"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "the name of a baseline wanted (attributes), found attribute" in ended.stderr
