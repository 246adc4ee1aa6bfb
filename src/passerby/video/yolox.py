"""Any YOLOX in ONNX, run by OpenCV; needs no other package.

Input: BGR 0..255, letterboxed with grey 114 from the top left, no mean or deviation. Output: for
each cell of three grids `dx dy log(w) log(h) objectness class...`, to be decoded here.
"""

from pathlib import Path

import cv2
import numpy as np

from passerby import isolation, onnx_file
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
        BadInput: the file is no YOLOX, or does not itself hold all its weights.
    """

    def __init__(self, path: Path, min_confidence: float, nms_overlap: float) -> None:
        self.path, self.min_confidence, self.nms_overlap = path, min_confidence, nms_overlap
        self.height, self.width = input_size(path)
        self.cells, self.strides = grid(self.height, self.width)
        self._try()
        self.run = by_opencv(path)

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
        return self.run(cv2.dnn.blobFromImage(padded))[0]

    def _try(self) -> None:
        """Refuse a net that OpenCV cannot run, or whose output is no YOLOX's, random or not finite.

        In a process of its own: OpenCV ends the process over some files.
        """
        named = f"detect.model: {self.path}"
        onnx_file.check(self.path, named)
        grey = cv2.dnn.blobFromImage(np.full((self.height, self.width, 3), GREY, np.uint8))
        try:
            (first,), (again,) = isolation.outputs(by_opencv, self.path, [grey], times=2)
        except isolation.Failed as error:
            raise BadInput(f"{named}: OpenCV cannot run it ({error})") from None
        shape = first.shape
        if len(shape) != 3 or shape[:2] != (1, len(self.cells)) or shape[2] < 6:
            raise BadInput(
                f"{named}: found an output of shape {shape}, wanted (1, {len(self.cells)}, "
                f"5 + classes), as YOLOX gives for {self.width}x{self.height}"
            )
        if not np.isfinite(first).all() or not np.allclose(first, again, rtol=1e-3, atol=1e-3):
            raise BadInput(
                f"{named}: its output for a grey picture is not finite, or is another one when the "
                "picture comes again; export it anew in evaluation mode"
            )


def by_opencv(path: Path) -> isolation.Run:
    """The net of an ONNX file, from `float32 (1, 3, H, W)` to its first output."""
    net = cv2.dnn.readNetFromONNX(str(path))

    def run(blob: np.ndarray) -> np.ndarray:
        net.setInput(blob)
        return np.asarray(net.forward())

    return run


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

    OpenCV does not tell it and takes any size without a word, so it is read from the file.

    Raises:
        BadInput: it is no ONNX file, or does not declare a size in whole cells.
    """
    dims = onnx_file.input_dims(path, f"detect.model: {path}")
    sizes = [dim for dim in dims[2:] if dim and dim % STRIDES[-1] == 0]
    if len(dims) != 4 or len(sizes) != 2 or not 0 < max(sizes) <= onnx_file.MOST_SIDE_PX:
        raise BadInput(
            f"detect.model: {path}: its input is {dims[:8]}; wanted 1x3xHxW with H and W multiples "
            f"of {STRIDES[-1]} up to {onnx_file.MOST_SIDE_PX}; export YOLOX with a fixed size"
        )
    return sizes[0], sizes[1]
