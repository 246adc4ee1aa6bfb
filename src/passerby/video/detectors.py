"""Person detectors behind one call: an RGB picture in, boxes and confidences out.

A detector is made from the settings: Ultralytics by model name, file or exported folder, or any
YOLOX in ONNX. Nothing is installed at run time; the only thing that may be fetched is a model that
Ultralytics knows by name. A model of a kind that can carry code is opened only when its hash is the
one in the settings, and by the restricted loader where there is one.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from passerby import files, onnx_file
from passerby.errors import BadInput
from passerby.foreign import exists, is_file, is_folder
from passerby.settings import Detect
from passerby.settings.data import DATA_ONLY

PERSON = "person"
ENDS = (".pt", ".torchscript", ".engine", ".pb", ".tflite", ".mnn", *DATA_ONLY)
"""Of the names of models that Ultralytics is given: it goes by them. `_openvino_model` is a folder;
other exported folders have code and weights in several files, which one hash does not cover."""


class Detector(Protocol):
    """Finds people."""

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the people in one picture.

        Args:
            image: `uint8 (H, W, 3)` RGB.

        Returns:
            Boxes `float32 (N, 4)`, xyxy in pixels of the picture, and confidences `float32 (N,)`
            in [0, 1], surest first.
        """


def make(section: Detect) -> Detector:
    """The detector that the settings name, with boxes down to the least confidence that is of use.

    Raises:
        BadInput: the model or a package that it needs is absent, the model's hash is missing or
            another, or it is of a kind that is not opened.
    """
    path = Path(section.model)
    named = section.method == "ultralytics" and path.name == section.model and not exists(path)
    if not named:
        check(path, section.model_sha256)
    if section.method == "ultralytics":
        _refuse_unknown_kind(path)
    if section.fault_of_hash:
        raise BadInput(f"detect.model_sha256: {section.fault_of_hash}")
    if path.suffix.lower() == ".onnx":
        onnx_file.check(path, f"detect.model: {path}")
    floor = least_confidence(section)
    if section.method == "yolox":
        from passerby.video.yolox import Yolox

        return Yolox(path, floor, section.nms_overlap)
    from passerby.video.ultralytic import Ultralytic

    return Ultralytic(section.model, floor, section.nms_overlap, section.model_sha256)


def _refuse_unknown_kind(path: Path) -> None:
    """Ultralytics tells kinds by names, and reads some names in two ways: those are refused."""
    end = next((end for end in ENDS if path.name.lower().endswith(end)), "")
    if not end or (path.exists() and path.is_dir() != (end == "_openvino_model")):
        raise BadInput(
            f"detect.model: {path}: wanted a folder called NAME_openvino_model, or a file whose "
            f"name ends with {', '.join(ENDS[:-1])}; export the model to OpenVINO or ONNX"
        )


def least_confidence(section: Detect) -> float:
    """Boxes down to it are detected: with a tracker, also such as only bridge its tracks."""
    if section.tracker == "none":
        return section.min_confidence
    return min(section.min_confidence, section.min_bridge_confidence)


def model_file(path: Path) -> Path:
    """The file that holds a model's weights: itself, or the largest of an exported folder.

    Raises:
        BadInput: there is no such file or folder, or nothing in it.
    """
    if is_file(path):
        return path
    inside = [file for file in sorted(path.rglob("*")) if file.is_file()] if is_folder(path) else []
    if not inside:
        raise BadInput(f"detect.model: {path}: no such model file or exported folder")
    return max(inside, key=lambda file: file.stat().st_size)


def check(path: Path, sha256: str) -> str:
    """The hash of a model's weights, compared with `sha256` where that is given.

    Raises:
        BadInput: the model is absent, or is another one.
    """
    file = model_file(path)
    found = files.sha256(file)
    if sha256 and found != sha256.lower():
        raise BadInput(
            f"detect.model: {file} has SHA-256 {found}, detect.model_sha256 wants {sha256}; "
            "put the right model there, or correct the hash"
        )
    return found


def non_maximum_suppression(
    boxes: np.ndarray, confidence: np.ndarray, most_overlap: float
) -> np.ndarray:
    """Positions of the boxes that are kept, surest first.

    Greedy: a box goes when its intersection over union with a surer one that was kept is above
    `most_overlap`.

    Args:
        boxes: `(N, 4)` xyxy.
        confidence: `(N,)`.
        most_overlap: In [0, 1].

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float32)
        >>> non_maximum_suppression(boxes, np.array([0.5, 0.9, 0.7]), 0.5).tolist()
        [1, 2]
    """
    order = np.argsort(-confidence, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlap(boxes[best], boxes[order]) <= most_overlap]
    return np.array(kept, np.int64)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box `(4,)` with each of `(N, 4)`; 0 where both are empty."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = (high - low).clip(min=0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
