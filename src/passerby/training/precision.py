"""In which number format the network runs, decided once for a run.

bfloat16 pays only where the processor multiplies it: elsewhere it is emulated and slower than
float32. What was decided goes into the run's contract, so that a run never changes format half way.
"""

from pathlib import Path
from typing import Literal

import torch

Decided = Literal["fp32", "bf16"]
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}


def decide(asked: str, device: str) -> Decided:
    """`asked`, or for `auto` bf16 where the device has instructions for it.

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
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(_INSTRUCTIONS & cpu_flags())


def cpu_flags(path: str = "/proc/cpuinfo") -> set[str]:
    """What the processor can do, in Linux's words; empty where the system does not tell."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return set()
    words = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Feat")))
    return set(next(words, []))
