"""Any YOLOX in ONNX, run by OpenCV; needs no other package.

Input: BGR 0..255, letterboxed with grey 114 from the top left, no mean or deviation. Output: for
each cell of three grids `dx dy log(w) log(h) objectness class...`, to be decoded here.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from passerby.errors import BadInput
from passerby.video.detectors import non_maximum_suppression

STRIDES = (8, 16, 32)
GREY = 114
PERSON_CLASS = 0  # of COCO


class Yolox:
    """A YOLOX net.

    Args:
        path: The ONNX file.
        min_confidence: Least objectness times share of the class `person`.
        nms_overlap: Largest overlap of two boxes that are both kept.

    Raises:
        BadInput: the file is no YOLOX.
    """

    def __init__(self, path: Path, min_confidence: float, nms_overlap: float) -> None:
        self.path, self.min_confidence, self.nms_overlap = path, min_confidence, nms_overlap
        self.height, self.width = input_size(path)
        self.cells, self.strides = grid(self.height, self.width)
        try:
            self.net = cv2.dnn.readNetFromONNX(str(path))
            shape = self._forward(np.zeros((self.height, self.width, 3), np.uint8)).shape
        except cv2.error as error:
            raise BadInput(f"detect.model: {path}: OpenCV cannot run it: {error.err}") from None
        if len(shape) != 2 or shape[0] != len(self.cells) or shape[1] < 6:
            raise BadInput(
                f"detect.model: {path}: found an output of shape {shape}, wanted "
                f"({len(self.cells)}, 5 + classes), as YOLOX gives for {self.width}x{self.height}"
            )

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the people in one picture; see `detectors.Detector`."""
        padded, scale = letterbox(image[:, :, ::-1], self.height, self.width)
        rows = self._forward(padded)
        confidence = rows[:, 4] * rows[:, 5 + PERSON_CLASS]
        sure = confidence >= self.min_confidence
        boxes = decode(rows[sure], self.cells[sure], self.strides[sure]) / scale
        kept = non_maximum_suppression(boxes, confidence[sure], self.nms_overlap)
        return boxes[kept].astype(np.float32), confidence[sure][kept].astype(np.float32)

    def _forward(self, padded: np.ndarray) -> np.ndarray:
        self.net.setInput(cv2.dnn.blobFromImage(padded))
        return np.asarray(self.net.forward())[0]


def letterbox(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float]:
    """Shrink or enlarge a picture into the top left of a grey one; `(picture, scale)`."""
    scale = min(height / image.shape[0], width / image.shape[1])
    size = (max(int(image.shape[1] * scale), 1), max(int(image.shape[0] * scale), 1))
    padded = np.full((height, width, 3), GREY, np.uint8)
    resized = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_LINEAR)
    padded[: size[1], : size[0]] = resized
    return padded, scale


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells `(A, 2)` as x, y and strides `(A, 1)` of all output rows, in their order.

    Example:
        >>> cells, strides = grid(32, 64)
        >>> cells[:3].tolist(), strides[:, 0].tolist().count(32.0)
        ([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], 2)
    """
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(rows: np.ndarray, cells: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """Boxes `(A, 4)` xyxy in pixels of the net's input."""
    middle = (rows[:, :2] + cells) * strides
    half = np.exp(rows[:, 2:4]) * strides / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def input_size(path: Path) -> tuple[int, int]:
    """Height and width of the picture that an ONNX file declares as its input.

    OpenCV does not tell it and takes any size without a word, so it is read from the file:
    `graph.input[0].type.tensor_type.shape.dim[2:4].dim_value`.

    Raises:
        BadInput: it is no ONNX file, or does not declare a size in whole cells.
    """
    try:
        shape = path.read_bytes()
        for field in (7, 11, 2, 1, 2):  # graph, input, type, tensor_type, shape
            shape = _messages(shape, field)[0]
        dims = [dict(_fields(dim)).get(1) for dim in _messages(shape, 1)]
    except IndexError:
        raise BadInput(f"detect.model: {path}: not an ONNX file with one input") from None
    sizes = [dim for dim in dims[2:] if isinstance(dim, int) and dim and dim % STRIDES[-1] == 0]
    if len(dims) != 4 or len(sizes) != 2:
        raise BadInput(
            f"detect.model: {path}: its input is {dims}; wanted 1x3xHxW with H and W multiples of "
            f"{STRIDES[-1]}; export YOLOX with a fixed size"
        )
    return sizes[0], sizes[1]


def _messages(data: bytes, field: int) -> list[bytes]:
    """The values of one field of a protocol buffer message, where they are bytes."""
    return [
        value for number, value in _fields(data) if number == field and isinstance(value, bytes)
    ]


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """`(number, value)` of the fields of a protocol buffer message: whole numbers and bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind == 2:
            length, at = _varint(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise IndexError(f"wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:  # no number of such files is longer, and the sum would grow without end
            raise IndexError("a number of more than 64 bits")
