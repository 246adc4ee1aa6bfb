"""What a step sees: crops, partners, views. All of it follows from the step's number.

Each purpose has a stream of its own that is named by the step, and every process draws for the
whole batch and takes its share. So there is no random state to save, and how many processes share
a batch changes no draw.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from passerby import seeds
from passerby.pretrain import draws, kernels, views, views_table, views_triton, views_uint8
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.draws import Geometry
from passerby.pretrain.pictures import Pictures, Streaming
from passerby.pretrain.positives import Positives
from passerby.pretrain.recipes import recipe
from passerby.settings import Encoder, Pretrain
from passerby.training.processes import Group
from passerby.training.sampler import EpochSampler
from passerby.training.upload import uploaded


@dataclass(frozen=True)
class Batch:
    """This process's part of a step of `N` queries and as many keys.

    Attributes:
        queries: Views, `(n, 3, H, W)`.
        labels: Of the queries' crops, `(n,)`.
        keys: Views of the partners of *other* queries of the whole batch, shuffled, `(n, 3, H, W)`.
        key_labels: Of the whole batch's keys, in the order of its queries, `(N,)`.
        unshuffle: Takes gathered keys back to the order of the queries, `(N,)`.
    """

    queries: Tensor
    labels: Tensor
    keys: Tensor
    key_labels: Tensor
    unshuffle: Tensor


class Feed:
    """Makes batches.

    Args:
        crops: What there is to train on.
        pictures: Of these crops.
        positives: Who is whose partner.
        arm: Settings of the run.
        encoder: Gives the input's mean and deviation.
        group: The processes that share each batch.
        threads: That make views, on a CPU.
    """

    def __init__(
        self,
        crops: CropSet,
        pictures: Pictures,
        positives: Positives,
        arm: Pretrain,
        encoder: Encoder,
        group: Group,
        threads: int,
    ) -> None:
        self.positives = positives
        self._crops, self._pictures, self._arm, self._group = crops, pictures, arm, group
        self._recipe = recipe(arm.views)
        self._geometry = Geometry(arm.height_px, arm.width_px, arm.min_area, arm.aspect)
        self._statistics = encoder.mean, encoder.deviation
        self._threads, self._pool = threads, ThreadPoolExecutor(threads, "views")
        self._beside: torch.cuda.Stream | None = None
        self.sampler = EpochSampler(len(crops), arm.batch, arm.seed)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps `first` to `last - 1`, within one epoch.

        Where making one takes another device or other cores than training, the next one is made
        while this one is trained with. Not where they share the cores: both would be slower.
        """
        on_gpu = self._group.device.type == "cuda"
        if not (on_gpu or isinstance(self._pictures, Streaming)):
            yield from map(self.batch, range(first, last))
            return
        if on_gpu and self._beside is None:
            self._beside = torch.cuda.Stream(self._group.device)
        with ThreadPoolExecutor(1, "batch") as one:
            coming = one.submit(self._batch_beside, first)
            for step in range(first, last):
                batch = self._taken_over(coming.result())
                if step + 1 < last:
                    coming = one.submit(self._batch_beside, step + 1)
                yield batch

    def _batch_beside(self, step: int) -> Batch:
        """Make a batch on the GPU's second stream, so that it does not queue behind training."""
        with torch.cuda.stream(self._beside):  # does nothing where there is no such stream
            return self.batch(step)

    def _taken_over(self, batch: Batch) -> Batch:
        """Hand such a batch to the training stream, which waits for it; the host does not wait."""
        if self._beside is not None:
            training = torch.cuda.current_stream(self._group.device)
            training.wait_stream(self._beside)
            for field in fields(batch):
                # Its memory is not used for anything else before training is done with it.
                getattr(batch, field.name).record_stream(training)
        return batch

    def batch(self, step: int) -> Batch:
        """The part of a step that this process works on."""
        rows = self.sampler.rows(step)
        partners = self.positives.partners(rows, self._stream("positives", step))
        first = self._drawn("queries", step, rows)
        second = self._drawn("keys", step, partners)
        if self._arm.symmetric:  # each view is a query, and the key of the other
            first, second = _joined(first, second), _joined(second, first)
        shuffle = self._stream("shuffle", step).permutation(len(first.rows))
        mine = self._group.share(len(first.rows))
        queries, keys = self._views(first, np.arange(len(shuffle))[mine], second, shuffle[mine])
        labels = self.positives.labels
        numbers = labels[first.rows[mine]], labels[second.rows], np.argsort(shuffle)
        of_queries, of_keys, unshuffle = uploaded(numbers, self._group.device)
        return Batch(queries, of_queries, keys, of_keys, unshuffle)

    def whole(self, rows: np.ndarray) -> Tensor:
        """Crops as they are, at the size of a view, normalised, `(n, 3, H, W)`."""
        return self._applied(_Drawn(rows, draws.whole(len(rows))))

    def _views(
        self, first: "_Drawn", at: np.ndarray, second: "_Drawn", then: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Some views of two lists, made in one go."""
        made = self._applied(_joined(first.take(at), second.take(then)))
        return made[: len(at)], made[len(at) :]

    def _drawn(self, purpose: str, step: int, rows: np.ndarray) -> "_Drawn":
        shapes = self._crops.shape[rows]
        stream = self._stream(purpose, step)
        return _Drawn(rows, draws.draw(self._recipe, self._geometry, shapes, stream))

    def _applied(self, drawn: "_Drawn") -> Tensor:
        size = self._geometry.height_px, self._geometry.width_px
        if self._group.device.type == "cpu":
            pictures = self._pictures.take(drawn.rows)
            return views_uint8.apply(
                pictures, drawn.draws, size, *self._statistics, self._pool, self._threads
            )
        if not kernels.is_available():
            pictures = self._pictures.take(drawn.rows)
            return views.apply(pictures, drawn.draws, size, *self._statistics)
        pictures, rows = self._pictures.found(drawn.rows)
        told = views_table.table(drawn.draws, rows, *pictures.shape[1:3])
        (table,) = uploaded([told], pictures.device)
        return views_triton.apply(pictures, table, size, *self._statistics)

    def _stream(self, purpose: str, step: int) -> np.random.Generator:
        return seeds.stream(self._arm.seed, purpose, step)


@dataclass(frozen=True)
class _Drawn:
    """Crops and the draws of a view of each."""

    rows: np.ndarray
    draws: draws.Draws

    def take(self, places: np.ndarray) -> "_Drawn":
        return _Drawn(self.rows[places], self.draws.take(places))


def _joined(first: _Drawn, second: _Drawn) -> _Drawn:
    """Two lists, one behind the other."""
    rows = np.concatenate([first.rows, second.rows])
    return _Drawn(rows, draws.joined(first.draws, second.draws))
