"""A whole finetuning: its artifact, equal bytes, going on after a kill, early refusals."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from passerby import files
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune import recipes, run
from passerby.finetune.compat import fastreid
from passerby.finetune.trainer import Recorder
from passerby.models import artifact, init_file
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.settings import Encoder, Finetune

Run = Callable[..., ModelCard]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def finetune(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path, tmp_path: Path
) -> Run:
    def go(out: str = "model", percent: int = 100, seed: int = 0, **changes: Any) -> ModelCard:
        changed = Finetune.model_validate({**plan.model_dump(), **changes})
        job = run.Job(start, percent, seed, benchmark_set, changed, encoder, threads=1)
        return run.finetune(job, tmp_path / out, quiet=True)

    return go


def contents(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted(folder.iterdir())}


def test_the_card_says_what_the_model_is(
    finetune: Run, tmp_path: Path, start: Path, scratch: Path
) -> None:
    card = finetune(percent=50, seed=4)
    assert artifact.read_card(tmp_path / "model") == card
    assert (card.title, card.init, card.percent, card.seed) == ("MoCo", "moco", 50, 4)
    assert (card.trained_on, card.neck, card.distance) == ("noise", "bnneck", "cosine")
    assert (card.height_px, card.width_px, card.embedding_size) == (32, 16, 512)
    assert card.metrics == {"people": 4, "images": 12, "iterations": 4}
    assert card.hashes["init"] == files.sha256(start)
    assert not scratch.exists() or not any(scratch.rglob("*"))


def test_the_history_has_a_row_a_step_and_no_times(finetune: Run, tmp_path: Path) -> None:
    finetune(warmup_share=0.5, steps_share=(0.5,))
    lines = (tmp_path / "model" / "history.tsv").read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    assert lines[0] == "iteration\tloss\tloss_cls\tloss_triplet\taccuracy\tlr"
    assert [row["iteration"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["lr"] for row in rows] == ["3.5e-05", "0.0001925", "3.5e-05", "3.5e-05"]
    for row in rows:
        total = float(row["loss_cls"]) + float(row["loss_triplet"])
        assert float(row["loss"]) == pytest.approx(total, rel=1e-5)


@pytest.mark.slow
def test_two_runs_end_with_equal_bytes(finetune: Run, tmp_path: Path) -> None:
    finetune("one"), finetune("two"), finetune("other", seed=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("lowered", ["fp32", "bf16"])
def test_a_run_that_was_killed_goes_on_and_ends_with_equal_bytes(
    finetune: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lowered: str
) -> None:
    finetune("undisturbed", precision=lowered)
    after_step, steps = Recorder.after_step, []

    def killed(self: Recorder) -> None:
        after_step(self)
        steps.append(self.trainer.iter)
        if steps == [0, 1, 2]:  # one step into the second epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "after_step", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune("resumed", precision=lowered)
    assert not (tmp_path / "resumed").exists()
    finetune("resumed", precision=lowered)
    assert steps == [0, 1, 2, 2, 3]
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


@pytest.mark.slow
def test_c5_another_configuration_does_not_go_on_from_the_checkpoint(
    finetune: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune("undisturbed", lr=1e-3)
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            finetune("resumed")
    finetune("resumed", lr=1e-3)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


def test_features_of_the_artifact_are_those_of_fast_reids_inference(
    finetune: Run,
    benchmark_set: Benchmark,
    plan: Finetune,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = []
    monkeypatch.setattr(
        run,
        "model_state",
        lambda model, state=run.model_state: models.append(model) or state(model),
    )
    finetune(precision="bf16")
    (model,) = models
    prepare = fastreid.data.transforms.build_transforms(
        recipes.config(plan, encoder, 8), is_train=False
    )
    paths = benchmark_set.split("train").paths[:6]
    pictures = torch.stack([prepare(fastreid.data.common.read_image(str(path))) for path in paths])
    with torch.no_grad():
        theirs = model.eval()({"images": pictures})
    ours = torch.from_numpy(
        Embedder.load(tmp_path / "model").embed_files(paths, 4, progress=False, threads=1)
    )
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


def test_d4_fewer_people_than_a_batch_holds_are_refused_before_the_start(
    finetune: Run, scratch: Path
) -> None:
    with pytest.raises(BadInput, match="4 labelled people, but a batch holds 5"):
        finetune(percent=50, people_per_batch=5)
    assert not scratch.exists()


def test_weights_for_another_encoder_are_refused_before_the_start(
    finetune: Run, start: Path, scratch: Path
) -> None:
    state, header = init_file.read(start)
    init_file.write(start, state, header.model_copy(update={"stem_pooling": "fastreid"}))
    with pytest.raises(BadInput, match="stem_pooling fastreid in the file, torchvision in"):
        finetune()
    assert not scratch.exists()


def test_a_damaged_image_is_named(finetune: Run, benchmark_set: Benchmark) -> None:
    damaged = benchmark_set.split("train").paths[0]
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with pytest.raises(BadInput, match=r"0001_c1\.jpg: cannot be read as an image"):
        finetune(iterations=6, iterations_per_epoch=6)


def test_weights_that_are_no_numbers_are_not_kept(
    finetune: Run, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step = Recorder.after_step

    def spoil(self: Recorder) -> None:
        after_step(self)
        self.trainer.model.heads.weight.data[0, 0] = float("nan")

    monkeypatch.setattr(Recorder, "after_step", spoil)
    with pytest.raises(BadInput) as error:
        finetune(iterations=1, iterations_per_epoch=1)
    assert str(error.value) == (
        "finetune: after iteration 1 1 tensors hold values that are no finite numbers: "
        "heads.weight. Lower 'finetune.lr'"
    )
    assert not list(scratch.rglob(run.CHECKPOINT))


@pytest.mark.slow
def test_the_stage_killed_with_sigkill_goes_on_and_ends_with_equal_bytes(
    finetune: Run,
    benchmark_set: Benchmark,
    plan: Finetune,
    encoder: Encoder,
    scratch: Path,
    tmp_path: Path,
) -> None:
    changes = {"iterations": 30, "iterations_per_epoch": 3}
    finetune("undisturbed", **changes)
    params = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    sets = params["benchmarks"]
    sets["noise"] = {**sets["city-market1501"], "root": str(benchmark_set.root)}
    params["finetune"] = {**plan.model_dump(mode="json"), **changes}
    params["compute"] = {"threads": 1}
    params["encoder"] = encoder.model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "data").mkdir()
    (tmp_path / "init").rename(tmp_path / "data" / "init")
    benchmark_set.write(tmp_path / "data" / "benchmarks" / "noise.tsv")
    command = [sys.executable, str(ROOT / "stages" / "finetune.py"), "moco", "100", "0"]
    quiet: dict[str, Any] = {"cwd": tmp_path, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as stage:
        while not list(scratch.rglob(run.CHECKPOINT)) and stage.poll() is None:
            time.sleep(0.01)
        stage.kill()
    assert not (tmp_path / "data" / "models").exists()
    assert list(scratch.rglob(run.CHECKPOINT))
    subprocess.run(command, check=True, **quiet)
    resumed = tmp_path / "data" / "models" / "moco-100-0"
    assert contents(resumed) == contents(tmp_path / "undisturbed")
    assert not any(scratch.rglob("*"))


@pytest.mark.slow
def test_the_stage_says_how_it_is_called() -> None:
    command = [sys.executable, str(ROOT / "stages" / "finetune.py"), "moco", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "passerby: found 2 arguments, wanted: python stages/finetune.py INIT PERCENT SEED\n"
    )
