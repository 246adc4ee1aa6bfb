"""A whole finetuning: its artifact, equal bytes, going on after a kill, early refusals."""

import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from finetune_samples import Killed, contents

from passerby import contract, files, sealed
from passerby.datasets.index import Benchmark
from passerby.errors import STOPPED, BadInput
from passerby.finetune import model, recipes, run
from passerby.finetune.compat import fastreid
from passerby.finetune.job import Job
from passerby.finetune.trainer import Trainer
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
        job = Job(
            name=f"finetune@{out}",
            init=str(start),
            percent=percent,
            seed=seed,
            index=str(tmp_path / "noise.tsv"),
            root=str(benchmark_set.root),
            plan=changed,
            encoder=encoder,
            threads=1,
        )
        return run.finetune(job, tmp_path / out, quiet=True)

    return go


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


def test_nothing_of_a_run_stays_in_memory(finetune: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[weakref.ref[Trainer]] = []
    begin = Trainer.__init__

    def noted(self: Trainer, *given: Any) -> None:
        begun.append(weakref.ref(self))
        begin(self, *given)

    monkeypatch.setattr(Trainer, "__init__", noted)
    finetune()
    assert [trainer() for trainer in begun] == [None]


@pytest.mark.slow
def test_two_runs_end_with_equal_bytes(finetune: Run, tmp_path: Path) -> None:
    finetune("one"), finetune("two"), finetune("other", seed=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


@pytest.mark.slow
def test_workers_decide_no_bytes_and_end_with_the_run(finetune: Run, tmp_path: Path) -> None:
    finetune("alone", iterations=6), finetune("two", iterations=6, workers=2)
    assert contents(tmp_path / "alone") == contents(tmp_path / "two")
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_numbers_that_are_read_a_step_late_make_the_same_files(
    finetune: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"iterations": 6, "iterations_per_epoch": 3, "checkpoint_s": 1e-9}
    finetune("at_once", **changes)
    read_late(monkeypatch)
    finetune("late", **changes), finetune("unsaved", **changes | {"checkpoint_s": 60})
    assert contents(tmp_path / "late") == contents(tmp_path / "at_once")
    assert contents(tmp_path / "unsaved") == contents(tmp_path / "at_once")


def read_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainers read numbers late, as on a GPU; fused optimisers of a CPU can skip steps."""
    begin = Trainer.__init__

    def late(self: Trainer, *given: Any) -> None:
        begin(self, *given)
        self._late = self._trainer._late = True

    monkeypatch.setattr(Trainer, "__init__", late)


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_in_no_checkpoint_though_it_is_read_late(
    finetune: Run, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_late(monkeypatch)
    with pytest.raises(BadInput, match="the loss of iteration 2 is no finite number"):
        finetune(lr=1e30, iterations=4, iterations_per_epoch=4, checkpoint_s=1e-9)
    (path,) = scratch.rglob(run.CHECKPOINT)
    kept = torch.load(io.BytesIO(sealed.read(path)), weights_only=True)
    assert kept["state"]["iteration"] == 1
    assert len((path.parent / run.HISTORY).read_text().splitlines()) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "fp32"},
        {"precision": "bf16", "average_share": 0.8, "freeze_share": 0.5},
        {"validation": {"folds": 2, "keep": "best"}, "people_per_batch": 2},
        {"workers": 2},
    ],
)
def test_a_run_that_was_killed_in_mid_epoch_goes_on_and_ends_with_equal_bytes(
    finetune: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    changes = {"iterations": 6, "iterations_per_epoch": 3, "checkpoint_s": 1e-9, **changes}
    finetune("undisturbed", **changes)
    before, steps = Trainer.before_step, []

    def killed(self: Trainer) -> None:
        steps.append(self.iter)
        if steps == [0, 1, 2, 3, 4]:  # one step of the second epoch is done and kept
            raise Killed
        before(self)

    monkeypatch.setattr(Trainer, "before_step", killed)
    with pytest.raises(Killed):
        finetune("resumed", **changes)
    assert not (tmp_path / "resumed").exists()
    finetune("resumed", **changes)
    assert steps == [0, 1, 2, 3, 4, 4, 5]
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["bot", "sbs"])
def test_weights_that_lie_channels_last_are_kept_resumed_and_written(
    finetune: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    build, resume = Trainer.build_model, Trainer.resume

    def channels_last(self: Trainer, cfg: Any) -> Any:
        return build(self, cfg).to(memory_format=torch.channels_last)

    def resumed(self: Trainer, state: dict[str, Any]) -> None:
        resume(self, state)
        for parameter, held in self.optimizer.state.items():
            assert held["exp_avg"].stride() == parameter.stride()

    monkeypatch.setattr(Trainer, "build_model", channels_last)
    changes = {"recipe": recipe, "iterations": 4, "iterations_per_epoch": 4, "checkpoint_s": 1e-9}
    finetune("undisturbed", **changes)
    monkeypatch.setattr(Trainer, "resume", resumed)
    before = Trainer.before_step

    def killed(self: Trainer) -> None:
        if self.iter == 2 and not list(tmp_path.rglob("killed")):
            (tmp_path / "killed").touch()
            raise Killed
        before(self)

    monkeypatch.setattr(Trainer, "before_step", killed)
    with pytest.raises(Killed):
        finetune("resumed", **changes)
    finetune("resumed", **changes)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


@pytest.mark.slow
def test_c5_another_configuration_does_not_go_on_from_the_checkpoint(
    finetune: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune("undisturbed", lr=1e-3)
    with monkeypatch.context() as patch:
        patch.setattr(model, "move", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            finetune("resumed", checkpoint_s=1e-9)
    finetune("resumed", lr=1e-3)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


BEST = {"validation": {"folds": 2, "keep": "best"}, "people_per_batch": 2}
SAVED = {"iterations": 6, "iterations_per_epoch": 3, "checkpoint_s": 1e-9}


@pytest.fixture
def killed(finetune: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Kill a run before its fifth step; gives the steps, to which later runs add theirs."""
    before, steps = Trainer.before_step, []

    def noted(self: Trainer) -> None:
        steps.append(self.iter)
        if steps == [0, 1, 2, 3, 4]:
            raise Killed
        before(self)

    def go(out: str, **changes: Any) -> list[int]:
        monkeypatch.setattr(Trainer, "before_step", noted)
        with pytest.raises(Killed):
            finetune(out, **changes)
        return steps

    return go


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), [(run.CHECKPOINT, {}), ("best.pt", BEST)])
def test_a_run_with_a_damaged_file_names_it_and_begins_anew(
    finetune: Run,
    killed: Callable[..., list[int]],
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    changes: dict[str, Any],
) -> None:
    finetune("undisturbed", **SAVED, **changes)
    steps = killed("resumed", **SAVED, **changes)
    (path,) = scratch.rglob(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    finetune("resumed", **SAVED, **changes)
    assert f"{path}: damaged: its checksum is not that of" in capsys.readouterr().err
    assert steps == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5]
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["code", "numpy"])
def test_changed_code_or_another_numpy_begins_anew_and_says_so(
    finetune: Run,
    killed: Callable[..., list[int]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    finetune("undisturbed", **SAVED)
    steps = killed("resumed", **SAVED)
    capsys.readouterr()
    if what == "code":
        code = contract.code
        monkeypatch.setattr(contract, "code", lambda rooms: {**code(rooms), "finetune/run.py": "0"})
    else:
        monkeypatch.setattr(contract, "_version", lambda name: "0")
    finetune("resumed", **SAVED)
    said = capsys.readouterr().err
    assert "finetune@resumed: not gone on from " in said
    wanted = {
        "code": "\n  code: changed in finetune/run.py\n",
        "numpy": "\n  versions.numpy: saved '",
    }
    assert wanted[what] in said
    assert steps == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5]
    assert contents(tmp_path / "resumed") == contents(tmp_path / "undisturbed")


def test_features_of_the_artifact_are_those_of_fast_reids_inference(
    finetune: Run,
    benchmark_set: Benchmark,
    plan: Finetune,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models: list[Any] = []
    write = model.write
    monkeypatch.setattr(
        model, "write", lambda folder, net, *rest: models.append(net) or write(folder, net, *rest)
    )
    finetune(precision="bf16")
    (theirs_net,) = models
    prepare = fastreid.data.transforms.build_transforms(
        recipes.config(plan, encoder, 8, 24), is_train=False
    )
    paths = benchmark_set.split("train").paths[:6]
    pictures = torch.stack([prepare(fastreid.data.common.read_image(str(path))) for path in paths])
    with torch.no_grad():
        theirs = theirs_net.eval()({"images": pictures})
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
    with pytest.raises(BadInput, match=r"0001_c1\.jpg: not a whole picture"):
        finetune(iterations=6, iterations_per_epoch=6)


def test_weights_that_are_no_numbers_are_not_kept(
    finetune: Run, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = Trainer.after_step

    def spoil(self: Trainer) -> None:
        after(self)
        self.network.heads.weight.data[0, 0] = float("nan")

    monkeypatch.setattr(Trainer, "after_step", spoil)
    with pytest.raises(BadInput) as error:
        finetune(iterations=1, iterations_per_epoch=1, checkpoint_s=1e-9)
    assert str(error.value) == (
        "finetune: after iteration 1 1 tensors hold values that are no finite numbers: "
        "heads.weight. Lower 'finetune.lr'"
    )
    assert not list(scratch.rglob(run.CHECKPOINT))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_large_numbers_are_finite_even_where_their_sum_is_not(broken: float) -> None:
    large, small = torch.full((100,), 3e38), torch.tensor(3)
    assert run._not_finite({"large": large, "small": small}) == []
    large[7] = broken
    assert run._not_finite({"large": large, "small": small}) == ["large"]


@pytest.fixture
def stage(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path, tmp_path: Path
) -> Callable[..., list[str]]:
    """Lay out a graph's folder in `tmp_path`, and say how the stage is called there."""

    def lay_out(**changes: Any) -> list[str]:
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
        script = str(ROOT / "stages" / "finetune.py")
        return [sys.executable, script, "moco", "published", "100", "0"]

    return lay_out


def stopped(command: list[str], cwd: Path, scratch: Path, number: int, **more: Any) -> int:
    """Begin the stage, send it a signal once it has a checkpoint; what it ended with."""
    log = cwd / "log.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=cwd, stderr=errors, **more) as running,
    ):
        while not list(scratch.rglob(run.CHECKPOINT)) and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(number)
    return running.returncode


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_stage_ended_by_a_signal_goes_on_and_ends_with_equal_bytes(
    finetune: Run,
    stage: Callable[..., list[str]],
    scratch: Path,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    changes = {"iterations": 30, "iterations_per_epoch": 30, "checkpoint_s": 1e-9}
    finetune("undisturbed", **changes)
    command = stage(**changes)
    code = stopped(command, tmp_path, scratch, number)
    assert code == (STOPPED if number == signal.SIGTERM else -number)
    if number == signal.SIGTERM:
        log = (tmp_path / "log.txt").read_text()
        assert "finetune@moco-published-100-0: stopped at iteration" in log
    assert not (tmp_path / "data" / "models").exists()
    assert list(scratch.rglob(run.CHECKPOINT))
    subprocess.run(command, check=True, cwd=tmp_path, stderr=subprocess.DEVNULL)
    resumed = tmp_path / "data" / "models" / "moco-published-100-0"
    assert contents(resumed) == contents(tmp_path / "undisturbed")
    assert not any(scratch.rglob("*"))


@pytest.mark.slow
def test_p1_p2_two_processes_train_go_on_and_end_with_equal_bytes(
    stage: Callable[..., list[str]], scratch: Path, tmp_path: Path
) -> None:
    changes = {"iterations": 12, "iterations_per_epoch": 4, "checkpoint_s": 1e-9}
    command = stage(**changes)
    two = {"env": {**os.environ, "PASSERBY_PROCESSES": "2"}}
    model_folder = tmp_path / "data" / "models" / "moco-published-100-0"
    subprocess.run(command, check=True, cwd=tmp_path, stderr=subprocess.DEVNULL, **two)
    undisturbed = contents(model_folder)
    assert (model_folder / "history.tsv").read_text().count("\n") == 13
    shutil.rmtree(model_folder)
    assert stopped(command, tmp_path, scratch, signal.SIGTERM, **two) == STOPPED
    assert not model_folder.exists()
    subprocess.run(command, check=True, cwd=tmp_path, stderr=subprocess.DEVNULL, **two)
    assert contents(model_folder) == undisturbed


@pytest.mark.slow
def test_the_stage_says_how_it_is_called() -> None:
    command = [sys.executable, str(ROOT / "stages" / "finetune.py"), "moco", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "passerby: found 2 arguments, wanted: python stages/finetune.py INIT RECIPE PERCENT SEED\n"
    )
