"""The ledger's rows about checkpoints and about what runs beside training."""

import itertools
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.datasets.index import Benchmark
from passerby.finetune import bridge, recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.start import Start
from passerby.finetune.trainer import Trainer
from passerby.models import backbones, init_file, transfer
from passerby.models.init_file import InitHeader
from passerby.settings import Encoder, Finetune


@pytest.fixture
def checkpoint(plan: Finetune, encoder: Encoder, tmp_path: Path) -> Path:
    """What fast-reid leaves after an evaluation: its figure is a number of numpy's."""
    start = Start(backbones.build(encoder, seed=3).state_dict(), header(encoder), encoder)
    model = start.build(recipes.config(plan, encoder, 8, 24))
    keeper = fastreid.utils.checkpoint.Checkpointer(model, str(tmp_path))
    keeper.save("model_best", epoch=3, metric=np.float64(0.5))
    return tmp_path / "model_best.pth"


def header(encoder: Encoder) -> InitHeader:
    return InitHeader.of(encoder, "a test")


def test_c1_a_checkpoint_of_fast_reids_is_read_and_started_from(
    checkpoint: Path, plan: Finetune, encoder: Encoder
) -> None:
    raw, _ = transfer.read_raw(checkpoint)
    assert (raw["metric"], raw["epoch"]) == (0.5, 3)
    start = Start(transfer.backbone_state(raw), header(encoder), encoder)
    own = start.build(recipes.config(plan, encoder, 8, 24)).backbone.state_dict()
    assert str(start.account) == "120 of 120 backbone tensors"
    assert all(torch.equal(own[n], raw["model"][f"backbone.{n}"]) for n in own)


def test_c1_fast_reids_own_reader_fails_on_it(checkpoint: Path) -> None:
    keeper = fastreid.utils.checkpoint.Checkpointer(torch.nn.Linear(1, 1), str(checkpoint.parent))
    with pytest.raises(pickle.UnpicklingError, match="numpy"):
        keeper.load(str(checkpoint))


def trainer(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path, people: int = 8
) -> Trainer:
    images = bridge.items(benchmark_set, range(1, people + 1))
    cfg = recipes.config(plan, encoder, people, len(images))
    run = recipes.schedule(plan, len(images))
    return Trainer(cfg, images, run, plan, Start(*init_file.read(start), encoder), 0)


def test_c3_e2_e3_e4_e5_e6_h1_of_fast_reids_hooks_the_rates_alone_run(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path
) -> None:
    """No periodic checkpoint to divide by zero, and no evaluation of its in any way."""
    hooks = trainer(benchmark_set, plan, encoder, start)._hooks
    assert [type(hook) for hook in hooks] == [fastreid.engine.hooks.LRScheduler]
    assert "TEST" in recipes._ELSEWHERE_SECTIONS
    assert "SOLVER.CHECKPOINT_PERIOD" in recipes._ELSEWHERE


def test_h2_fewer_images_than_a_batch_are_trained_on(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path
) -> None:
    """12 images, batches of 16: fast-reid's epoch has no iteration, and its rates divide by it."""
    changed = {"iterations": None, "iterations_per_epoch": None, "epochs": 2}
    few = Finetune.model_validate({**plan.model_dump(), **changed, "images_per_person": 4})
    small = trainer(benchmark_set, few, encoder, start, people=4)
    assert (small.max_iter, small.iters_per_epoch) == (2, 1)
    before = small.network.heads.weight.detach().clone()
    small.train()
    assert (small.iter, torch.equal(before, small.network.heads.weight)) == (2, False)


PAGE = Path(__file__).resolve().parents[2] / "docs" / "fastreid.md"
ROWS = re.findall(
    r"^\| (\w\d+b?(?:, \w\d+b?)*) \|.*\| `(test_\w+\.py)` \|$", PAGE.read_text(), re.M
)


@pytest.mark.parametrize(("rows", "file"), ROWS)
def test_every_row_of_the_page_has_a_test_that_bears_its_name(rows: str, file: str) -> None:
    text = (Path(__file__).parent / file).read_text()
    tested = set()
    for name in re.findall(r"^def test_(\w+)\(", text, re.M):
        tested |= set(itertools.takewhile(re.compile(r"\w\d+b?").fullmatch, name.split("_")))
    assert {row.lower() for row in rows.split(", ")} <= tested


def test_the_page_has_every_row_that_is_wrong_hangs_crashes_or_waits() -> None:
    found = {row for rows, _ in ROWS for row in rows.split(", ")}
    imports, data = {"I1", "I2", "I3", "I6"}, {"D1", "D2", "D3", "D4", "D7", "D8", "T1", "T2"}
    solver = {"S1", "S1b", *(f"S{n}" for n in range(2, 9))}
    checkpoints, evaluation = {f"C{n}" for n in range(1, 6)}, {f"E{n}" for n in range(1, 7)}
    waits = {f"G{n}" for n in range(1, 6)}
    rest = {"M1", "M2", "M3", "H1", "H2", "P1", "P2", "W1"}
    assert found == imports | data | solver | checkpoints | evaluation | waits | rest
