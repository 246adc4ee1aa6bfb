"""Other people's ONNX networks."""

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from passerby.errors import BadInput
from passerby.models import adopt, artifact, onnx_run
from passerby.models.embedder import Embedder

MEAN, DEVIATION = (0.1, 0.2, 0.3), (0.5, 0.25, 1.0)


@pytest.fixture
def network(tmp_path):
    """A network for pictures of 6 x 4 px whose features are the channels' means."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["output"]),
    ]
    shapes = [("input", ["batch", 3, 6, 4]), ("output", ["batch", 3])]
    first, last = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes)
    graph = helper.make_graph(nodes, "means", [first], [last])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, tmp_path / "means.onnx")
    return tmp_path / "means.onnx"


def adopted(network, folder, height_px=6, **rest):
    return adopt.adopt(network, folder, height_px, 4, MEAN, DEVIATION, "euclidean", "Means", **rest)


def by_opencv(picture):
    return cv2.resize(np.asarray(picture), (4, 6), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize(
    ("interpolation", "resized"),
    [
        ("opencv-bilinear", by_opencv),
        ("bilinear", lambda picture: picture.resize((4, 6), Image.Resampling.BILINEAR)),
        ("bicubic", lambda picture: picture.resize((4, 6), Image.Resampling.BICUBIC)),
    ],
)
def test_adopted_network_is_a_model_like_any_other(
    network, tmp_path, picture_files, interpolation, resized
):
    card = adopted(network, tmp_path / "means", interpolation=interpolation)
    assert (card.kind, card.architecture, card.embedding_size) == ("onnx", "means", 3)
    assert artifact.read_card(tmp_path / "means") == card
    found = Embedder.load(tmp_path / "means").embed_files(picture_files, batch=2, progress=False)
    slow = []
    for path in picture_files:
        means = np.asarray(resized(Image.open(path).convert("RGB"))).mean(axis=(0, 1)) / 255
        slow.append((means - MEAN) / DEVIATION)
    np.testing.assert_allclose(found, slow, atol=1e-5)


def test_opencv_and_onnxruntime_agree_on_batches(network):
    batch = np.random.default_rng(0).normal(size=(3, 3, 6, 4)).astype(np.float32)
    by_opencv = onnx_run.by_opencv(network)(batch)
    np.testing.assert_allclose(by_opencv, onnx_run.by_onnxruntime(network)(batch), atol=1e-6)


def test_wrong_size_is_refused(network, tmp_path):
    with pytest.raises(BadInput, match=r"means\.onnx: does not take pictures of 8x4 px"):
        adopted(network, tmp_path / "means", height_px=8)
    assert not (tmp_path / "means").exists()


def test_what_is_no_network_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"none\.onnx: no such file"):
        adopted(tmp_path / "none.onnx", tmp_path / "a")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(BadInput, match=r"text\.onnx: not an ONNX network \(it"):
        adopted(tmp_path / "text.onnx", tmp_path / "a")


def test_adopted_network_has_no_tensors_to_hand_out(network, tmp_path):
    adopted(network, tmp_path / "means")
    with pytest.raises(BadInput, match="can be run, but not taken apart"):
        artifact.read(tmp_path / "means")


@pytest.mark.real
@pytest.mark.slow
def test_osnet_embeds_real_pictures_alike_in_both_libraries(realdata, tmp_path):
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    path = realdata / "models" / "osnet_x0_25_market1501.onnx"
    card = adopt.adopt(
        path, tmp_path / "m", 256, 128, *imagenet, "euclidean", "OSNet", "Market", "opencv-bilinear"
    )
    assert card.embedding_size == 512
    pictures = sorted((realdata / "Market-1501-v15.09.15" / "query").glob("*.jpg"))[:4]
    found = Embedder.load(tmp_path / "m").embed_files(pictures, progress=False)
    by_opencv = onnx_run.by_opencv(path)
    for picture, features in zip(pictures, found, strict=True):
        with Image.open(picture) as opened:
            small = cv2.resize(np.asarray(opened), (128, 256), interpolation=cv2.INTER_LINEAR)
        batch = ((small / 255 - imagenet[0]) / imagenet[1]).transpose(2, 0, 1)[None]
        np.testing.assert_allclose(by_opencv(batch.astype(np.float32))[0], features, atol=1e-5)
