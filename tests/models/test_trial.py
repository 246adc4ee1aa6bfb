"""The trial of an ONNX network: each thing that may be wrong with its features is named."""

import numpy as np
import onnx
import pytest
import small_onnx
from onnx import TensorProto, helper
from small_onnx import node, weights

from passerby.errors import BadInput
from passerby.models import onnx_run, trial

PLAIN = [node("Identity", ["means"], ["features"])]
BATCH_NORM = node(
    "BatchNormalization",
    ["means", "ones", "zeros", "minus", "half"],
    ["features", "mean", "variance"],
    training_mode=1,
)
ROUNDED = [
    node("DynamicQuantizeLinear", ["means"], ["small", "step", "zero"]),
    node("DequantizeLinear", ["small", "step", "zero"], ["features"]),
]
DROPPED = node("Dropout", ["means", "share", "yes"], ["features"], seed=5)
LESS_MEAN = [
    node("ReduceMean", ["means"], ["mean"], axes=[0], keepdims=1),
    node("Sub", ["means", "mean"], ["features"]),
]
BESIDE_A_LARGE_ONE = [
    *LESS_MEAN[:1],
    node("Sub", ["means", "mean"], ["mixed"]),
    node("Mul", ["means", "zeros"], ["nothing"]),
    node("Add", ["nothing", "thousands"], ["constant"]),
    node("Concat", ["mixed", "constant"], ["features"], axis=1),
]
RUNNING_SUM = node("CumSum", ["means", "first"], ["features"])
NOISE = [
    node("RandomNormalLike", ["means"], ["noise"], scale=0.01),
    node("Add", ["means", "noise"], ["features"]),
]
TENSORS = [
    weights("ones", np.ones(3)),
    weights("zeros", np.zeros(3)),
    weights("half", [0.5] * 3),
    weights("thousands", [5e4] * 3),
    weights("share", 0.5),
    weights("yes", True, bool),
    weights("first", 0, np.int64),
    weights("minus", [-1.0] * 3),
    weights("large", 1e40, np.float64),
    weights("one_row", [1, -1], np.int64),
    weights("nine", np.zeros((3, 0))),
]
MIXES = r"features depend on the other pictures of its batch \(by \d+\.\d% of the largest feature\)"
OTHERS = r"gives other features when the same pictures come again \(by \d+\.\d% of the largest"
FAULTS = {
    "batchnorm in training mode": (BATCH_NORM, MIXES),
    "less the mean of the batch": (LESS_MEAN, MIXES),
    "less the mean, beside a large feature": (
        BESIDE_A_LARGE_ONE,
        r"features depend on .* \(by \d+\.\d% of the largest difference between pictures\)",
    ),
    "sum of all before": (RUNNING_SUM, MIXES),
    "range of the batch": (ROUNDED, MIXES),
    "softmax over the batch": (node("Softmax", ["means"], ["features"], axis=0), MIXES),
    "mean of the batch": (
        node("ReduceMean", ["means"], ["features"], axes=[0], keepdims=1),
        r"shapes \(1, 3\) for 3 pictures and \(1, 3\) for one; wanted one row a picture",
    ),
    "one row": (
        node("Reshape", ["means", "one_row"], ["features"]),
        r"shapes \(1, 9\) for 3 pictures and \(1, 3\) for one",
    ),
    "a number": (
        node("ReduceMean", ["means"], ["features"], keepdims=0),
        r"shapes \(\) for 3 pictures and \(\) for one",
    ),
    "one number a picture of all": (
        node("MatMul", ["means", "turned"], ["features"]),
        r"the shapes \(3, 3\) together and \(1, 1\) alone; wanted the same number of features",
    ),
    "no features": (node("MatMul", ["means", "nine"], ["features"]), r"the shapes \(3, 0\) tog"),
    "dropout left on": (DROPPED, OTHERS),
    "noise": (NOISE, OTHERS),
    "not a number": (
        [node("Sub", ["means", "means"], ["no"]), node("Div", ["no", "no"], ["features"])],
        r"not finite \(NaN or infinite\); correct mean and deviation",
    ),
    "infinite": (
        [node("Sub", ["means", "means"], ["no"]), node("Div", ["means", "no"], ["features"])],
        r"not finite \(NaN or infinite\)",
    ),
    "too large for float32": (
        [
            node("Cast", ["means"], ["exact"], to=TensorProto.DOUBLE),
            node("Mul", ["exact", "large"], ["features"]),
        ],
        r"not finite \(NaN or infinite\)",
    ),
    "texts": (
        node("Cast", ["means"], ["features"], to=TensorProto.STRING),
        r"does not take pictures of 8x4 px .*its first output is ndarray of object, not numbers",
    ),
}


def network(path, nodes, **rest):
    nodes = nodes if isinstance(nodes, list) else [nodes]
    turned = [node("Transpose", ["means"], ["turned"])]
    tail = [*turned, *nodes] if any("turned" in each.input for each in nodes) else nodes
    used = {name for each in tail for name in each.input}
    tensors = [each for each in TENSORS if each.name in used]
    output_type = next(
        (each.attribute[0].i for each in nodes if each.op_type == "Cast"), TensorProto.FLOAT
    )
    made = small_onnx.model([*small_onnx.means(), *tail], tensors, output_type=output_type, **rest)
    return small_onnx.save(path, made)


def size_found(path, **rest):
    return trial.embedding_size(path, (8, 4), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), **rest)


@pytest.mark.parametrize(
    "nodes",
    [
        PLAIN,
        [node("Identity", ["pooled"], ["features"])],
        [node("Cast", ["means"], ["features"], to=TensorProto.INT64)],
    ],
    ids=["rows", "maps", "whole numbers"],
)
def test_a_network_that_looks_at_each_picture_alone_passes(tmp_path, nodes):
    assert size_found(network(tmp_path / "a.onnx", nodes)) == 3


@pytest.mark.parametrize(("nodes", "says"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_a_networks_features_is_named(tmp_path, nodes, says):
    path = network(tmp_path / "a.onnx", nodes)
    with pytest.raises(BadInput, match=f"^the name: .*{says}"):
        size_found(path, named="the name")


@pytest.mark.parametrize("length", [1, 3])
def test_a_network_for_batches_of_one_length_is_refused(tmp_path, length):
    path = network(tmp_path / "a.onnx", PLAIN, shape=[length, 3, 8, 4])
    says = r"does not take pictures of 8x4 px in batches of 3 and of 1 \(onnxruntime: .* for any ba"
    with pytest.raises(BadInput, match=says):
        size_found(path)


def test_a_library_that_cannot_read_the_file_is_quoted_with_the_files_name(tmp_path):
    path = network(tmp_path / "a.onnx", PLAIN)
    made = onnx.load(path)
    made.opset_import[0].version = 99
    onnx.save(made, path)
    with pytest.raises(BadInput, match=r"the name: not a network .*onnxruntime: .*till opset"):
        size_found(path, named="the name")
    cycle = [node("Add", ["means", "features"], ["sum"]), node("Neg", ["sum"], ["features"])]
    with pytest.raises(BadInput, match=r"not a network .* Load model from the name failed:.*cycl"):
        size_found(network(path, cycle), named="the name")


def test_memory_that_no_machine_has_is_not_given(tmp_path):
    zeros = [
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        node("Add", ["means", "zero"], ["features"]),
    ]
    made = small_onnx.model(
        [*small_onnx.means(), *zeros], [weights("shape", [2**20, 2**20], np.int64)]
    )
    path = small_onnx.save(tmp_path / "a.onnx", made)
    with pytest.raises(BadInput, match=r"a\.onnx: .*4398046511104"):
        size_found(path)


@pytest.mark.slow
def test_a_network_that_never_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(trial.isolation, "MOST_CPU_S", 3)
    number = helper.make_tensor_value_info("n", TensorProto.INT64, [])
    goes_on = helper.make_tensor_value_info("on", TensorProto.BOOL, [])
    still = helper.make_tensor_value_info("still", TensorProto.BOOL, [])
    inner, outer = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy")
    body = helper.make_graph(
        [node("Identity", ["on"], ["still"]), node("Sqrt", ["x"], ["y"])],
        "body", [number, goes_on, inner], [still, outer],
    )  # fmt: skip
    loop = node("Loop", ["count", "yes", "means"], ["features"], body=body)
    tensors = [weights("count", 2**62, np.int64), weights("yes", True, bool)]
    path = small_onnx.save(
        tmp_path / "a.onnx", small_onnx.model([*small_onnx.means(), loop], tensors)
    )
    says = r"a\.onnx: cannot be run on 3 pictures \(onnxruntime: it took more than 3 s of processor"
    with pytest.raises(BadInput, match=says):
        size_found(path)


def test_without_onnxruntime_opencv_is_what_tries(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_run, "libraries", lambda: {"OpenCV": onnx_run.by_opencv})
    made = network(tmp_path / "a.onnx", PLAIN, output_shape=["B", 3])
    assert size_found(made) == 3
    strange = [node("Strange", ["means"], ["features"])]
    with pytest.raises(BadInput, match=r"not a network that can be run \(OpenCV: .*"):
        size_found(network(tmp_path / "a.onnx", strange, output_shape=["B", 3]))


def test_differences_down_to_rounding_pass_and_no_larger_ones():
    rng = np.random.default_rng(0)
    together = rng.normal(size=(3, 40)).astype(np.float32) * 1000
    largest = np.abs(together).max()

    def outputs(apart):
        return [together + np.float32(apart * largest), *np.split(together, 3)]

    assert trial.fault(outputs(0.9e-3), outputs(0.9e-3)) == ""
    assert "depend on the other" in trial.fault(outputs(1.1e-3), outputs(1.1e-3))
    assert "come again (by 0.2% of" in trial.fault(outputs(0), outputs(2e-3))
    assert trial.fault(outputs(0), outputs(0.9e-3)) == ""


def test_rounding_passes_however_near_together_pictures_are():
    alike = np.full((3, 40), 5, np.float32)
    rounded = np.nextafter(alike, np.float32(9))
    assert trial.fault([alike, *np.split(rounded, 3)], [rounded, *np.split(alike, 3)]) == ""
    noise = alike + np.float32(1e-3)
    assert "(by more than all of the largest" in trial.fault(
        [alike, *np.split(noise, 3)], [alike, *np.split(noise, 3)]
    )


def test_features_of_nothing_but_zeros_are_equal():
    nothing = [np.zeros((3, 5)), *np.zeros((3, 1, 5))]
    assert trial.fault(nothing, nothing) == ""


def test_pictures_of_the_trial_differ_at_every_size():
    for size in ((1, 1), (5, 3), (64, 32)):
        found = trial.pictures(*size)
        assert (found.shape, found.dtype) == ((3, *size, 3), np.uint8)
        assert len({picture.tobytes() for picture in found}) == 3
    np.testing.assert_array_equal(trial.pictures(16, 8)[:, ::2, ::2], trial.pictures(8, 4))
