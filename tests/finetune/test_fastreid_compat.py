"""Each row of the ledger of fastreid's faults that the compatibility module cures."""

import collections
import importlib.metadata
import multiprocessing
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.errors import BadInput
from passerby.finetune import bridge, compat, recipes
from passerby.finetune.compat import fastreid
from passerby.finetune.published import RECIPES
from passerby.settings import Encoder, Finetune

MODES = ["RGB", "RGBA", "CMYK", "P", "L", "LA", "1", "I;16"]


@pytest.fixture
def model(plan: Finetune, encoder: Encoder) -> torch.nn.Module:
    torch.manual_seed(0)
    return fastreid.modeling.build_model(recipes.config(plan, encoder, 8, 24)).eval()


def test_i2_i3_names_that_are_gone_are_lent_for_the_import_only() -> None:
    assert not hasattr(collections, "Mapping")
    assert "torch._six" not in sys.modules


def fresh_process(code: str, *options: str) -> tuple[int, str, str]:
    """What a fresh Python that runs `code` ends with, prints, and says on stderr."""
    command = [sys.executable, *options, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_i1_i2_i3_fastreid_imports_in_a_fresh_process_and_leaves_nothing_behind() -> None:
    code, out, errors = fresh_process("""
        import collections, inspect, logging, sys
        import numpy, PIL.Image, tensorboard, torch, yaml
        from passerby.vision import torchvision

        KINDS = (type, type(inspect.getdoc), type(len))

        def functions_and_classes():
            for name, module in list(sys.modules.items()):
                if name.split(".")[0] not in ("fastreid", "passerby"):
                    for key, value in list(vars(module).items()):
                        if isinstance(value, KINDS):
                            yield (name, key), value
                        if isinstance(value, type) and value.__module__ == name:
                            for inner, method in list(vars(value).items()):
                                if isinstance(method, KINDS):
                                    yield (name, key, inner), method

        before = dict(functions_and_classes())
        from passerby.finetune.compat import fastreid
        after = dict(functions_and_classes())
        fastreid.engine.DefaultTrainer
        changed = [name for name in before if before[name] is not after.get(name)]
        print(len(before) > 50_000, changed)
        print(hasattr(collections, "Mapping"), "torch._six" in sys.modules, logging.root.handlers)
        """)
    assert (code, out) == (0, "True []\nFalse False []\n"), errors


@pytest.mark.slow
def test_importing_and_a_step_pass_where_warnings_are_errors() -> None:
    """No warning of a third party has to be let pass: a new one shows here."""
    code, _, errors = fresh_process(
        """
        import tempfile
        import numpy, torch
        from pathlib import Path
        from PIL import Image
        from passerby.finetune import bridge, recipes
        from passerby.finetune.start import Start
        from passerby.finetune.trainer import Trainer
        from passerby.models.init_file import InitHeader
        from passerby.settings import Encoder, Finetune

        folder, images = Path(tempfile.mkdtemp()), []
        for number in range(8):
            path = folder / f"{number}.png"
            Image.fromarray(numpy.full((32, 16, 3), 20 * number, numpy.uint8)).save(path)
            images.append((str(path), f"person {number // 2}", "camera"))
        plan = Finetune(
            benchmark="b", height_px=32, width_px=16, iterations=1, precision="fp32",
            people_per_batch=4, images_per_person=2,
        )
        encoder = Encoder()
        start = Start({}, InitHeader.of(encoder, "random", ("*",)), encoder)
        cfg = recipes.config(plan, encoder, 4, 8)
        trainer = Trainer(cfg, images, recipes.schedule(plan, 8), plan, start, 0)
        before = trainer.network.heads.weight.detach().clone()
        trainer.train()
        assert not torch.equal(before, trainer.network.heads.weight)
        """,
        "-W",
        "error",
    )
    assert code == 0, errors


@pytest.mark.slow
def test_i6_a_placeholder_is_imported_and_later_calls_reach_the_real_package() -> None:
    code, out, errors = fresh_process("""
        import sys
        from passerby.finetune.compat import fastreid
        import fastreid.utils.compute_dist as theirs
        print([name for name in ("faiss", "tabulate", "tensorboard") if name in sys.modules])
        print(theirs.index_init_cpu(4).d, theirs.faiss.METRIC_L2, "faiss" in sys.modules)
        print(sys.modules["fastreid.data.datasets.bases"].tabulate([["a", 1]], tablefmt="plain"))
        """)
    assert (code, out) == (0, "[]\n4 1 True\na  1\n"), errors


@pytest.mark.parametrize("found", ["1.3.0", None])
def test_another_fastreid_is_refused(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(BadInput) as error:
        compat.check_version()
    assert str(error.value) == (
        f"fastreid 1.4.0 is wanted, found {found or 'none'}; "
        "install it with 'pip install --no-deps fastreid==1.4.0'"
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_d1_d2_a_damaged_image_is_named_and_nothing_hangs(
    tmp_path: Path, plan: Finetune, encoder: Encoder, workers: int
) -> None:
    whole = tmp_path / "whole.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:-100])
    images = [(str(path), f"p{n}", "c1") for n in range(4) for path in (whole, cut)]
    cfg = recipes.config(plan.model_copy(update={"workers": workers}), encoder, 4, 8)
    batches = bridge.loader(cfg, images, bridge.EpochSampler(images, 4, 2, 2, seed=0), seed=0)
    with pytest.raises(BadInput) as error:
        next(iter(batches))
    assert str(error.value).startswith(f"{cut}: not a whole picture (image file is trunc")
    assert multiprocessing.active_children() == []  # though the error keeps its trace


@pytest.mark.parametrize("mode", MODES)
def test_d3_t2_a_picture_of_any_mode_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.tif"
    Image.new("I;16" if mode == "I;16" else "RGB", (4, 6), 200).convert(mode).save(path)
    picture = fastreid.data.common.read_image(str(path))
    tensor = fastreid.data.transforms.ToTensor()(picture)
    assert (picture.mode, tensor.shape, tensor.dtype) == ("RGB", (3, 6, 4), torch.float32)


def test_d3_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 6)).save(tmp_path / "turned.jpg", exif=exif)
    assert fastreid.data.common.read_image(str(tmp_path / "turned.jpg")).size == (6, 4)


def test_batches_are_those_of_upstreams_collator() -> None:
    pictures = [torch.rand(3, 4, 2), torch.zeros(3, 4, 2)]
    draws = [
        {"images": picture, "targets": place, "camids": 7, "img_paths": f"{place}.jpg"}
        for place, picture in enumerate(pictures)
    ]
    (found,) = compat.Loader(0, dataset=draws, batch_size=2, collate_fn=None)
    wanted = fastreid.data.build.fast_batch_collator(draws)
    assert found.keys() == wanted.keys()
    for name in ("images", "targets", "camids"):
        assert found[name].dtype == wanted[name].dtype
        assert torch.equal(found[name].cpu(), wanted[name])
    assert found["img_paths"] == wanted["img_paths"] == ["0.jpg", "1.jpg"]


def test_t2_tensors_are_those_of_upstream() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upstream = fastreid.data.transforms.functional.to_tensor(picture)
    assert torch.equal(compat.to_tensor(picture), upstream)


def test_m1_the_callers_pictures_stay_as_they_are(model: torch.nn.Module) -> None:
    pictures = torch.rand(2, 3, 32, 16) * 255
    before = pictures.clone()
    with torch.no_grad():
        first, again = model({"images": pictures}), model(pictures)
    assert torch.equal(pictures, before)
    assert torch.equal(first, again)
    # In place, as upstream: the same values, but once only.
    normalised = before.sub_(model.pixel_mean).div_(model.pixel_std)
    assert torch.equal(model.preprocess_image(pictures), normalised)


def test_m1_flip_testing_is_the_pass_of_the_flipped_picture(model: torch.nn.Module) -> None:
    pictures = torch.rand(2, 3, 32, 16) * 255
    flipped = pictures.flip(3)
    with torch.no_grad():
        model({"images": pictures})
        assert torch.equal(model({"images": pictures.flip(3)}), model(flipped))


def test_s1_the_optimiser_holds_every_trainable_tensor_itself(model: torch.nn.Module) -> None:
    cfg = recipes.config(Finetune(benchmark="noise"), Encoder(), 8, 24)
    optimizer, wrapper = fastreid.engine.defaults.build_optimizer(cfg, model)
    held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
    assert wrapper is None
    assert held == {id(tensor) for tensor in model.parameters() if tensor.requires_grad}
    assert [len(group["params"]) for group in optimizer.param_groups] == [62]


def stepped(model: Any, optimizer: Any, scaler: Any) -> list[str]:
    """A step of a model under a scaler of gradients; the trainable tensors that it left alone."""
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    with fastreid.utils.events.EventStorage(0):
        losses = model.train()(
            {"images": torch.rand(8, 3, 32, 16) * 255, "targets": torch.arange(8) // 2}
        )
    optimizer.zero_grad()
    scaler.scale(sum(losses.values())).backward()
    scaler.step(optimizer)
    after = dict(model.named_parameters())
    return [name for name in before if torch.equal(before[name], after[name])]


@pytest.fixture
def scaler() -> Any:
    return torch.amp.GradScaler("cpu")


def test_s1b_a_step_under_a_scaler_of_gradients_changes_every_tensor(
    model: torch.nn.Module, scaler: Any
) -> None:
    cfg = recipes.config(Finetune(benchmark="noise"), Encoder(), 8, 24)
    optimizer, _ = fastreid.engine.defaults.build_optimizer(cfg, model)
    assert stepped(model, optimizer, scaler) == []


def test_s1b_without_the_repair_it_fails(model: torch.nn.Module, scaler: Any) -> None:
    cfg = recipes.config(Finetune(benchmark="noise"), Encoder(), 8, 24)
    optimizer, _ = fastreid.solver.build.build_optimizer(cfg, model)
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        stepped(model, optimizer, scaler)


def test_s3_no_recipe_asks_for_the_trainer_that_asserts_a_gpu(plan: Finetune) -> None:
    amp = fastreid.engine.train_loop.AMPTrainer(
        torch.nn.Linear(1, 1), [], None, None, grad_scaler=object()
    )
    with pytest.raises(AssertionError, match="CUDA is required"):
        amp.run_step()
    asked = [RECIPES[name].table["SOLVER.AMP.ENABLED"] for name in RECIPES]
    assert any(asked)
    for name in RECIPES:
        changed = plan.model_copy(update={"recipe": name, "height_px": 96, "iterations": None})
        architecture = {"resnet": "resnet50", "ibn": "resnet50-ibn", "resnest": "resnest50"}
        encoder = Encoder(architecture=architecture.get(RECIPES[name].backbone, "vit-small"))
        assert recipes.config(changed, encoder, 8, 24).SOLVER.AMP.ENABLED is False


def test_s8_gradients_are_clipped_a_parameter_at_a_time() -> None:
    """As upstream clips them without its flat buffers; with these, a buffer at a time."""
    cfg = fastreid.config.get_cfg()
    cfg.merge_from_list(["SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.OPT", "SGD"])
    layer = torch.nn.Linear(4, 4)
    optimizer, _ = compat.build_optimizer(cfg, layer)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2]
    layer.weight.grad, layer.bias.grad = torch.full((4, 4), 10.0), torch.full((4,), 0.5)
    optimizer.step()
    assert float(layer.weight.grad.norm()) == pytest.approx(cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE)
    assert float(layer.bias.grad.norm()) == 1.0


def test_e1_fast_reids_evaluator_compiles_nothing_into_its_installation() -> None:
    home = Path(fastreid.__file__).parent

    def files() -> dict[Path, tuple[int, int]]:
        kept = (p for p in home.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in kept}

    before = files()
    assert home / "evaluation" / "rank_cylib" / "Makefile" in before
    fastreid.evaluation.ReidEvaluator(fastreid.config.get_cfg(), num_query=1)
    assert files() == before


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A group of this process alone, as torchrun would make it."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setattr(fastreid.utils.comm, "_LOCAL_PROCESS_GROUP", None)
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_p1_fast_reid_knows_which_processes_share_the_machine() -> None:
    with pytest.raises(AssertionError):
        fastreid.utils.comm.get_local_rank()
    compat.join_processes()
    assert (fastreid.utils.comm.get_local_rank(), fastreid.utils.comm.get_local_size()) == (0, 1)


@pytest.mark.usefixtures("one_process")
def test_p2_a_model_on_the_cpu_is_wrapped_though_fast_reid_names_a_gpu() -> None:
    layer = torch.nn.Linear(3, 2)
    upstream = torch.nn.parallel.DistributedDataParallel
    with pytest.raises(ValueError, match="device_ids"):
        upstream(layer, device_ids=[0], broadcast_buffers=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch 2.13 warns of what fast-reid asks for
        wrapped = fastreid.engine.defaults.DistributedDataParallel(
            layer, device_ids=[0], broadcast_buffers=False
        )
    assert isinstance(wrapped, upstream)
    wrapped(torch.ones(1, 3)).sum().backward()
    assert torch.equal(layer.weight.grad, torch.ones(2, 3))
