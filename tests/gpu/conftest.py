"""Tests of what a GPU runs. Each test also runs on a CPU, wherever that makes sense.

Under `pytest -m gpu` they run on the first GPU, and otherwise on the CPU. Tests that make sense
only on a GPU are marked with `gpu_samples.on_gpu`.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from passerby.training.processes import Group

HERE = Path(__file__).parent
BESIDE = ("baselines", "crops", "finetune", "pretrain")
sys.path += [str(HERE), *(str(HERE.parent / folder) for folder in BESIDE)]

from pretrain_samples import write_crops  # noqa: E402

from passerby.crops.store import CropStore  # noqa: E402
from passerby.pretrain.cropset import CropSet  # noqa: E402


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device on which a test computes."""
    if request.param == "cpu":
        return torch.device("cpu")
    # cuBLAS reads it once, before its first product: finetuning promises equal bytes.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Let cuDNN compute convolutions in float32; by default it uses TF32, which has ten bits.

    Matrices are multiplied in float32 by torch's default.
    """
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@pytest.fixture(scope="module")
def group(device: torch.device) -> Iterator[Group]:
    """A group of this process alone, made as in `processes.joined`, with gloo and NCCL."""
    on_gpu = device.type == "cuda"
    with pytest.MonkeyPatch.context() as patch:
        for name in {"GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"} - os.environ.keys():
            patch.setenv(name, "lo")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=dist.HashStore(),
            rank=0,
            world_size=1,
            device_id=device if on_gpu else None,
        )
        yield Group(0, 1, device)
        time.sleep(0.05)  # gloo's threads let go of their last tensors: they need Python's lock
        dist.destroy_process_group()


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> CropSet:
    """64 tiny crops of two videos."""
    path = tmp_path_factory.mktemp("gpu") / "crops.lmdb"
    write_crops(path)
    return CropSet.of(CropStore(path))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs keep what is unfinished."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / "scratch"
