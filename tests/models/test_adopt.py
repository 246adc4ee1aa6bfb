"""Other people's ONNX networks."""

import shutil

import cv2
import numpy as np
import onnx
import pytest
import small_onnx
from onnx import TensorProto, helper
from PIL import Image

from passerby.errors import BadInput
from passerby.models import adopt, artifact, networks, onnx_run
from passerby.models.artifact import ModelCard
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


LESS_MEAN = [
    small_onnx.node("ReduceMean", ["means"], ["mean"], axes=[0], keepdims=1),
    small_onnx.node("Sub", ["means", "mean"], ["features"]),
]
SCALED = [small_onnx.node("Mul", ["means", "scale"], ["features"])]
SCALE = small_onnx.weights("scale", [1, 2, 3])


def mixing(path):
    """A network that takes the mean of the batch from each feature."""
    return small_onnx.save(path, small_onnx.model([*small_onnx.means(), *LESS_MEAN]))


def small(network, folder, **rest):
    return adopt.adopt(network, folder, small_onnx.HEIGHT_PX, small_onnx.WIDTH_PX, **rest)


def test_network_that_mixes_the_pictures_of_a_batch_is_refused_by_its_own_name(tmp_path):
    path = mixing(tmp_path / "mixing.onnx")
    with pytest.raises(BadInput, match=r"/mixing\.onnx: a picture's features depend on the other"):
        small(path, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_weights_in_another_file_are_refused_also_where_that_file_is(tmp_path):
    made = small_onnx.model([*small_onnx.means(), *SCALED], [SCALE])
    path = small_onnx.save(tmp_path / "a.onnx", made, outside="a.data")
    assert (tmp_path / "a.data").exists()
    with pytest.raises(BadInput, match=r"/a\.onnx: weights such as 'scale' lie in another file"):
        small(path, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    whole = small_onnx.save(tmp_path / "whole.onnx", onnx.load(path))
    assert small(whole, tmp_path / "m").embedding_size == 3
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.yaml", "weights.onnx"]


def test_refused_network_leaves_the_model_that_was_there(network, tmp_path):
    adopted(network, tmp_path / "m")
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    with pytest.raises(BadInput, match="depend on the other pictures"):
        small(mixing(tmp_path / "mixing.onnx"), tmp_path / "m")
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"height_px": 0}, "height_px: Input should be greater than or equal to 1"),
        ({"width_px": 10**9}, "width_px: Input should be less than or equal to 4096"),
        ({"deviation": (1, 0, 1)}, r"deviation\.1: Input should be greater than 0"),
        ({"mean": (0, float("nan"), 0)}, r"mean\.1: Input should be a finite number"),
    ],
)
def test_options_that_no_network_can_have_are_refused(network, tmp_path, options, says):
    with pytest.raises(BadInput, match=rf"means\.onnx: cannot be adopted with that: {says}"):
        adopt.adopt(network, tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def by_hand(network, folder, **changes):
    """A model folder that somebody made without `adopt`."""
    folder.mkdir()
    shutil.copy(network, folder / "weights.onnx")
    fields = {**adopt.USUAL, "height_px": 8, "width_px": 4, "embedding_size": 3, **changes}
    artifact.write_card(folder, ModelCard(kind="onnx", architecture="theirs", **fields))
    return folder


@pytest.mark.slow
def test_model_folder_from_elsewhere_goes_through_the_same_trial(tmp_path):
    folder = by_hand(mixing(tmp_path / "a.onnx"), tmp_path / "mixing")
    with pytest.raises(BadInput, match=r"mixing/weights\.onnx: .* depend on the other pictures"):
        Embedder.load(folder)
    made = small_onnx.model([*small_onnx.means(), *SCALED], [SCALE])
    outside = small_onnx.save(tmp_path / "b.onnx", made, outside="b.data")
    with pytest.raises(BadInput, match=r"outside/weights\.onnx: weights such as 'scale' lie in"):
        Embedder.load(by_hand(outside, tmp_path / "outside"))
    whole = small_onnx.save(tmp_path / "c.onnx", onnx.load(outside))
    with pytest.raises(BadInput, match=r"weights\.onnx: gives 3 features a picture, .* says 4; ad"):
        Embedder.load(by_hand(whole, tmp_path / "four", embedding_size=4))
    assert Embedder.load(by_hand(whole, tmp_path / "good")).card.embedding_size == 3


def test_features_that_are_not_finite_are_refused_when_a_picture_makes_them(tmp_path):
    logarithm = [*small_onnx.means(), small_onnx.node("Log", ["means"], ["features"])]
    path = small_onnx.save(tmp_path / "a.onnx", small_onnx.model(logarithm))
    small(path, tmp_path / "m", mean=(0, 0, 0), deviation=(1, 1, 1))
    embedder = Embedder.load(tmp_path / "m")
    grey, black = (np.full((8, 4, 3), value, np.uint8) for value in (128, 0))
    np.testing.assert_allclose(embedder.embed([grey]), np.log([[128 / 255] * 3]), rtol=1e-5)
    with pytest.raises(BadInput, match=r"m/weights\.onnx: gave features that are not finite"):
        embedder.embed([grey, black])


def test_rows_that_do_not_belong_to_pictures_are_refused(tmp_path):
    path = small_onnx.save(
        tmp_path / "a.onnx",
        small_onnx.model([small_onnx.node("ReduceMean", ["images"], ["features"], axes=[0, 2, 3])]),
    )
    fields = {**adopt.USUAL, "height_px": 8, "width_px": 4, "embedding_size": 3}
    card = ModelCard(kind="onnx", architecture="theirs", **fields)
    network = networks.OnnxNetwork(path, card)
    with pytest.raises(BadInput, match=r"a\.onnx: gave .* shape \(1, 3, 1, 1\), wanted \(2, 3\)"):
        network(np.zeros((2, 8, 4, 3), np.uint8))


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


def test_network_is_not_called_broken_for_a_folder_whose_name_is_no_utf8(network, tmp_path):
    with pytest.raises(BadInput, match=r"gr\\udcf6sse/m: a name that is no text in UTF-8"):
        adopt.adopt(network, tmp_path / "gr\udcf6sse" / "m", 6, 4)
