"""The script from the command line, small; the rival does the same work as our trainer."""

import argparse
import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from benchmark_scripts import run

import _labelled
import _plain
import _turns
import finetuning
from passerby.errors import BadInput
from passerby.finetune.job import Job
from passerby.finetune.start import Start
from passerby.finetune.trainer import Trainer
from passerby.models import init_file
from passerby.settings import Encoder

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "finetuning.py"
RATIOS = {"iteration", "loader", "ranking"}


@pytest.mark.slow
def test_a_quick_run_leaves_json_a_chart_and_its_ratios(tmp_path: Path) -> None:
    words = ["--height", "32", "--width", "16", "--people", "16", "--queries", "20"]
    short = ["--rounds", "1", "--seconds", "0.01", "--cores", "1"]
    done = run(SCRIPT, tmp_path, "--quick", *words, *short)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "scratch" / "benchmarks" / "finetuning.json"
    found = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

    names = RATIOS | {f"{what}_64x32" for what in RATIOS}
    assert set(found["ratios"]) == set(found["ratios_iqr"]) == names
    assert set(found["rates"]) == set(found["each_round"]) == {"32x16", "64x32"}
    for rates in found["rates"].values():
        assert set(rates) == set(finetuning.KINDS)
        assert all(rate["median"] > 0 for rate in rates.values())
    small = found["rates"]["32x16"]
    for what, (ours, other) in finetuning.RATIOS.items():
        wanted = small[ours]["median"] / small[other]["median"]
        assert found["ratios"][what] == pytest.approx(wanted, rel=2e-3)
    assert {"what", "settings", "machine", "versions", "commit", "date"} <= set(found)
    assert "- loader: " in done.stdout
    assert all(line.endswith((": yes", ": no")) for line in claims(done.stdout))

    last = [line.split() for line in done.stdout.splitlines()[-len(names) :]]
    assert {what: float(value) for _, what, value in last} == found["ratios"]
    assert all(word == "ratio" for word, _, _ in last)
    assert run(SCRIPT, tmp_path, "--table", "--out", str(out)).stdout == done.stdout


def claims(told: str) -> list[str]:
    lines = [line for line in told.splitlines() if line.startswith("- ")]
    return [line for line in lines if not line.startswith("- a checkpoint")]


@pytest.fixture
def asked() -> argparse.Namespace:
    words = ["--people", "16", "--cores", "1", "--rounds", "1", "--steps", "2"]
    return finetuning.arguments(["--quick", *words])


@pytest.fixture
def job(asked: argparse.Namespace, tmp_path: Path) -> Job:
    index = _labelled.draw(tmp_path / "drawn", asked.people, asked.each)
    start = _labelled.write_start(tmp_path / "start.safetensors", Encoder())
    return finetuning.job(asked, (32, 16), index, start)


@pytest.mark.slow
@pytest.mark.parametrize("number_format", ["fp32", "bf16"])
def test_the_plain_step_leaves_the_weights_that_ours_leaves(job: Job, number_format: str) -> None:
    told = job.model_copy(update={"number_format": number_format})
    start = Start(*init_file.read(told.init), told.encoder)
    cfg = finetuning.configuration(told)
    ours = Trainer(cfg, told.images, told.schedule, told.plan, start, told.seed, number_format)
    plain = finetuning.plain_training(told)
    plain.model.load_state_dict(ours.network.state_dict())
    given = []

    def keep(model: torch.nn.Module, inputs: tuple[dict[str, torch.Tensor]]) -> None:
        given.append((inputs[0]["images"].clone(), inputs[0]["targets"]))

    ours.network.register_forward_pre_hook(keep)
    ours.max_iter = 2
    ours.train()
    for batch in given:
        plain.step(batch)
    for name, value in ours.network.state_dict().items():
        assert torch.equal(value, plain.model.state_dict()[name]), name


def test_plain_batches_are_four_pictures_of_sixteen_people(job: Job) -> None:
    batches = finetuning.plain_batches(job)
    for _ in range(2):
        images, people = next(batches)
        assert (images.shape, images.dtype) == ((64, 3, 32, 16), torch.float32)
        assert images.max() > 1  # as fast-reid takes them, 0..255
        assert set(Counter(people.tolist()).values()) == {4}


def test_people_with_few_pictures_have_some_twice() -> None:
    batch = next(iter(_plain.PeopleBatches([0, 0, 0, 1], count=2, each=3)))
    assert Counter(batch)[3] == 3
    assert {place for place in batch if place != 3} == {0, 1, 2}


def test_turns_are_as_many_steps_of_each_and_the_first_round_is_thrown_away() -> None:
    order: list[str] = []
    turns = _turns.Turns(lambda: order.append("b"), 4, 2, 2, lambda name, rate: None, lambda: None)
    for _ in range(6):
        order.append("a")
        stop = turns()
    assert stop
    assert "".join(order) == "aabb" * 3
    assert {name: len(rates) for name, rates in turns.kept().items()} == {"passerby": 2, "plain": 2}


def test_a_batch_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    asked = finetuning.arguments(["--people", "8"])
    with pytest.raises(BadInput, match="8 labelled people, but a batch holds 16"):
        finetuning.job(asked, (32, 16), tmp_path / "index.tsv", tmp_path / "start")
    asked = finetuning.arguments(["--height", "0"])
    with pytest.raises(BadInput, match="greater than or equal to 1"):
        finetuning.job(asked, (0, 16), tmp_path / "index.tsv", tmp_path / "start")


def test_the_asked_size_is_told_first_and_none_twice() -> None:
    assert finetuning.sizes(finetuning.arguments([])) == [(128, 64), (64, 32)]
    same = finetuning.arguments(["--height", "64", "--width", "32"])
    assert finetuning.sizes(same) == [(64, 32)]
