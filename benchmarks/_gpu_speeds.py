"""Steps `speeds`, `compiled` and `rival`: pairs per second, alone and compared with others."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

import _gpu_ours
import _gpu_time
import _rivals
import pretraining
from _gpu_context import Context, Failed
from _gpu_ours import Configuration
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.pictures import Resident
from passerby.training.processes import Group

KEPT_OF_RIVALS = ("ratios", "ratios_iqr", "rates", "share_of_harmonic", "gpu")
GPU_WARM_UPS = 12
"""Steps before a GPU is timed: in the first ten DistributedDataParallel waits for the step before,
so that its own clock can read how long it took."""
NETWORKS, STRIDES, GROUPS, BATCHES = ("resnet50", "resnet18"), (2, 1), (8, 4, 1), (256, 1024)


def configurations() -> list[Configuration]:
    """All configurations, those that tell most first."""
    early = [
        Configuration("resnet50", 2, 8, 256),
        Configuration("resnet50", 1, 8, 256),
        Configuration("resnet18", 2, 8, 256),
        Configuration("resnet50", 2, 1, 256),
        Configuration("resnet50", 2, 8, 256, resident_scale=2.0),
        Configuration("resnet50", 2, 8, 1024),
        Configuration("resnet50", 2, 4, 256),
        Configuration("resnet18", 2, 8, 1024),
    ]
    every = itertools.starmap(Configuration, itertools.product(NETWORKS, STRIDES, GROUPS, BATCHES))
    return list(dict.fromkeys([*early, *every]))


def small_configurations() -> list[Configuration]:
    """The configurations of a quick run."""
    strides = [Configuration("resnet18", stride, 4, 32) for stride in STRIDES]
    return [*strides, Configuration("resnet18", 2, 1, 32), Configuration("resnet18", 2, 4, 64)]


def speeds(context: Context) -> None:
    """Measure one configuration after the other, as long as there is time.

    Raises:
        Failed: a configuration could not be measured; the others are kept.
    """
    crops = _gpu_ours.drawn(context)
    wanted = small_configurations() if context.quick else configurations()
    found: list[dict[str, Any]] = []
    faults: dict[str, str] = {}
    left_out: list[str] = []
    took_s: list[float] = []
    scale, kept = 0.0, None
    with _gpu_ours.grouped(context) as group:
        for asked in wanted:
            if context.left_s < expected_s(took_s):
                left_out.append(asked.name)
                context.keep(left_out=left_out)
                continue
            before_s = context.left_s
            if asked.resident_scale != scale:
                kept, scale = None, asked.resident_scale
                _gpu_ours.let_go()
                kept = _gpu_ours.kept_pictures(context, crops, asked, group)
            assert kept is not None
            try:
                found.append(measured(context, crops, kept, asked, group))
                context.keep(configurations=found)
            except Exception as error:  # for example out of memory: the next one may fit
                faults[asked.name] = f"{type(error).__name__}: {error}"[:300]
                context.keep(faults=faults)
            _gpu_ours.let_go()
            took_s.append(before_s - context.left_s)
            print(f"speeds: {asked.name}: {faults.get(asked.name) or found[-1]}", flush=True)
    if faults:
        raise Failed(f"not measured: {', '.join(faults)}")


def expected_s(took_s: Sequence[float]) -> float:
    """Seconds that the next configuration may take, after those that others took.

    The first one is left out: kernels are compiled in it, and libraries are made ready.

    Example:
        >>> expected_s([40.0]), expected_s([40.0, 7.0, 9.0])
        (0.0, 9.0)
    """
    return max(took_s[1:], default=0.0)


def measured(
    context: Context, crops: CropSet, kept: Resident, asked: Configuration, group: Group
) -> dict[str, Any]:
    """Measure the speeds of a configuration, and what it needs of the device."""
    gpu, seconds = context.kind == "cuda", 0.2 if context.quick else 1.5
    before = torch.cuda.memory_allocated() if gpu else 0
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    ours = _gpu_ours.built(context, crops, kept, asked, group)
    rival = _rivals.trained(ours.feed, ours.trainer)
    for _ in range(GPU_WARM_UPS if gpu else 3):
        rival.train(next(rival.batches))
    context.wait()
    told: dict[str, Any] = {"configuration": asked.name, **vars(asked)}
    told["number_format"] = ours.trainer.number_format
    for kind, title in (("joint", "end_to_end"), ("loader", "batches"), ("model", "training")):
        rate = rival.timed(kind, asked.batch, seconds, context.wait)
        told[f"{title}_pairs_per_s"] = rate
    told["step_ms"] = 1e3 * asked.batch / told["end_to_end_pairs_per_s"]
    # The time on the device: by the clock, drawing a batch on the host would be measured instead.
    watched = _gpu_time.seen(ours.make_batch, 3, context.kind, context.wait)
    if watched:
        told["views_device_ms"] = watched.busy_ms
        told["views_share_of_step"] = watched.busy_ms / told["step_ms"]
        told["views_launches"] = watched.launches
    if gpu:
        told["peak_memory_mb"] = _gpu_time.peak_memory_mb(before)
    return told


def compiled(context: Context) -> None:
    """Measure the first configuration without torch.compile and with it."""
    if context.kind == "cpu":
        context.keep(note="not on a CPU, where compiling takes minutes and helps little")
        return
    crops, plain = _gpu_ours.drawn(context), _gpu_ours.first(context)
    with _gpu_ours.grouped(context) as group:
        kept = _gpu_ours.kept_pictures(context, crops, plain, group)
        for asked in (plain, replace(plain, compile=True)):
            before_s = context.left_s
            name = "compiled" if asked.compile else "plain"
            context.keep(**{name: measured(context, crops, kept, asked, group)})
            context.keep(**{f"{name}_took_s": before_s - context.left_s})
            _gpu_ours.let_go()


def rival(context: Context) -> None:
    """Run two rounds of `pretraining.py`, and keep what it measures."""
    _gpu_ours.drawn(context)
    size = context.size
    words = ["--architecture", size.architecture, "--batch", str(size.batch)]
    words += ["--height", str(size.height_px), "--width", str(size.width_px)]
    words += ["--queue", str(size.queue), "--images", str(size.pictures)]
    words += ["--seconds", "0.2" if context.quick else "2", "--rounds", "2"]
    words += ["--cores", str(context.threads)]
    words += ["--crops", str(context.work / "drawn.lmdb")]
    found = pretraining.found(pretraining.arguments(words))
    context.keep(**{key: found[key] for key in KEPT_OF_RIVALS})
