"""Each row of the ledger of fastreid's faults that the compatibility module cures."""

import collections
import importlib.metadata
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.errors import BadInput
from passerby.finetune import bridge, compat, recipes
from passerby.finetune.compat import fastreid
from passerby.settings import Encoder, Finetune

MODES = ["RGB", "RGBA", "CMYK", "P", "L", "LA", "1", "I;16"]


@pytest.fixture
def model(plan: Finetune, encoder: Encoder) -> torch.nn.Module:
    torch.manual_seed(0)
    return fastreid.modeling.build_model(recipes.config(plan, encoder, 8)).eval()


def test_i2_i3_names_that_are_gone_are_lent_for_the_import_only() -> None:
    assert not hasattr(collections, "Mapping")
    assert "torch._six" not in sys.modules


@pytest.mark.slow
def test_i1_i2_i3_fastreid_imports_in_a_fresh_process_and_leaves_nothing_behind() -> None:
    code = """
import collections, sys, torch
loader = torch.utils.data.DataLoader
from passerby.finetune.compat import fastreid
fastreid.engine.DefaultTrainer
assert not hasattr(collections, "Mapping") and "torch._six" not in sys.modules
assert torch.utils.data.DataLoader is loader
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


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
    cfg = recipes.config(plan.model_copy(update={"workers": workers}), encoder, 4)
    batches = bridge.loader(cfg, images, bridge.EpochSampler(images, 4, 2, 2, seed=0))
    with pytest.raises(BadInput) as error:
        next(iter(batches))
    assert str(error.value).startswith(f"{cut}: cannot be read as an image (image file is trunc")


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
    cfg = recipes.config(Finetune(benchmark="noise"), Encoder(), 8)
    optimizer, wrapper = fastreid.engine.defaults.build_optimizer(cfg, model)
    held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
    assert wrapper is None
    assert held == {id(tensor) for tensor in model.parameters() if tensor.requires_grad}
    assert [len(group["params"]) for group in optimizer.param_groups] == [62]
