"""The stages `initialise` and `transfer`, run where a settings file is."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from passerby.errors import BadInput
from passerby.models import init_file

ROOT = Path(__file__).resolve().parents[2]


def stage(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"stage_{name}", ROOT / "stages" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def city(tmp_path, monkeypatch):
    """A folder with the city's settings and nothing else."""
    (tmp_path / "params.yaml").write_text((ROOT / "profiles" / "city.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_start_goes_through_both_stages_unchanged(city, capsys):
    stage("initialise").main("random")
    start = city / "data" / "init" / "random.safetensors"
    assert capsys.readouterr().out.startswith("random: 0 of 120 backbone tensors; 120 start afresh")
    pretrained = city / "data" / "pretrain" / "moco" / "weights.safetensors"
    pretrained.parent.mkdir(parents=True)
    pretrained.write_bytes(start.read_bytes())
    stage("transfer").main("moco")
    assert capsys.readouterr().out == "moco: 120 of 120 backbone tensors\n"
    assert init_file.read(city / "data" / "init" / "moco.safetensors")[1].source == "random, seed 0"


def test_unknown_start_is_refused_with_those_that_there_are():
    with pytest.raises(BadInput, match=r"starts: no 'imagenet'; known: random"):
        stage("initialise").main("imagenet")


def test_arm_that_was_not_pretrained_is_refused():
    with pytest.raises(BadInput, match=r"data/pretrain/moco/weights\.safetensors: no such file"):
        stage("transfer").main("moco")
