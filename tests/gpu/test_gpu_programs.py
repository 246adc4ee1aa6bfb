"""Pretraining as a program on a GPU: torchrun with NCCL, stop and resume, processes on one GPU.

The test of two processes over gloo also runs on a CPU.
"""

import os
import subprocess
import sys
from pathlib import Path

import double_samples
import pytest
import torch
from gpu_samples import on_gpu
from pretrain_samples import (
    ARM,
    ENCODER,
    living,
    outputs,
    prepare,
    prepare_settings,
    run,
    started,
    wait_for,
    workers,
    write_crops,
)

from passerby.models import backbones, init_file
from passerby.settings import Mining
from passerby.training.processes import Group

HERE = Path(__file__).parent


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs see the first of the GPUs alone."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") or "0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen.split(",")[0])


@on_gpu
def test_a_mined_run_in_bf16_is_stopped_and_goes_on_to_its_end(
    device: torch.device, tmp_path: Path, one_gpu: None
) -> None:
    """Under torchrun with NCCL; of resident pictures until it is stopped, then of streamed ones."""
    mining = Mining(from_epoch=1, every_epochs=1, min_similarity=-1)
    asked = {"epochs": 4, "positives": "mined", "mining": mining, "precision": "bf16"}
    arm = ARM.model_copy(update={**asked, "feed": "resident"})
    prepare(tmp_path, arm)
    process = started(tmp_path)
    wait_for(lambda: workers(tmp_path))
    process.terminate()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 75, said
    assert said.splitlines()[-1] == "passerby: pretrain: stopped at step 10 of 16, saved"
    assert not living(tmp_path)
    prepare_settings(tmp_path, arm.model_copy(update={"feed": "streaming"}))
    code, said = run(tmp_path)
    assert code == 0, said
    assert "16/16 steps" in said
    made = outputs(tmp_path)
    names, *rows = [line.split("\t") for line in made["history.tsv"].decode().splitlines()]
    assert [row[0] for row in rows] == [str(step) for step in range(1, 17)]
    losses = [float(row[names.index("loss")]) for row in rows]
    assert all(0 < loss < 20 for loss in losses)
    pairs = [int(row[names.index("pairs")]) for row in rows]
    assert pairs[:4] == [0] * 4
    assert min(pairs[4:]) > 0
    looks = made["monitor.tsv"].decode().splitlines()
    assert [line.split("\t")[0] for line in looks] == ["epoch", "0", "1", "2", "3", "4"]
    start, _ = init_file.read(tmp_path / "start.safetensors")
    for name, tensor in init_file.read(tmp_path / "out" / "weights.safetensors")[0].items():
        assert tensor.isfinite().all(), name
        assert not torch.equal(tensor, start[name]), name


@on_gpu
def test_two_processes_on_one_gpu_are_refused_before_anything_starts(
    device: torch.device, tmp_path: Path, one_gpu: None
) -> None:
    prepare(tmp_path, ARM)
    code, said = run(tmp_path, 2)
    assert code == 2
    assert said.splitlines()[-1] == (
        "passerby: PASSERBY_PROCESSES=2: this machine has 1 GPU, and each process needs one of its "
        "own; set it to at most 1, or unset it"
    )
    assert not (tmp_path / "scratch").exists()


@pytest.mark.slow
def test_two_gloo_processes_on_one_device_train_what_one_does(
    group: Group, device: torch.device, tmp_path: Path
) -> None:
    """In float64, since BatchNorm over a few pictures magnifies rounding."""
    write_crops(tmp_path / "crops.lmdb")
    own = {"GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(
            [sys.executable, HERE / "gloo_rank.py", tmp_path, str(rank), "2", str(device)],
            env={**os.environ, **own},
        )
        for rank in range(2)
    ]
    double_samples.train(tmp_path, group)
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    one, first, second = (
        torch.load(tmp_path / f"state-{name}.pt", map_location="cpu")
        for name in ("1-0", "2-0", "2-1")
    )
    start = backbones.build(ENCODER).state_dict()
    for name, tensor in one.items():
        assert torch.equal(first[name], second[name]), name
        begun = start.get(name.removeprefix("backbone."), torch.zeros(()))
        moved = (tensor - begun).abs().max()
        assert moved > 0, name
        assert (tensor - first[name]).abs().max() <= 1e-4 * moved, name
