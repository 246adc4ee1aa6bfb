"""The model artifact: card and weights that belong together."""

import pytest
import torch
import yaml
from pydantic import ValidationError

from passerby import files
from passerby.errors import BadInput
from passerby.models import artifact
from passerby.models.artifact import ModelCard


def test_what_is_written_is_read(model, state, neck, card):
    found, found_card = artifact.read(model)
    wanted = {**state, **neck}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    hashes = {"settings": "abc", "weights": files.sha256(model / "weights.safetensors")}
    assert found_card == card.model_copy(update={"hashes": hashes})
    assert found_card.encoder().architecture == "resnet18"


def test_equal_models_give_equal_bytes(model, tmp_path, state, neck, card):
    artifact.write(tmp_path / "again", {**neck, **state}, card)
    for name in ("model.yaml", "weights.safetensors"):
        assert (model / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_other_files_in_the_folder_stay(tmp_path, state, card):
    files.write_text(tmp_path / "history.tsv", "step\n")
    artifact.write(tmp_path, state, card)
    assert (tmp_path / "history.tsv").read_text() == "step\n"


def test_folder_without_a_card_is_no_finished_model(model):
    (model / "model.yaml").unlink()
    with pytest.raises(BadInput, match=r"no model\.yaml in it, so it is no finished model"):
        artifact.read(model)
    with pytest.raises(BadInput, match=r"nowhere: no model\.yaml in it"):
        artifact.read_card(model / "nowhere")


def test_weights_of_another_model_are_refused(model):
    with open(model / "weights.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(BadInput, match="the two do not belong together; copy the whole folder"):
        artifact.read(model)


def test_missing_weights_are_named(model):
    (model / "weights.safetensors").unlink()
    with pytest.raises(BadInput, match=r"weights\.safetensors: no such file; .* holds model\.yaml"):
        artifact.read(model)


def test_other_versions_and_faults_are_refused(model):
    path = model / "model.yaml"
    values = yaml.safe_load(path.read_text())
    for changes, says in (
        ({"format": "passerby.model/2"}, "format 'passerby.model/2', wanted 'passerby.model/1'"),
        ({"height_px": 0, "colour": 1}, r"height_px: .*greater than.*; colour: Extra inputs"),
    ):
        path.write_text(yaml.safe_dump({**values, **changes}))
        with pytest.raises(BadInput, match=says):
            artifact.read_card(model)
    path.write_text("a: [")
    with pytest.raises(BadInput, match=r"model\.yaml, line 1: not YAML"):
        artifact.read_card(model)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("height_px", 10**9, "height_px: Input should be less than or equal to 4096"),
        ("width_px", 0, "width_px: Input should be greater than or equal to 1"),
        (
            "deviation",
            [0.2, 0.0, 0.2],
            r"deviation\.1: Input should be greater than 0",
        ),
        (
            "mean",
            [0.2, float("inf"), 0.2],
            r"one fault\n  mean\[1\] \(line 20\): found \.inf, wanted a finite number",
        ),
    ],
)
def test_card_that_no_picture_can_be_prepared_by_is_refused(model, key, value, says):
    path = model / artifact.CARD
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**values, key: value}))
    with pytest.raises(BadInput, match=rf"model\.yaml: {says}"):
        artifact.read_card(model)


def test_card_of_a_resnet_says_how_it_is_built(card):
    with pytest.raises(ValidationError, match="last_stride"):
        ModelCard.model_validate(card.model_dump(exclude={"last_stride"}))
    with pytest.raises(ValidationError, match="architecture"):
        ModelCard.model_validate({**card.model_dump(), "architecture": "resnet19"})
