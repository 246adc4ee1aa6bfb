"""A CUDA device for fake tensors, compiled when the first test asks for it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import pytest
import torch

HERE = Path(__file__).parent
collect_ignore = ["fake.py", "finetune_forward.py", "pretrain_step.py", "waits.py"]
"""Programs that change torch when they are imported."""


@pytest.fixture(scope="session")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled `guard.cpp`."""
    needs.require("a CPU build of torch")
    needs.require("a C++ compiler")
    built = Path(torch.__file__).parent
    made = tmp_path_factory.mktemp("fake_cuda") / "guard.so"
    headers = [f"-I{built / 'include'}", f"-I{built / 'include/torch/csrc/api/include'}"]
    libraries = [f"-L{built / 'lib'}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{built / 'lib'}"]
    command = [
        needs.compiler(),
        "-std=c++20",
        "-O1",
        "-shared",
        "-fPIC",
        HERE / "guard.cpp",
        "-o",
        made,
    ]
    subprocess.run([*command, *headers, *libraries], check=True)
    return made


@pytest.fixture
def on_fake_gpu(guard: Path) -> Callable[..., dict[str, Any]]:
    """Runs a program of this folder in a process of its own and returns the JSON that it prints."""

    def run(program: str, asked: Any = None) -> dict[str, Any]:
        given = [] if asked is None else [json.dumps(asked)]
        paths = [HERE, HERE.parent / "pretrain", HERE.parent / "crops", *sys.path]
        done = subprocess.run(
            [sys.executable, HERE / program, *given],
            env={
                **os.environ,
                "PASSERBY_FAKE_CUDA_GUARD": str(guard),
                "PASSERBY_CUDA_GRAPH": "0",  # needs a real GPU
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run
