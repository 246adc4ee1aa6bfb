"""Features of pictures, against a slow loop."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.errors import BadInput
from passerby.images import read_image
from passerby.models import artifact, backbones
from passerby.models.artifact import ModelCard
from passerby.models.embedder import Embedder


def slow_features(model, pictures, flip=False):
    """Pictures through the network one by one, in the steps of fast-reid's inference."""
    state, card = artifact.read(model)
    backbone = backbones.build(card.encoder()).eval()
    backbone.load_state_dict({k: v for k, v in state.items() if not k.startswith("neck.")})
    return np.stack([_slow_feature(backbone, state, card, p, flip) for p in pictures])


def _slow_feature(backbone, state, card, picture, flip):
    small = picture.resize((card.width_px, card.height_px), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(small).transpose(2, 0, 1).astype(np.float32))
    for channel in range(3):
        pixels[channel] -= card.mean[channel] * 255
        pixels[channel] /= card.deviation[channel] * 255
    with torch.no_grad():
        pooled = backbone(pixels[None])[0]
        if flip:
            pooled = (pooled + backbone(pixels.flip(2)[None])[0]) / 2
    if card.neck == "bnneck":
        neck = {k.removeprefix("neck."): v for k, v in state.items() if k.startswith("neck.")}
        spread = (neck["running_var"] + 1e-5).sqrt()
        pooled = (pooled - neck["running_mean"]) / spread * neck["weight"] + neck["bias"]
    return pooled.numpy()


@pytest.mark.parametrize("flip", [False, True])
def test_features_equal_a_slow_loop(model, picture_files, flip):
    embedder = Embedder.load(model)
    found = embedder.embed_files(picture_files, batch=2, flip=flip, progress=False)
    slow = slow_features(model, [Image.open(p).convert("RGB") for p in picture_files], flip)
    assert found.shape == (5, 512)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow, rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(
        embedder.embed([read_image(p) for p in picture_files], batch=2, flip=flip), found
    )


def test_without_a_neck_features_are_the_pooled_ones(tmp_path, state, card, picture_files):
    artifact.write(tmp_path / "plain", state, card.model_copy(update={"neck": "none"}))
    found = Embedder.load(tmp_path / "plain").embed_files(picture_files[:1], progress=False)
    slow = slow_features(tmp_path / "plain", [Image.open(picture_files[0])])
    np.testing.assert_allclose(found, slow, rtol=1e-5, atol=2e-5)


def test_bytes_do_not_depend_on_the_number_of_threads(model, picture_files):
    embedder = Embedder.load(model)
    found = [
        embedder.embed_files(picture_files * 3, batch=4, threads=threads, progress=False).tobytes()
        for threads in (1, 2, 3, 1)
    ]
    assert len(set(found)) == 1


def test_threads_of_torch_are_as_before(model, picture_files):
    before = torch.get_num_threads()
    Embedder.load(model).embed_files(picture_files, progress=False)
    assert torch.get_num_threads() == before


def test_no_pictures_give_no_features(model):
    assert Embedder.load(model).embed([]).shape == (0, 512)


def test_unreadable_pictures_are_named(model, picture_files, tmp_path):
    embedder = Embedder.load(model)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(picture_files[1].read_bytes()[:700])
    text = tmp_path / "text.jpg"
    text.write_text("hello")
    for bad, says in (
        (cut, r"cut\.jpg: not a whole picture \(.*truncated"),
        (text, r"text\.jpg: not a whole picture \(cannot identify"),
        (tmp_path / "none.jpg", r"none\.jpg: no such file"),
    ):
        with pytest.raises(BadInput, match=says):
            embedder.embed_files([*picture_files, bad], batch=2, progress=False)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 2, 3), np.float32), np.zeros((4, 2), np.uint8), np.zeros((0, 2, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused_by_its_place(model, image):
    good = np.zeros((4, 2, 3), np.uint8)
    with pytest.raises(BadInput, match=r"image 1: found .*, wanted uint8 \(H, W, 3\) in RGB"):
        Embedder.load(model).embed([good, image])


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path, state, neck, card):
    artifact.write(tmp_path / "a", state, card)
    with pytest.raises(
        BadInput, match=r"weights\.safetensors: the neck's tensors are \{\}, wanted"
    ):
        Embedder.load(tmp_path / "a")
    other = card.model_copy(update={"architecture": "resnet34"})
    artifact.write(tmp_path / "b", {**state, **neck}, other)
    with pytest.raises(BadInput, match="The file is a resnet18, resnet34 was wanted"):
        Embedder.load(tmp_path / "b")


def test_card_in_a_copied_folder_needs_nothing_else(model, picture_files, tmp_path):
    moved = tmp_path / "elsewhere"
    os.rename(model, moved)
    assert Embedder.load(Path(moved)).embed_files(picture_files, progress=False).shape == (5, 512)


class Broken:
    """A network that gives NaN for black pictures."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        features = np.ones((len(images), 4), np.float32)
        features[images.reshape(len(images), -1).max(axis=1) == 0] = np.nan
        return features


def test_features_that_are_no_numbers_are_refused_with_the_picture(tmp_path):
    card = ModelCard(
        kind="onnx", architecture="x", height_px=8, width_px=4, mean=(0, 0, 0),
        deviation=(1, 1, 1), embedding_size=4, distance="cosine", trained_on="x",
    )  # fmt: skip
    embedder = Embedder(Broken(), card)
    black, white = np.zeros((8, 4, 3), np.uint8), np.full((8, 4, 3), 255, np.uint8)
    assert embedder.embed([white]).shape == (1, 4)
    with pytest.raises(BadInput, match="image 3: the model gives features with NaN or infinity"):
        embedder.embed([white, white, white, black, white], batch=2)
    for number, picture in enumerate([white, black]):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    with pytest.raises(BadInput, match=r"1\.png: the model gives features with NaN"):
        embedder.embed_files([tmp_path / "0.png", tmp_path / "1.png"], progress=False)


@pytest.mark.parametrize(("batch", "threads"), [(0, 1), (-1, 1), (1, 0)])
def test_a_batch_of_none_is_refused(batch, threads):
    card = ModelCard(
        kind="onnx", architecture="x", height_px=8, width_px=4, mean=(0, 0, 0),
        deviation=(1, 1, 1), embedding_size=4, distance="cosine", trained_on="x",
    )  # fmt: skip
    with pytest.raises(BadInput, match=f"a batch of {batch} on {threads} threads; at least 1"):
        Embedder(Broken(), card).embed([np.zeros((8, 4, 3), np.uint8)], batch, threads=threads)
