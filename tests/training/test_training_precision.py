"""Which number format is chosen for a GPU, and that this creates no CUDA context."""

import os
import subprocess
import sys
from pathlib import Path

import needs
import pytest

DRIVER = """
int cuInit(unsigned flags) { return FAILS; }
int cuDeviceGet(int *device, int ordinal) { *device = 40 + ordinal; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) {
    *value = which == 75 && device == 40 ? MAJOR : 0;
    return 0;
}
"""
"""A driver of CUDA that can tell a compute capability and nothing else, no context either."""
DECIDE = 'from passerby.training import precision; print(precision.decide("auto", "cuda"))'
ASK = """
import ctypes
import torch
from passerby.training import launch, precision, processes

def has_context():
    driver, flags, active = ctypes.CDLL("libcuda.so.1"), ctypes.c_uint(), ctypes.c_int()
    assert not driver.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(active))
    return bool(active.value)

kind = processes.device_kind()
launch.processes(torch.cuda.device_count())
number_format = precision.decide("auto", kind)
before = has_context()
has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
torch.zeros(1, device="cuda")
print(kind, before, has_context(), (number_format == "bf16") == has_bf16)
"""


def decided(folder: Path, **defines: int) -> subprocess.CompletedProcess[str]:
    """Decide for a GPU whose driver is `DRIVER` with these macros."""
    needs.require("a C++ compiler")
    (folder / "driver.c").write_text('extern "C" {' + DRIVER + "}")
    macros = [f"-D{name}={value}" for name, value in defines.items()]
    made = ["-shared", "-fPIC", "-x", "c++", *macros, "driver.c", "-o", "libcuda.so.1"]
    subprocess.run([needs.compiler(), *made], cwd=folder, check=True)
    env = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    command = [sys.executable, "-c", DECIDE]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("major", "wanted"), [(7, "fp32"), (8, "bf16"), (9, "bf16")])
def test_gpus_from_compute_capability_8_on_get_bf16(tmp_path, major, wanted):
    done = decided(tmp_path, MAJOR=major, FAILS=0)
    assert done.stdout == f"{wanted}\n", done.stderr


@pytest.mark.slow
def test_a_driver_that_refuses_is_an_error_with_its_number(tmp_path):
    done = decided(tmp_path, MAJOR=9, FAILS=999)
    assert "returns error 999 for the GPU's compute capability" in done.stderr


@pytest.mark.gpu
@pytest.mark.slow
def test_what_a_launcher_asks_about_a_gpu_creates_no_context():
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert done.stdout == "cuda False True True\n"
