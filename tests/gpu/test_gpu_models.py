"""Models on a GPU: embedding, finetuning by fast-reid, the attribute classifier."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline_samples
import finetune_samples
import needs
import numpy as np
import pytest
import torch
from finetune_samples import Killed, contents
from gpu_samples import on_gpu

from passerby.baselines import attributes
from passerby.finetune import model, run
from passerby.finetune.job import Job
from passerby.finetune.trainer import Trainer
from passerby.models import artifact, backbones, init_file
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder
from passerby.models.networks import ReidNet, TorchNetwork
from passerby.settings import Encoder, Finetune


def reid_net(card: ModelCard) -> ReidNet:
    """A ResNet-18 with a neck, none of whose norms is a fresh one; the same each time."""
    net = ReidNet(card)
    state = {**backbones.build(card.encoder(), seed=3).state_dict()}
    state |= {f"neck.{name}": tensor for name, tensor in net.neck.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        if name.endswith(("running_mean", "running_var", "bias")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    net.load(state)
    return net


def test_an_embedders_features_are_the_networks_in_float64(device: torch.device) -> None:
    card = ModelCard.of(
        Encoder(),
        height_px=64,
        width_px=32,
        embedding_size=512,
        neck="bnneck",
        distance="cosine",
        trained_on="noise",
    )
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (20, 64, 32, 3), np.uint8))
    embedder = Embedder(TorchNetwork(reid_net(card), card, str(device)), card)
    found = embedder.embed(images, batch=8)
    mean, deviation = (torch.tensor(v).double().view(3, 1, 1) for v in (card.mean, card.deviation))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).double() / 255
    with torch.no_grad():
        wanted = reid_net(card).double().eval()((pixels - mean) / deviation).numpy()
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert np.array_equal(embedder.embed(images, batch=8, threads=1), found)


@pytest.fixture
def finetune(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ModelCard]:
    """Finetunings on eight people in noise, in this process."""
    monkeypatch.delenv("PASSERBY_PROCESSES", raising=False)
    benchmark = finetune_samples.write_benchmark(tmp_path)

    def go(out: str, encoder: Encoder, **changes: Any) -> ModelCard:
        start = tmp_path / f"{encoder.architecture}.safetensors"
        if not start.exists():
            finetune_samples.write_start(start, encoder)
        plan = finetune_samples.PLAN.model_dump() | {"precision": "bf16"} | changes
        job = Job(
            name=f"finetune@{out}",
            init=str(start),
            percent=100,
            seed=0,
            index=str(tmp_path / "noise.tsv"),
            root=str(benchmark.root),
            plan=Finetune.model_validate(plan),
            encoder=encoder,
            threads=1,
        )
        return run.finetune(job, tmp_path / out, quiet=True)

    return go


@on_gpu
def test_finetunings_are_equal_byte_by_byte_also_when_one_was_killed(
    finetune: Callable[..., ModelCard],
    device: torch.device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"iterations": 6, "iterations_per_epoch": 3, "checkpoint_s": 1e-9}
    torch.cuda.reset_peak_memory_stats()
    before_it = torch.cuda.memory_allocated()
    for name in ("one", "two"):
        finetune(name, Encoder(), **changes)
    assert torch.cuda.max_memory_allocated() - before_it > 4 * 11_000_000  # its weights were there
    before = Trainer.before_step

    def killed(self: Trainer) -> None:
        if self.iter == 4:  # a step of the second epoch is done and kept
            raise Killed
        before(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "before_step", killed)
        with pytest.raises(Killed):
            finetune("resumed", Encoder(), **changes)
    assert not (tmp_path / "resumed").exists()
    finetune("resumed", Encoder(), **changes)
    assert (tmp_path / "one" / "history.tsv").read_text().count("\n") == 7
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert contents(tmp_path / "resumed") == contents(tmp_path / "one")


@on_gpu
def test_mgn_trains_and_is_written_as_a_model_with_its_features(
    finetune: Callable[..., ModelCard],
    device: torch.device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs.require("the package 'onnx'")
    networks: list[Any] = []
    write = model.write
    monkeypatch.setattr(
        model, "write", lambda folder, net, *rest: networks.append(net) or write(folder, net, *rest)
    )
    settings = {"recipe": "mgn", "height_px": 80, "width_px": 40, "freeze_share": 0.5}
    steps = {"iterations": 2, "iterations_per_epoch": 2}
    card = finetune("mgn", Encoder(architecture="resnet50"), **settings, **steps)
    assert (card.kind, card.embedding_size) == ("onnx", 8 * 256)
    (network,) = networks
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 80, 40, 3), np.uint8)
    with torch.no_grad():
        theirs = network.eval()(torch.from_numpy(pictures).permute(0, 3, 1, 2).float()).numpy()
    ours = Embedder.load(tmp_path / "mgn").embed(list(pictures))
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_attribute_classifier_learns_for_an_epoch(
    device: torch.device, tmp_path: Path, scratch: Path, precision: str
) -> None:
    labelled = baseline_samples.write_pictures(tmp_path)
    people = range(1, baseline_samples.PEOPLE + 1)
    baseline_samples.write_annotations(tmp_path / "annotations.csv", people)
    start = baseline_samples.write_start(tmp_path, Encoder())
    job = baseline_samples.training(tmp_path, labelled, epochs=1, precision=precision)
    card = attributes.train(job, tmp_path / "model", quiet=True)
    assert 0 <= card.metrics["accuracy"] <= 1
    assert (tmp_path / "model" / "history.tsv").read_text().count("\n") == 2
    trained, before = artifact.read(tmp_path / "model")[0], init_file.read(start)[0]
    for name, tensor in trained.items():
        assert tensor.isfinite().all(), name
        assert not torch.equal(tensor, before[name]), name
    assert not scratch.exists() or not any(scratch.rglob("*"))
