"""Small ONNX networks, put together from operations, for tests of foreign files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

HEIGHT_PX, WIDTH_PX = 8, 4
node = helper.make_node


def weights(name: str, values: Any, dtype: Any = np.float32) -> TensorProto:
    """A tensor of a network."""
    return numpy_helper.from_array(np.array(values, dtype), name)


def means() -> list[NodeProto]:
    """From the input `images` to `means` `(B, 3)` of the channels."""
    return [
        node("GlobalAveragePool", ["images"], ["pooled"]),
        node("Flatten", ["pooled"], ["means"], axis=1),
    ]


def model(
    nodes: Sequence[NodeProto],
    tensors: Sequence[TensorProto] = (),
    output: str = "features",
    shape: Sequence[int | str] = ("B", 3, HEIGHT_PX, WIDTH_PX),
    output_shape: Sequence[int | str] | None = None,
    output_type: int = TensorProto.FLOAT,
    **rest: Any,
) -> onnx.ModelProto:
    """A network from `images` to `output`."""
    first = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))
    last = helper.make_tensor_value_info(output, output_type, output_shape)
    graph = helper.make_graph(list(nodes), "small", [first], [last], list(tensors))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **rest
    )


def save(path: Path, made: onnx.ModelProto, outside: str = "") -> Path:
    """Write a network, its weights into the file `outside` beside it if that is named."""
    if outside:
        onnx.save(made, path, save_as_external_data=True, location=outside, size_threshold=0)
    else:
        onnx.save(made, path)
    return path
