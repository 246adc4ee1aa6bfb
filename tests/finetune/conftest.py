"""A labelled set of eight people in noise, and the smallest training on it."""

import sys
from pathlib import Path

import pytest

from passerby.datasets.index import Benchmark
from passerby.settings import Encoder, Finetune

sys.path.append(str(Path(__file__).parent))

import finetune_samples


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / "scratch"


@pytest.fixture
def benchmark_set(tmp_path: Path) -> Benchmark:
    return finetune_samples.write_benchmark(tmp_path)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def plan() -> Finetune:
    return finetune_samples.PLAN


@pytest.fixture
def start(tmp_path: Path, encoder: Encoder) -> Path:
    return finetune_samples.write_start(tmp_path / "init" / "moco.safetensors", encoder)
