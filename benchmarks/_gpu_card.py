"""Step `machine`: versions, and how fast the card copies, and multiplies in bf16, at best."""

import shutil
import subprocess
from typing import Any

import torch

import _measure
from _gpu_context import Context
from passerby.pretrain import kernels

COPY_BYTES, PRODUCT_SIDE, SECONDS = 2 << 30, 8192, 1.0
QUICK_COPY_BYTES, QUICK_PRODUCT_SIDE, QUICK_SECONDS = 64 << 20, 512, 0.2


def machine(context: Context) -> None:
    """Keep versions, what card it is, and how fast it copies and multiplies."""
    context.keep(versions=versions(), card=card(context))
    context.keep(triton_kernels=context.kind == "cuda" and kernels.is_available())
    quick = context.quick or context.kind == "cpu"
    copy_bytes, side, seconds = (
        (QUICK_COPY_BYTES, QUICK_PRODUCT_SIDE, QUICK_SECONDS)
        if quick
        else (COPY_BYTES, PRODUCT_SIDE, SECONDS)
    )
    context.keep(copy_gb_per_s=copied(context, copy_bytes, seconds), copy_bytes=copy_bytes)
    context.keep(bf16_tflop_per_s=multiplied(context, side, seconds), product_side=side)


def versions() -> dict[str, Any]:
    """Versions of what torch was built with, and of the driver; `None` where it is absent."""
    cuda = torch.cuda.is_available()
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())) if cuda else None,
        "driver": smi("driver_version"),
    }


def card(context: Context) -> dict[str, Any]:
    """Name, memory and clocks of the card; nothing on a CPU."""
    if context.kind == "cpu":
        return {}
    told = torch.cuda.get_device_properties(0)
    return {
        "name": told.name,
        "memory_gb": told.total_memory / 1e9,
        "free_memory_gb": torch.cuda.mem_get_info(0)[0] / 1e9,
        "multiprocessors": told.multi_processor_count,
        "cards": torch.cuda.device_count(),
        "clock": smi("clocks.max.sm"),
        "power_limit": smi("power.limit"),
    }


def smi(field: str) -> str | None:
    """The value of a field of `nvidia-smi` for the first card; `None` where there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip() or None if done.returncode == 0 else None


def copied(context: Context, size_bytes: int, seconds: float) -> float:
    """GB read and written per second by a copy from one place on the device to another."""
    source = torch.zeros(size_bytes, dtype=torch.uint8, device=context.device)
    target = torch.empty_like(source)
    target.copy_(source)
    moved_gb = 2 * size_bytes / 1e9
    each = _measure.rate(lambda: target.copy_(source), 1, seconds, context.wait)
    return each * moved_gb


def multiplied(context: Context, side: int, seconds: float) -> float:
    """Tera-operations per second of a product of two square bf16 matrices."""
    left, right = torch.randn(2, side, side, device=context.device).bfloat16()
    out = left @ right
    each = _measure.rate(lambda: torch.mm(left, right, out=out), 1, seconds, context.wait)
    return each * 2 * side**3 / 1e12
