"""Models as ONNX files: what comes out in onnxruntime and in OpenCV, and what is refused."""

import subprocess
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from passerby.errors import BadInput
from passerby.models import adopt, artifact, backbones, export, onnx_run
from passerby.models.embedder import Embedder
from passerby.models.export import Checked, Statement
from passerby.settings import Encoder

SIZE = Statement(
    architecture="tiny", height_px=6, width_px=4, interpolation="bicubic", distance="cosine"
)


class Means(nn.Module):
    """A network whose features are the channels' means, and which obeys `change`."""

    def __init__(self, change=lambda features: features):
        super().__init__()
        self.change = change

    def forward(self, images):
        return self.change(images.mean(dim=(2, 3)))


@pytest.fixture
def rgb():
    """Five pictures in the size of the test's model, `uint8 (5, H, W, 3)`."""
    return np.random.default_rng(4).integers(0, 256, (5, 32, 16, 3), np.uint8)


def by_onnxruntime(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (features,) = session.run(["features"], {"images": batch})
    return features


def by_opencv(path, batch):
    net = cv2.dnn.readNetFromONNX(str(path))
    rows = []
    for picture in batch:
        net.setInput(picture[None], "images")
        rows.append(net.forward().copy())
    return np.concatenate(rows)


@pytest.mark.slow
@pytest.mark.parametrize("stem_pooling", ["torchvision", "fastreid"])
@pytest.mark.parametrize("neck_kind", ["bnneck", "none"])
def test_features_of_pictures_as_they_are_equal_the_embedders(
    tmp_path, state, neck, card, rgb, stem_pooling, neck_kind
):
    card = card.model_copy(update={"stem_pooling": stem_pooling, "neck": neck_kind})
    artifact.write(tmp_path / "m", {**state, **(neck if neck_kind == "bnneck" else {})}, card)
    _, checked = export.export(tmp_path / "m", tmp_path / "m.onnx")
    assert checked.unreadable == {}
    assert sorted(checked.differences) == ["OpenCV", "onnxruntime"]
    assert max(checked.differences.values()) < 2e-6
    embedder = Embedder.load(tmp_path / "m")
    for length in (1, 2, 5):
        wanted = embedder.embed(list(rgb[:length]))
        batch = rgb[:length].transpose(0, 3, 1, 2).astype(np.float32)
        for run in (by_onnxruntime, by_opencv):
            found = run(tmp_path / "m.onnx", batch)
            assert (found.dtype, found.shape) == (np.float32, (length, 512))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.slow
def test_graph_has_stated_names_a_free_batch_and_no_batchnorm_but_the_neck(model, tmp_path):
    export.export(model, tmp_path / "m.onnx")
    written = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(written, full_check=True)
    (first,), (last,) = written.graph.input, written.graph.output
    shapes = [
        [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in (first, last)
    ]
    assert (first.name, last.name) == ("images", "features")
    assert shapes == [["B", 3, 32, 16], ["B", 512]]
    kinds = [node.op_type for node in written.graph.node]
    assert kinds.count("BatchNormalization") == 1
    assert (kinds.count("Conv"), len(kinds)) == (20, 51)


@pytest.mark.slow
def test_file_says_what_it_is(model, card, tmp_path):
    returned, _ = export.export(model, tmp_path / "m.onnx")
    assert returned == artifact.read_card(model)
    said = {each.key: each.value for each in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert said == {
        "format": "passerby.onnx/1",
        "title": "a test's",
        "architecture": "resnet18",
        "height_px": "32",
        "width_px": "16",
        "input": "RGB, 0..255, not normalised",
        "interpolation": "bicubic",
        "distance": "cosine",
        "trained_on": "nothing",
        "weights": returned.hashes["weights"],
    }
    assert export.read_statement(tmp_path / "m.onnx") == Statement.of(returned)


@pytest.mark.slow
def test_verb_says_what_it_measured_and_equal_models_give_equal_bytes(model, tmp_path):
    export.export(model, tmp_path / "first.onnx")
    command = [sys.executable, "-m", "passerby.cli", "export", model, tmp_path / "second.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    start = f"{tmp_path}/second.onnx: 'a test's', pictures of 32x16 px to features of 512 numbers; "
    assert done.stdout.startswith(f"{start}largest difference from torch: ")
    assert done.stdout.endswith(" by OpenCV\n")
    assert " by onnxruntime, " in done.stdout
    assert (tmp_path / "second.onnx").read_bytes() == (tmp_path / "first.onnx").read_bytes()


@pytest.mark.slow
def test_adopted_again_it_gives_the_same_features_without_any_option(
    model, tmp_path, picture_files
):
    export.export(model, tmp_path / "m.onnx")
    card = adopt.adopt(tmp_path / "m.onnx", tmp_path / "again")
    origin = artifact.read_card(model)
    same = ("title", "architecture", "height_px", "width_px", "interpolation", "distance")
    for key in (*same, "embedding_size", "trained_on"):
        assert getattr(card, key) == getattr(origin, key)
    assert (card.kind, card.mean, card.deviation) == ("onnx", (0, 0, 0), (1 / 255,) * 3)
    assert card.hashes["exported"] == origin.hashes["weights"]
    wanted, found = (
        Embedder.load(folder).embed_files(picture_files, progress=False)
        for folder in (model, tmp_path / "again")
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def test_adopting_refuses_what_contradicts_an_exported_file(tmp_path):
    path = tmp_path / "means.onnx"
    export.to_onnx(Means(), SIZE, path)
    says = (
        r"means\.onnx: exported by passerby, .* found height_px 256, the file says 6; "
        r"mean \(0\.485, 0\.456, 0\.406\), the file says \(0, 0, 0\); "
        r"distance euclidean, the file says cosine; leave that out"
    )
    with pytest.raises(BadInput, match=says):
        adopt.adopt(path, tmp_path / "a", 256, 4, (0.485, 0.456, 0.406), distance="euclidean")
    assert not (tmp_path / "a").exists()
    deviation = (0.003922, 0.003922, 0.003922)
    card = adopt.adopt(path, tmp_path / "a", 6, 4, (0, 0, 0), deviation, title="Mine")
    assert (card.title, card.trained_on, card.deviation[0]) == ("Mine", "not known", 1 / 255)


def test_adopting_refuses_an_export_of_another_version_or_with_faults(tmp_path):
    path = tmp_path / "means.onnx"
    export.to_onnx(Means(), SIZE, path)
    written = onnx.load(path)
    values = SIZE.model_dump()
    for change, says in (
        ({"height_px": "tall"}, r"means\.onnx: height_px: Input should be a valid integer"),
        ({"format": "passerby.onnx/9"}, r"format 'passerby\.onnx/9', wanted 'passerby\.onnx/1'"),
    ):
        props = {key: str(value) for key, value in {**values, **change}.items()}
        onnx.helper.set_model_props(written, props)
        onnx.save(written, path)
        with pytest.raises(BadInput, match=says):
            adopt.adopt(path, tmp_path / "a")


def test_any_network_is_exported_with_its_normalisation_inside(tmp_path):
    net = export.FromPixels(Means(), (0.1, 0.2, 0.3), (0.5, 0.25, 1.0))
    checked = export.to_onnx(net, SIZE, tmp_path / "means.onnx")
    assert max(checked.differences.values()) < 1e-6
    batch = np.random.default_rng(0).integers(0, 256, (3, 3, 6, 4)).astype(np.float32)
    slow = (batch.mean(axis=(2, 3)) / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 1.0]
    np.testing.assert_allclose(by_onnxruntime(tmp_path / "means.onnx", batch), slow, atol=1e-5)


@pytest.mark.parametrize("size", [(33, 17), (34, 22), (50, 21)])
def test_poolings_that_end_beside_the_picture_are_read_alike(tmp_path, size):
    whole = backbones.build(Encoder(stem_pooling="fastreid"))
    norm = nn.InstanceNorm2d(64)
    net = nn.Sequential(whole.conv1, norm, whole.relu, whole.maxpool, whole.avgpool, nn.Flatten())
    height_px, width_px = size
    statement = SIZE.model_copy(update={"height_px": height_px, "width_px": width_px})
    checked = export.to_onnx(net, statement, tmp_path / "a.onnx")
    assert sorted(checked.differences) == ["OpenCV", "onnxruntime"]


def another_each_time():
    calls = iter(range(1000))
    return Means(lambda features: features + next(calls))


@pytest.mark.parametrize(
    "make",
    [
        another_each_time,
        lambda: Means(lambda features: features * (1 + torch.rand(()))),
        lambda: Means(lambda features: features * int(features.shape[0])),
        lambda: Means(lambda features: -features if features.max() > 128 else features),
        lambda: Means(lambda features: features / 0),
    ],
    ids=["counts", "chance", "length", "branch", "infinite"],
)
def test_network_that_does_not_do_what_its_trace_does_is_refused(tmp_path, make):
    (tmp_path / "a.onnx").write_text("of before")
    with pytest.raises(
        BadInput, match=r"/a\.onnx: by onnxruntime features differ .* at most 0\.0001"
    ):
        export.to_onnx(make(), SIZE, tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "of before"


def test_network_that_keeps_the_length_of_its_batch_is_refused(tmp_path):
    free = Means(lambda features: features.reshape(features.shape[0], 3))
    export.to_onnx(free, SIZE, tmp_path / "free.onnx")
    fixed = Means(lambda features: features.reshape(int(features.shape[0]), 3))
    with pytest.raises(BadInput, match=r"fixed\.onnx: onnxruntime cannot run .* of 1, 2, 5 \("):
        export.to_onnx(fixed, SIZE, tmp_path / "fixed.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["free.onnx"]


def test_network_that_mixes_the_pictures_of_a_batch_is_refused(tmp_path, monkeypatch):
    mixing = Means(lambda features: features - features.mean(0, keepdim=True))
    # OpenCV is given one picture at a time, so there nothing is mixed.
    with pytest.raises(BadInput, match=r"by OpenCV features differ .* mixes the pictures of a bat"):
        export.to_onnx(mixing, SIZE, tmp_path / "a.onnx")
    alone = {"onnxruntime": onnx_run.by_onnxruntime}
    monkeypatch.setattr(onnx_run, "libraries", lambda: alone)
    with pytest.raises(BadInput, match=r"/a\.onnx: a picture's features depend on the other"):
        export.to_onnx(mixing, SIZE, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_check_of_another_network_names_the_difference(tmp_path):
    export.to_onnx(Means(), SIZE, tmp_path / "a.onnx")
    assert max(export.check(tmp_path / "a.onnx", Means(), 6, 4).differences.values()) < 1e-6
    with pytest.raises(BadInput, match=r"differ from torch's by 5\.0e-01 of the largest"):
        export.check(tmp_path / "a.onnx", Means(lambda features: features * 2), 6, 4)


def test_library_that_cannot_run_the_file_is_named_and_only_onnxruntime_must():
    lost = Checked({"onnxruntime": 1e-7}, {"OpenCV": "no layer"})
    assert str(export._require_close("a.onnx", lost)).endswith("; not run by OpenCV (no layer)")
    with pytest.raises(BadInput, match=r"a\.onnx: onnxruntime cannot run .* \(no kernel\)"):
        export._require_close("a.onnx", Checked({"OpenCV": 0}, {"onnxruntime": "no kernel"}))


def test_operation_that_onnx_lacks_is_refused(tmp_path):
    net = Means(lambda features: torch.linalg.svdvals(features @ features.T)[:, None])
    with pytest.raises(BadInput, match=r"a\.onnx: cannot be written as ONNX: .*svd"):
        export.to_onnx(net, SIZE, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused(tmp_path):
    export.to_onnx(Means(), SIZE, tmp_path / "means.onnx")
    adopt.adopt(tmp_path / "means.onnx", tmp_path / "adopted")
    weights = tmp_path / "adopted" / "weights.onnx"
    with pytest.raises(BadInput, match=rf"adopted: an ONNX network already; take {weights}, and"):
        export.export(tmp_path / "adopted", tmp_path / "b.onnx")
    with pytest.raises(BadInput, match=r"none: no model\.yaml in it"):
        export.export(tmp_path / "none", tmp_path / "b.onnx")
    for out in (tmp_path, tmp_path / "b.pt"):
        with pytest.raises(BadInput, match=r"a file was wanted whose name ends in \.onnx"):
            export.to_onnx(Means(), SIZE, out)
    assert not (tmp_path / "b.onnx").exists()


def test_name_that_is_no_utf8_is_refused_before_opencv_dies_of_it(tmp_path):
    with pytest.raises(BadInput, match=r"gr\\udcf6sse\.onnx: a name that is no text in UTF-8"):
        export.to_onnx(Means(), SIZE, tmp_path / "gr\udcf6sse.onnx")
    assert list(tmp_path.iterdir()) == []
