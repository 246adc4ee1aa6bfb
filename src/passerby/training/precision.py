"""In which number format the network runs, decided once for a run.

bfloat16 pays only where the processor multiplies it faster than float32. Elsewhere it is emulated
and slower; and on an Intel Xeon with AVX-512's bf16 but without AMX a step of ResNet-18 at 64x32
took 1.6 times as long in bf16 as in float32 (torch 2.13, one thread). What was decided goes into
the run's contract, so that a run never changes format half way.
"""

import ctypes
from pathlib import Path
from typing import Literal

import torch

Decided = Literal["fp32", "bf16"]
_TELLING = ("vendor_id", "flags", "Features")  # x86's, x86's, ARM's
_CAPABILITY_MAJOR = 75
"""`CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` of CUDA's driver."""
_AMPERE = 8
"""The first GPUs with bf16 units have this compute capability."""


def decide(asked: str, device: str) -> Decided:
    """`asked`, or for `auto` bf16 where the device multiplies it faster than float32.

    Args:
        asked: `auto`, `fp32` or `bf16`.
        device: `cpu` or `cuda`.

    Example:
        >>> decide("fp32", "cpu")
        'fp32'
    """
    if asked == "auto":
        return "bf16" if _has_bf16(device) else "fp32"
    return "bf16" if asked == "bf16" else "fp32"


def autocast(device: str, precision: str) -> torch.autocast:
    """The context in which a forward pass runs in `precision`."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16")


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return torch.version.hip is not None or _capability_major() >= _AMPERE
    return is_worth_it(cpu_words())


def _capability_major() -> int:
    """Major number of the first GPU's compute capability, read from CUDA's driver.

    `torch.cuda.is_bf16_supported` knows it too, but it creates a CUDA context first: a launcher
    would then hold GPU memory for as long as its workers train.

    Raises:
        RuntimeError: the driver returns an error.
    """
    driver = ctypes.CDLL("libcuda.so.1")
    device, major = ctypes.c_int(), ctypes.c_int()
    code = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    )
    if code:
        raise RuntimeError(f"CUDA's driver returns error {code} for the GPU's compute capability")
    return major.value


def is_worth_it(words: set[str]) -> bool:
    """Whether a processor of this maker and these abilities is faster in bf16 than in float32.

    Example:
        >>> is_worth_it({"GenuineIntel", "avx512_bf16", "amx_bf16"})
        True
    """
    return bool({"amx_bf16", "bf16"} & words) or {"avx512_bf16", "AuthenticAMD"} <= words


def cpu_words(path: str = "/proc/cpuinfo") -> set[str]:
    """Maker and abilities of the processor, in Linux's words; empty where it does not tell."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return set()
    told = (line.partition(":") for line in lines)
    return {word for key, _, value in told if key.startswith(_TELLING) for word in value.split()}
