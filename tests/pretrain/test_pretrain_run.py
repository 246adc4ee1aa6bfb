"""Whole pretrainings under torchrun: killed, stopped, in two processes."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pretrain_samples import (
    ARM,
    living,
    outputs,
    prepare,
    prepare_settings,
    run,
    started,
    wait_for,
    workers,
    write_crops,
    write_start,
)

from passerby import contract, files
from passerby.crops import source
from passerby.crops.store import CropStore
from passerby.datasets import index
from passerby.models import init_file
from passerby.pretrain import monitor
from passerby.pretrain.run import Job
from passerby.settings import Encoder, Mining
from passerby.training import launch

pytestmark = pytest.mark.slow
SHORT = ARM.model_copy(update={"epochs": 4})
"""16 steps, a checkpoint at the tenth."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Callable[[int], dict[str, bytes]]:
    """What comes out of a run that nobody disturbs, in so many processes."""
    made: dict[int, dict[str, bytes]] = {}

    def outputs_of(processes: int) -> dict[str, bytes]:
        if processes not in made:
            folder = tmp_path_factory.mktemp("undisturbed")
            prepare(folder, SHORT)
            code, said = run(folder, processes)
            assert code == 0, said
            assert not (folder / "scratch").exists() or not any((folder / "scratch").iterdir())
            made[processes] = outputs(folder)
        return made[processes]

    return outputs_of


def checkpoints(folder: Path, name: str) -> Callable[[], list[Path]]:
    return lambda: list(folder.glob(f"scratch/*/*/{name}"))


def test_weights_have_bare_names_and_the_starts_header(undisturbed, tmp_path):
    assert sorted(undisturbed(1)) == ["history.tsv", "monitor.tsv", "weights.safetensors"]
    (tmp_path / "w.safetensors").write_bytes(undisturbed(1)["weights.safetensors"])
    state, header = init_file.read(tmp_path / "w.safetensors")
    assert len(state) == 120
    assert {"conv1.weight", "layer4.1.bn2.running_var"} <= set(state)
    assert (header.source, header.title) == ("pretrain moco", "moco")
    assert header.fresh == ()  # what began afresh has been trained
    assert state["bn1.num_batches_tracked"] == 16
    lines = undisturbed(1)["history.tsv"].decode().splitlines()
    assert lines[0] == "step\tepoch\tloss\taccuracy\tspread\talignment\tuniformity\tlr"
    assert [line.split("\t")[0] for line in lines[1:]] == [str(n) for n in range(1, 17)]
    lines = undisturbed(1)["monitor.tsv"].decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["epoch", "0", "1", "2", "3", "4"]


@pytest.mark.parametrize("part", ["checkpoint.pt", ".checkpoint.pt.part"])
def test_a_killed_launcher_leaves_no_process_and_the_next_run_the_same_bytes(
    undisturbed, tmp_path, part
):
    """In mid-epoch after a checkpoint, and in the middle of writing one."""
    prepare(tmp_path, SHORT)
    process = started(tmp_path)
    wait_for(checkpoints(tmp_path, part))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not workers(tmp_path), limit_s=5)
    assert not (tmp_path / "out" / "weights.safetensors").exists()
    if part.startswith("."):
        assert checkpoints(tmp_path, part)(), "killed too late: it was whole"
    code, said = run(tmp_path)
    assert code == 0, said
    assert ("16/16 steps" in said) == ("pretrain" in said)
    assert outputs(tmp_path) == undisturbed(1)


def test_a_killed_worker_of_two_ends_the_run_and_the_next_gives_the_same_bytes(
    undisturbed, tmp_path
):
    prepare(tmp_path, SHORT)
    process = started(tmp_path, 2)
    wait_for(checkpoints(tmp_path, "checkpoint.pt"))
    os.kill(workers(tmp_path)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "WorkersFailed: passerby.pretrain.main: torchrun ended with 1" in said
    wait_for(lambda: not living(tmp_path), limit_s=5)
    code, said = run(tmp_path, 2)
    assert code == 0, said
    assert outputs(tmp_path) == undisturbed(2)


def test_a_stopped_run_ends_with_75_and_goes_on_to_the_same_bytes(undisturbed, tmp_path):
    prepare(tmp_path, SHORT)
    process = started(tmp_path)
    wait_for(lambda: workers(tmp_path))
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75
    assert said.splitlines()[-1] == "passerby: pretrain: stopped at step 10 of 16, saved"
    assert not living(tmp_path)
    code, said = run(tmp_path)
    assert code == 0, said
    assert outputs(tmp_path) == undisturbed(1)


def test_two_processes_train_what_one_does(tmp_path, monkeypatch):
    """In float64: in float32 BatchNorm over a few pictures makes much of a rounding."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    prepare(tmp_path)
    for processes in (1, 2):
        launch.torchrun("double_samples", tmp_path, processes, threads=1)
    one, first, second = (torch.load(tmp_path / f"state-{n}.pt") for n in ("1-0", "2-0", "2-1"))
    start, _ = init_file.read(tmp_path / "start.safetensors")
    for name, tensor in one.items():
        assert torch.equal(first[name], second[name]), name
        begun = start.get(name.removeprefix("backbone."), torch.zeros(()))
        moved = (tensor - begun).abs().max()
        assert moved > 0, name
        assert (tensor - first[name]).abs().max() <= 1e-4 * moved, name


def test_two_processes_history_is_ones(tmp_path):
    """From the settings to the file; while rounding has not grown yet."""
    arm = ARM.model_copy(update={"epochs": 2, "batch": 64, "lr": 0.01})
    written = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        prepare(folder, arm)
        code, said = run(folder, processes)
        assert code == 0, said
        lines = (folder / "out" / "history.tsv").read_text().splitlines()[1:]
        written.append([[float(word) for word in line.split("\t")] for line in lines])
    assert len(written[0]) == 2
    for one, two in zip(*written, strict=True):
        assert two == pytest.approx(one, rel=1e-4)


def test_history_grows_in_its_place_while_the_run_goes_on(tmp_path):
    prepare(tmp_path, SHORT)
    process = started(tmp_path)
    path = tmp_path / "out" / "history.tsv"
    wait_for(lambda: path.exists() and len(path.read_text().splitlines()) in range(3, 16))
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 75


def test_a_run_of_two_processes_goes_on_in_one_and_says_that_bytes_differ(tmp_path):
    prepare(tmp_path, SHORT)
    process = started(tmp_path, 2)
    wait_for(lambda: workers(tmp_path))
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 75
    code, said = run(tmp_path, 1)
    assert code == 0, said
    assert "pretrain: 2 processes saved step 10, 1 go on: the same batches and negatives" in said
    assert "16/16 steps" in said
    rows = outputs(tmp_path)["history.tsv"].decode().splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == [str(n) for n in range(1, 17)]


def test_an_unfinished_run_with_other_settings_is_named_and_left(tmp_path):
    prepare(tmp_path, SHORT)
    process = started(tmp_path)
    wait_for(lambda: workers(tmp_path))
    process.terminate()
    process.communicate(timeout=120)
    prepare(tmp_path, SHORT.model_copy(update={"temperature": 0.3, "epochs": 1}))
    code, said = run(tmp_path)
    assert code == 0, said
    assert "ask for what was saved:\n  arm.epochs: saved 4, asked 1\n" in said
    assert "  arm.temperature: saved 0.1, asked 0.3\n" in said
    assert checkpoints(tmp_path, "checkpoint.pt")(), "the other run's checkpoint is gone"


def test_an_unfinished_run_on_another_kind_of_device_is_named_and_left(tmp_path):
    """Its job is made to say that it began on a GPU."""
    prepare(tmp_path, SHORT.model_copy(update={"epochs": 1}))
    process = started(tmp_path)
    (path,) = wait_for(checkpoints(tmp_path, "job.json"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not living(tmp_path), limit_s=5)
    job = Job.model_validate(files.read_json(path))
    assert job.device == "cpu"
    begun = job.model_copy(update={"device": "cuda"})
    files.write_json(path, begun.model_dump(mode="json"))
    files.write_json(path.with_name("contract.json"), begun.contract_of_run())
    left = path.parent.rename(path.parent.with_name(files.fingerprint(begun.contract_of_run())))
    code, said = run(tmp_path)
    assert code == 0, said
    assert f"pretrain@moco: not gone on from {left}, an unfinished run with another" in said
    assert "ask for what was saved:\n  device: saved 'cuda', asked 'cpu'\n" in said
    assert (left / "job.json").exists()


def test_unfinished_runs_that_are_damaged_or_of_another_version_are_named_and_left(tmp_path):
    prepare(tmp_path, SHORT.model_copy(update={"epochs": 1}))
    contents = {"old": b'{"name": "moco", "colour": "green"}', "cut": b'{"na', "binary": b"\xff\0"}
    for name, content in contents.items():
        path = tmp_path / "scratch" / "pretrain@moco" / name / "contract.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    code, said = run(tmp_path)
    assert code == 0, said
    for name, content in contents.items():
        path = tmp_path / "scratch" / "pretrain@moco" / name / "contract.json"
        assert f"pretrain@moco: not gone on from {path.parent}, an unfinished run with" in said
        assert path.read_bytes() == content
    assert said.count("is damaged, or was written by another version of passerby\n") == 2
    assert "  code: changed in crops/__init__.py, " in said  # the one that can be read


def stopped_run(folder: Path, processes: int = 1) -> Path:
    """Begin a run and stop it at its tenth step; its checkpoint."""
    prepare(folder, SHORT)
    process = started(folder, processes)
    wait_for(lambda: workers(folder))
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 75
    (path,) = checkpoints(folder, "checkpoint.pt")()
    return path


def test_changed_code_begins_anew_and_names_the_file(undisturbed, tmp_path, monkeypatch):
    """A copy of the package, in which a comment is added between two runs."""
    package = tmp_path / "src" / "passerby"
    shutil.copytree(Path(contract.__file__).parent, package)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    left = stopped_run(tmp_path / "run")
    before = left.read_bytes()
    with (package / "pretrain" / "moco.py").open("a") as file:
        file.write("# Another line.\n")
    code, said = run(tmp_path / "run")
    assert code == 0, said
    assert f"pretrain@moco: not gone on from {left.parent}, an unfinished run with another" in said
    assert "ask for what was saved:\n  code: changed in pretrain/moco.py\n" in said
    assert outputs(tmp_path / "run") == undisturbed(1)
    assert left.read_bytes() == before


@pytest.mark.parametrize("processes", [1, 2])
def test_a_damaged_checkpoint_is_named_once_and_the_run_begins_anew(
    undisturbed, tmp_path, processes
):
    path = stopped_run(tmp_path, processes)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, said = run(tmp_path, processes)
    assert code == 0, said
    assert said.count(f"{path}: damaged: its checksum is not that of what it holds; the run") == 1
    assert outputs(tmp_path) == undisturbed(processes)


def test_a_damaged_crop_ends_the_run_and_is_named(tmp_path):
    prepare(tmp_path, SHORT)
    path = tmp_path / "crops.lmdb"
    jpeg = CropStore(path).jpeg(5)
    content = bytearray(path.read_bytes())
    content[content.index(jpeg) + len(jpeg) - 9] ^= 1
    path.write_bytes(content)
    code, said = run(tmp_path)
    assert code == 2
    assert said.splitlines()[-1] == (
        f"passerby: {path}: crop 5 (de+bonn+a/5/0) is damaged; cut it again"
    )


def test_mined_positives_in_two_processes_stay_in_step_and_end_alike(tmp_path):
    mining = Mining(from_epoch=1, every_epochs=1, min_similarity=-1)
    arm = SHORT.model_copy(update={"positives": "mined", "mining": mining, "symmetric": True})
    prepare(tmp_path, arm)
    code, said = run(tmp_path, 2)
    assert code == 0, said
    rows = [row.split("\t") for row in outputs(tmp_path)["history.tsv"].decode().splitlines()]
    assert rows[0][-3:] == ["pairs", "paired_tracks", "right_pairs"]
    assert int(rows[-1][-3]) > 0


def test_people_whom_the_monitor_holds_out_are_not_trained_with(tmp_path):
    prepare(tmp_path, SHORT)
    held = SHORT.monitor.model_copy(update={"hold_out": True})
    people = monitor.people(index.read(tmp_path / "people.tsv", tmp_path), held)
    numbers = source.people("people", np.array(people))
    write_crops(tmp_path / "crops.lmdb", person=np.repeat([*numbers, 7, 8, 9, 10], 4))
    prepare_settings(tmp_path, SHORT.model_copy(update={"monitor": held, "epochs": 1}))
    code, said = run(tmp_path)
    assert code == 0, said
    assert "pretrain: 32 crops, positives 'tracklet'" in said


def test_processes_that_do_not_divide_are_refused(tmp_path):
    prepare(tmp_path, SHORT)
    code, said = run(tmp_path, 3)
    assert code == 2
    assert said.splitlines()[-1] == (
        "passerby: pretrain: 3 processes, which do not divide bn_groups 4 and batch 16; "
        "set PASSERBY_PROCESSES to a number that does"
    )


def test_a_start_of_another_network_is_refused(tmp_path):
    prepare(tmp_path, SHORT)
    write_start(tmp_path / "start.safetensors", Encoder(architecture="resnet34"))
    code, said = run(tmp_path)
    assert code == 2
    assert re.search(r"start\.safetensors: weights for another encoder: architecture", said)


def test_a_run_that_explodes_says_where_and_writes_nothing(tmp_path):
    prepare(tmp_path, SHORT.model_copy(update={"lr": 1e30, "warmup_steps": 0}))
    code, said = run(tmp_path)
    assert code == 2
    assert re.search(
        r"passerby: pretrain: the loss is nan at step \d+, learning rate [\d.]+e\+28", said
    )
    assert not (tmp_path / "out" / "weights.safetensors").exists()
