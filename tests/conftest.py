"""What all tests share: one thread a process, and the real data where they are at hand."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def realdata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real archives laid out, or a skip.

    `PASSERBY_REALDATA` names the folder that holds the archives and their `assemble`;
    `PASSERBY_REALDATA_LAID_OUT`, if given, one where that was done already.
    """
    laid_out = os.environ.get("PASSERBY_REALDATA_LAID_OUT")
    if laid_out:
        return Path(laid_out)
    archives = os.environ.get("PASSERBY_REALDATA")
    if not archives:
        pytest.skip("needs the archives of real data: set PASSERBY_REALDATA to their folder")
    target = tmp_path_factory.mktemp("realdata")
    subprocess.run(
        [Path(archives) / "assemble", "--to", target], check=True, stdout=subprocess.DEVNULL
    )
    return target
