"""Steps `syncs`, `profile` and `views`: what one step of pretraining is made of."""

import contextlib
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import _gpu_ours
import _gpu_time
import _measure
import _rivals
from _gpu_context import Context
from _gpu_ours import Configuration, Ours
from passerby import seeds
from passerby.pretrain import draws
from passerby.pretrain import views as by_torch
from passerby.pretrain.draws import Geometry
from passerby.pretrain.pictures import Resident
from passerby.pretrain.recipes import recipe
from passerby.settings import Encoder, Pretrain
from passerby.training import precision

WARM_UPS, WATCHED_STEPS = 8, 5
TOP_KERNELS = 40
SYNC = "called a synchronizing CUDA operation"
"""Torch's warning about a host that waits contains these words."""
SOURCES = Path(__file__).resolve().parent.parent / "src"


def syncs(context: Context) -> None:
    """Count how often, and where, a step of pretraining makes the host wait for the device."""
    crops, asked = _gpu_ours.drawn(context), _gpu_ours.first(context)
    with _gpu_ours.grouped(context) as group:
        kept = _gpu_ours.kept_pictures(context, crops, asked, group)
        ours = _gpu_ours.built(context, crops, kept, asked, group)
        for _ in range(WARM_UPS):
            ours.step()
        places: Counter[str] = Counter()
        with _told_of_syncs(context, places):
            for _ in range(WATCHED_STEPS):
                ours.step()
            context.wait()
    context.keep(configuration=asked.name, steps=WATCHED_STEPS)
    if context.kind == "cpu":
        context.keep(host_syncs_per_step=None, note="nothing to count on a CPU")
        return
    context.keep(
        host_syncs_per_step=places.total() / WATCHED_STEPS,
        places=[{"place": place, "count": count} for place, count in places.most_common()],
    )


@contextlib.contextmanager
def _told_of_syncs(context: Context, places: Counter[str]) -> Iterator[None]:
    """Count the places where torch warns that the host waits, in all threads."""
    if context.kind == "cpu":
        yield
        return

    def note(message: Warning | str, *rest: Any) -> None:
        if SYNC in str(message):
            places[_place()] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def _place() -> str:
    """The last three lines of passerby on the stack, the innermost first."""
    stack = [f for f in traceback.extract_stack() if f.filename.startswith(str(SOURCES))]
    lines = [f"{Path(f.filename).relative_to(SOURCES)}:{f.lineno}" for f in reversed(stack[-3:])]
    return " < ".join(lines) or "outside of passerby"


def profile(context: Context) -> None:
    """Measure the kernels of a step, how busy the device is, and parts of a step alone."""
    crops, asked = _gpu_ours.drawn(context), _gpu_ours.first(context)
    seconds, watched_steps = (0.2, 1) if context.quick else (1.5, WATCHED_STEPS)
    with _gpu_ours.grouped(context) as group:
        kept = _gpu_ours.kept_pictures(context, crops, asked, group)
        ours = _gpu_ours.built(context, crops, kept, asked, group)
        for _ in range(WARM_UPS):
            ours.step()
        step_ms = milliseconds(context, ours.step, seconds)
        context.keep(configuration=asked.name, step_ms=step_ms)
        context.keep(parts=parts(context, ours, seconds))
        found = _gpu_time.seen(ours.step, watched_steps, context.kind, context.wait)
    if found is None:
        context.keep(note="torch's profiler sees nothing of the device here")
        return
    alone_ms = context.found["parts"]["views"].get("device_ms")
    context.keep(
        device_busy_ms=found.busy_ms,
        device_idle_share=max(0.0, 1 - found.busy_ms / step_ms),
        launches_per_step=found.launches,
        views_share_of_step=alone_ms / step_ms if alone_ms else None,
        kernels=found.top(TOP_KERNELS),
    )


def milliseconds(context: Context, work: Callable[[], object], seconds: float) -> float:
    """How long `work` takes by the clock: the mean over many calls, until the device is done."""
    work()
    return 1e3 / _measure.rate(work, 1, seconds, context.wait)


def parts(context: Context, ours: Ours, seconds: float) -> dict[str, dict[str, float]]:
    """Measure parts of a step, each alone; see `part`."""
    batch: Any = next(ours.batches)
    trainer = ours.trainer
    works: dict[str, Callable[[], object]] = {
        "views": ours.make_batch,
        "forward_backward": lambda: _forward_backward(context, ours, batch.queries),
        "training": lambda: trainer.train_step(batch, _rivals.STEPS),
    }
    return {name: part(context, work, seconds) for name, work in works.items()}


def part(context: Context, work: Callable[[], object], seconds: float) -> dict[str, float]:
    """Measure one piece of work: `wall_ms` by the clock; `device_ms` and `launches` if known."""
    found = {"wall_ms": milliseconds(context, work, seconds)}
    watched = _gpu_time.seen(work, 1 if context.quick else 3, context.kind, context.wait)
    if watched:
        found |= {"device_ms": watched.busy_ms, "launches": watched.launches}
    return found


def _forward_backward(context: Context, ours: Ours, queries: Tensor) -> None:
    """Run a forward and a backward pass of the query encoder."""
    encoder = ours.trainer.query_encoder
    with precision.autocast(context.kind, ours.trainer.number_format):
        out = encoder(queries)
    out.float().square().mean().backward()
    ours.trainer.optimiser.zero_grad()


def views(context: Context) -> None:
    """Measure the views of a batch, of pictures stored at twice a view's size and at its size."""
    crops, seconds = _gpu_ours.drawn(context), 0.2 if context.quick else 1.0
    size = context.size
    context.keep(views=2 * size.batch, size_px=[size.height_px, size.width_px])
    with _gpu_ours.grouped(context) as group:
        for scale in (2.0, 1.0):
            first = _gpu_ours.first(context)
            asked = Configuration(first.architecture, 2, first.bn_groups, first.batch, scale)
            kept = _gpu_ours.kept_pictures(context, crops, asked, group)
            ours = _gpu_ours.built(context, crops, kept, asked, group)
            rival = torch_form(kept, ours, *_gpu_ours.settings(context, asked))
            mine, other = (part(context, w, seconds) for w in (ours.make_batch, rival))
            told = {
                "passerby": mine,
                "torch_form": other,
                "wall_ratio": other["wall_ms"] / mine["wall_ms"],
            }
            context.keep(**{f"scale_{scale:g}": told})
            del kept, ours, rival
            _gpu_ours.let_go()


def torch_form(kept: Resident, ours: Ours, arm: Pretrain, encoder: Encoder) -> Callable[[], Tensor]:
    """Makes the views of a batch by torch's operations, with new draws each time."""
    listed = recipe(arm.views)
    geometry = Geometry(arm.height_px, arm.width_px, arm.min_area, arm.aspect)
    size, rng = (arm.height_px, arm.width_px), seeds.stream(0, "benchmark views")

    def made() -> Tensor:
        rows = np.tile(ours.feed.sampler.rows(0), 2)
        drawn = draws.draw(listed, geometry, np.full(len(rows), 0.5), rng)
        return by_torch.apply(kept.take(rows), drawn, size, encoder.mean, encoder.deviation)

    return made
