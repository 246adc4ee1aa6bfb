"""ONNX files from outside: what is refused of one before a library reads it."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_onnx
from google.protobuf.descriptor import Descriptor
from onnx import ModelProto, TensorProto, helper
from small_onnx import node, weights

from passerby import onnx_file
from passerby.errors import BadInput


def scaled(**rest: object) -> ModelProto:
    """Means of the channels, each times a weight."""
    nodes = [*small_onnx.means(), node("Mul", ["means", "scale"], ["features"])]
    return small_onnx.model(nodes, [weights("scale", [1, 2, 3])], **rest)


def lies_outside(tensor: TensorProto) -> TensorProto:
    """Have a tensor name another file as the place of its numbers."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value="../secret\x1b[2J.bin")
    return tensor


def in_initializer() -> ModelProto:
    made = scaled()
    lies_outside(made.graph.initializer[0])
    return made


def in_constant() -> ModelProto:
    value = lies_outside(weights("inner", [1, 2, 3]))
    nodes = [*small_onnx.means(), node("Constant", [], ["scale"], value=value)]
    return small_onnx.model([*nodes, node("Mul", ["means", "scale"], ["features"])])


def in_list_of_tensors() -> ModelProto:
    attribute = onnx.AttributeProto(name="many", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(lies_outside(weights("inner", [1])))
    made = scaled()
    made.graph.node[-1].attribute.append(attribute)
    return made


def in_branch() -> ModelProto:
    value = lies_outside(weights("inner", [1, 2, 3]))
    result = helper.make_tensor_value_info("scale", TensorProto.FLOAT, [3])
    branch = helper.make_graph([node("Constant", [], ["scale"], value=value)], "b", [], [result])
    choice = node("If", ["yes"], ["factor"], then_branch=branch, else_branch=branch)
    nodes = [*small_onnx.means(), choice, node("Mul", ["means", "factor"], ["features"])]
    return small_onnx.model(nodes, [weights("yes", True, bool)])


def in_function() -> ModelProto:
    value = lies_outside(weights("inner", [1, 2, 3]))
    inner = [node("Constant", [], ["scale"], value=value), node("Mul", ["a", "scale"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("ours", "Scale", ["a"], ["b"], inner, opsets)
    nodes = [*small_onnx.means(), node("Scale", ["means"], ["features"], domain="ours")]
    return small_onnx.model(nodes, functions=[function])


def in_sparse() -> ModelProto:
    made = scaled()
    sparse = made.graph.sparse_initializer.add(dims=[3])
    sparse.values.CopyFrom(lies_outside(weights("inner", [1])))
    sparse.indices.CopyFrom(weights("at", [0], np.int64))
    return made


def in_training() -> ModelProto:
    made = scaled()
    made.training_info.add().algorithm.initializer.append(lies_outside(weights("inner", [1])))
    return made


@pytest.mark.parametrize(
    "make",
    [
        in_initializer,
        in_constant,
        in_list_of_tensors,
        in_branch,
        in_function,
        in_sparse,
        in_training,
    ],
)
def test_weights_in_another_file_are_refused_wherever_they_are_named(
    tmp_path: Path, make: Callable[[], ModelProto]
) -> None:
    path = small_onnx.save(tmp_path / "a.onnx", make())
    says = (
        r"a\.onnx: weights such as '(scale|inner)' lie in another file, "
        r"'\.\./secret\\x1b\[2J\.bin'; wanted one file that holds them all: .* onnx\.save\("
    )
    with pytest.raises(BadInput, match=says):
        onnx_file.check(path)


def test_the_advice_for_weights_in_another_file_makes_one_file(tmp_path: Path) -> None:
    path = small_onnx.save(tmp_path / "a.onnx", scaled(), outside="a.data")
    with pytest.raises(BadInput, match=r"lie in another file, 'a\.data'"):
        onnx_file.check(path)
    onnx.save(onnx.load(path), tmp_path / "whole.onnx")
    onnx_file.check(tmp_path / "whole.onnx")


def test_every_way_to_a_tensor_is_known() -> None:
    """Against the description of the format that the package onnx has."""

    def inside(message: Descriptor) -> dict[int, Descriptor]:
        return {each.number: each.message_type for each in message.fields if each.message_type}

    def reaches(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
        if message.name == "TensorProto":
            return True
        seen |= {message.name}
        return any(
            reaches(each, seen) for each in inside(message).values() if each.name not in seen
        )

    ways: dict[str, dict[int, str]] = {}
    left = [ModelProto.DESCRIPTOR]
    while left:
        message = left.pop()
        if message.name in ways or message.name == "TensorProto":
            continue
        found = {number: each for number, each in inside(message).items() if reaches(each)}
        ways[message.name] = {number: each.name for number, each in found.items()}
        left += found.values()
    assert ways == onnx_file.INSIDE


def claiming(dims: list[int], **held: object) -> ModelProto:
    made = scaled()
    tensor = made.graph.initializer[0]
    tensor.CopyFrom(TensorProto(name="scale", data_type=TensorProto.FLOAT, dims=dims, **held))
    return made


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (claiming([2**40], raw_data=b"1234"), r"claims the shape \[1099511627776\], but holds 4 b"),
        (claiming([2**31, 2**31], float_data=[1.0]), "but holds 4 bytes; copy it again"),
        (claiming([100]), "but holds 0 bytes"),
        (claiming([2, -3], raw_data=b"1234"), r"'scale' claims the shape \[2, -3\]"),
    ],
)
def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(
    tmp_path: Path, made: ModelProto, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        onnx_file.check(small_onnx.save(tmp_path / "a.onnx", made))


@pytest.mark.parametrize(
    "tensor",
    [
        weights("none", np.zeros((0, 3))),
        weights("one", 1.0),
        helper.make_tensor("floats", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
        helper.make_tensor("halves", TensorProto.FLOAT16, [3], [1.0, 2.0, 3.0]),
        helper.make_tensor("doubles", TensorProto.DOUBLE, [3], [1.0, 2.0, 3.0]),
        helper.make_tensor("numbers", TensorProto.INT64, [3], [0, 0, 0]),
        helper.make_tensor("counts", TensorProto.UINT64, [3], [0, 0, 0]),
        helper.make_tensor("yes", TensorProto.BOOL, [3], [True, False, True]),
        helper.make_tensor("texts", TensorProto.STRING, [3], [b"", b"", b""]),
        helper.make_tensor("quarters", TensorProto.INT4, [4], b"\x12\x34", raw=True),
    ],
    ids=lambda tensor: tensor.name,
)
def test_a_tensor_may_hold_its_numbers_in_every_way_of_the_format(
    tmp_path: Path, tensor: TensorProto
) -> None:
    made = scaled()
    made.graph.initializer.append(tensor)
    onnx_file.check(small_onnx.save(tmp_path / "a.onnx", made))


def test_a_file_that_is_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole, path = scaled().SerializeToString(), tmp_path / "a.onnx"
    path.write_bytes(whole)
    onnx_file.check(path)
    # What ends before the graph's end; behind it the operator set is a field of its own.
    for length in range(whole.rindex(b"features") + 8):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput, match=r"a\.onnx: (not an ONNX network \(|an empty file)"):
            onnx_file.check(path)


def test_a_damaged_file_is_taken_or_refused_and_nothing_else(tmp_path: Path) -> None:
    whole, path, rng = in_branch().SerializeToString(), tmp_path / "a.onnx", random.Random(0)
    refused = []
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(damaged)
        for look in (onnx_file.check, onnx_file.input_dims):
            try:
                look(path)
            except BadInput as error:
                refused.append(str(error))
    assert len(refused) > 200
    assert all(said.startswith(str(path)) for said in refused)


def message(number: int, inside: bytes) -> bytes:
    """A field of a protocol buffer message that holds bytes."""
    length, written = len(inside), b""
    while length > 127:
        written, length = written + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + written + bytes([length]) + inside


def test_graphs_within_graphs_are_not_followed_for_ever(tmp_path: Path) -> None:
    graph = message(1, b"")
    for _ in range(5000):
        graph = message(1, message(5, message(6, graph)))  # node, attribute, graph
    (tmp_path / "deep.onnx").write_bytes(message(7, graph))
    with pytest.raises(BadInput, match=r"deep\.onnx: .* in one another more than 100 deep"):
        onnx_file.check(tmp_path / "deep.onnx")


def test_a_file_of_more_fields_than_any_network_has_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "MOST_FIELDS", 1000)
    path = tmp_path / "many.onnx"
    path.write_bytes(message(7, message(1, b"")) + message(7, b"") * 10**6)
    with pytest.raises(BadInput, match=r"it has more than 1,000 fields"):
        onnx_file.check(path)


def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**31)
    wanted = {
        tmp_path: "found a folder; an ONNX file was wanted",
        tmp_path / "pipe": "found a device, a pipe or a socket",
        Path("/dev/zero"): "found a device, a pipe or a socket",
        tmp_path / "none": "no such file; an ONNX file was wanted",
        tmp_path / "empty" / "a.onnx": r"cannot be read \(.*Not a directory",
        tmp_path / ("n" * 300): r"cannot be read \(.*File name too long",
        Path("zero\0.onnx"): r"cannot be read \(embedded null",
        tmp_path / "empty": "an empty file",
        tmp_path / "large": r"2,147,483,648 bytes; no library reads more than 2,147,483,647",
    }
    for path, says in wanted.items():
        for look in (onnx_file.check, onnx_file.input_dims, onnx_file.require_regular):
            with pytest.raises(BadInput, match=f"a name: {says}"):
                look(path, "a name")


@pytest.mark.parametrize("text", [b"hello", b"<html></html>", b"{}", b"PK\x03\x04" + bytes(50)])
def test_other_files_are_no_networks(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(text)
    with pytest.raises(BadInput, match=r"a\.onnx: not an ONNX network \(.*\); copy it again"):
        onnx_file.check(tmp_path / "a.onnx")


def test_lengths_of_the_inputs_axes_are_those_that_it_declares(tmp_path: Path) -> None:
    path = small_onnx.save(tmp_path / "a.onnx", scaled(shape=["B", 3, 416, 2**40]))
    assert onnx_file.input_dims(path) == [None, 3, 416, 2**40]
    path = small_onnx.save(tmp_path / "a.onnx", scaled(shape=[-1, 3, 64, 32]))
    assert onnx_file.input_dims(path) == [-1, 3, 64, 32]
    small = small_onnx.model([])
    del small.graph.input[:]
    assert onnx_file.input_dims(small_onnx.save(tmp_path / "a.onnx", small)) == []
