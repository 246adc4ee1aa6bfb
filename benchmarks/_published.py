"""The rival: MoCo on person crops the way that MoCo and LUPerson published it, written anew.

Pictures are files that worker processes of torch's DataLoader open, cut and change one by one with
PIL (`moco/loader.py`; LUPerson, `lup_moco/libs/transform.py`). The step is `moco/builder.py` and
the loop of `main_moco.py`: plain BatchNorm, key encoder moved parameter by parameter, the queue
cloned for the logits, loss and accuracies read at every step. As there, global random states serve.
"""

import copy
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from passerby.pretrain.moco import Encoder
from passerby.pretrain.recipes import Recipe
from passerby.settings import Encoder as Network
from passerby.settings import Pretrain
from passerby.vision import torchvision

PREFETCH = 2
"""Batches that a worker prepares ahead: DataLoader's default."""

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Blurred:
    """A Gaussian blur with a deviation of 0.1 to 2 pixels."""

    def __call__(self, picture: Image.Image) -> Image.Image:
        """Blur a picture."""
        return picture.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


class Erased:
    """For half of the views a hole filled with 0; 100 tries to find one that fits.

    Args:
        chance: Of a hole.
        most: The largest hole, as a share of the picture; the smallest is 0.02.
    """

    def __init__(self, chance: float, most: float) -> None:
        self.chance, self.most = chance, most

    def __call__(self, view: Tensor) -> Tensor:
        """Erase in a view `(3, H, W)`, in place."""
        if random.random() >= self.chance:
            return view
        rows, columns = view.shape[1:]
        for _ in range(100):
            area = random.uniform(0.02, self.most) * rows * columns
            aspect = random.uniform(0.3, 1 / 0.3)
            height, width = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if height < rows and width < columns:
                top, left = random.randint(0, rows - height), random.randint(0, columns - width)
                view[:, top : top + height, left : left + width] = 0
                break
        return view


def changes(recipe: Recipe, arm: Pretrain, network: Network) -> torchvision.transforms.Compose:
    """A list of augmentations as torchvision's operations on PIL pictures."""
    t = torchvision.transforms
    listed = [t.RandomResizedCrop((arm.height_px, arm.width_px), scale=(arm.min_area, 1.0))]
    if recipe.jitter:
        listed.append(t.RandomApply([t.ColorJitter(*recipe.strengths)], p=recipe.jitter))
    if recipe.grey:
        listed.append(t.RandomGrayscale(recipe.grey))
    if recipe.blur:
        listed.append(t.RandomApply([Blurred()], p=recipe.blur))
    listed += [t.RandomHorizontalFlip(), t.ToTensor(), t.Normalize(network.mean, network.deviation)]
    if recipe.erase:
        listed.append(Erased(recipe.erase, recipe.erase_most))
    return t.Compose(listed)


class Files(Dataset[tuple[Tensor, Tensor]]):
    """Two views of each picture, `(3, H, W)` each.

    Args:
        paths: JPEG files.
        change: Makes a view of a PIL picture.
    """

    def __init__(self, paths: Sequence[Path], change: torchvision.transforms.Compose) -> None:
        self.paths, self.change = paths, change

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.paths[place]) as file:
            picture = file.convert("RGB")
        return self.change(picture), self.change(picture)


class Endless(Sampler[int]):
    """One shuffle behind the other, so that the workers never wait for an epoch's end."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.randperm(self.count).tolist()


def batches(
    pictures: Files, batch: int, workers: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Start the workers; then batches of views without end, `(N, 3, H, W)` each, on the device."""
    loader = DataLoader(
        pictures,
        batch,
        sampler=Endless(len(pictures)),
        num_workers=workers,
        prefetch_factor=PREFETCH,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    for queries, keys in loader:
        yield queries.to(device, non_blocking=True), keys.to(device, non_blocking=True)


class Moco(nn.Module):
    """Two encoders and the queue, in one process: logits come out.

    Args:
        encoder: The query encoder.
        arm: Gives K, D, m and T.
    """

    def __init__(self, encoder: Encoder, arm: Pretrain) -> None:
        super().__init__()
        self.encoder_q, self.encoder_k = encoder, copy.deepcopy(encoder)
        self.encoder_k.requires_grad_(False)
        self.momentum, self.temperature = arm.momentum, arm.temperature
        self.register_buffer("queue", F.normalize(torch.randn(arm.dim, arm.queue), dim=0))
        self.queue: Tensor
        self.pointer = 0

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Logits `(N, 1 + K)` of views `(N, 3, H, W)`; the first is the positive's."""
        q = F.normalize(self.encoder_q(queries), dim=1)  # N x D
        with torch.no_grad():
            self._follow()
            order = torch.randperm(len(keys), device=keys.device)
            k = F.normalize(self.encoder_k(keys[order]), dim=1)[order.argsort()]  # N x D
        positive = torch.einsum("nd,nd->n", q, k).unsqueeze(1)  # N x 1
        negative = torch.einsum("nd,dk->nk", q, self.queue.clone().detach())  # N x K
        self._enqueue(k)
        return torch.cat([positive, negative], dim=1) / self.temperature

    def _follow(self) -> None:
        """Move the key encoder, a new tensor for each parameter."""
        m = self.momentum
        pairs = zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True)
        for parameter_q, parameter_k in pairs:
            parameter_k.data = parameter_k.data * m + parameter_q.data * (1.0 - m)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        """Overwrite the oldest keys; the batch need not divide K (as in LUPerson)."""
        size = self.queue.shape[1]
        places = (self.pointer + torch.arange(len(keys), device=keys.device)) % size
        self.queue[:, places] = keys.T.to(self.queue.dtype)
        self.pointer = (self.pointer + len(keys)) % size


class Training:
    """The published loop's body.

    Args:
        encoder: The network at its start.
        arm: Settings of the run.
        device: That trains.
        number_format: `fp32`, `fp16` or `bf16`, of the forward passes.
        lr: The constant learning rate.
    """

    def __init__(
        self,
        encoder: Encoder,
        arm: Pretrain,
        device: torch.device,
        number_format: str,
        lr: float,
    ) -> None:
        self._device, self._dtype = device, _DTYPES[number_format]
        self._moco = Moco(encoder, arm).to(device)
        self._optimiser = torch.optim.SGD(
            self._moco.encoder_q.parameters(), lr, arm.sgd_momentum, weight_decay=arm.weight_decay
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=number_format == "fp16")

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[float, float, float]:
        """Train with a batch; its loss, and shares of queries whose key was among 1 and 5."""
        narrow = self._dtype != torch.float32
        with torch.autocast(
            self._device.type, dtype=self._dtype if narrow else None, enabled=narrow
        ):
            logits = self._moco(*batch)
            target = torch.zeros(len(logits), dtype=torch.int64, device=self._device)
            loss = F.cross_entropy(logits, target)
        right = logits.topk(5, dim=1).indices == 0  # N x 5
        told = loss.item(), right[:, 0].float().mean().item(), right.any(1).float().mean().item()
        self._optimiser.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return told
