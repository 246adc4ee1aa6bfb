"""Eight people in noise with an attribute file, and the smallest training on them."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from passerby.baselines.attributes import Job
from passerby.datasets.index import Benchmark
from passerby.settings import Encoder

sys.path.append(str(Path(__file__).parent))

import baseline_samples


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / "scratch"


@pytest.fixture
def labelled_set(tmp_path: Path) -> Benchmark:
    return baseline_samples.write_pictures(tmp_path)


@pytest.fixture
def job(labelled_set: Benchmark, tmp_path: Path) -> Callable[..., Job]:
    """A training of two epochs of three steps; keywords change the settings."""
    baseline_samples.write_start(tmp_path, Encoder())
    people = range(1, baseline_samples.PEOPLE + 1)
    baseline_samples.write_annotations(tmp_path / "annotations.csv", people)
    return partial(baseline_samples.training, tmp_path, labelled_set)
