"""ONNX networks run by onnxruntime, or by OpenCV without it.

Knows nothing of model artifacts, and imports torch only to ask for a GPU: a trial in a process of
its own (`passerby.isolation`) starts with this file alone.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from passerby.isolation import Run


def normalised(images: np.ndarray, mean: Sequence[float], deviation: Sequence[float]) -> np.ndarray:
    """What a network is given, `float32 (B, 3, H, W)`.

    Args:
        images: `uint8 (B, H, W, 3)` RGB.
        mean: Of the channels, on the scale 0..1.
        deviation: As `mean`.
    """
    scaled = images.astype(np.float32) / 255 - np.array(mean, np.float32)
    return np.ascontiguousarray((scaled / np.array(deviation, np.float32)).transpose(0, 3, 1, 2))


def libraries() -> dict[str, Callable[[Path], Run]]:
    """What reads an ONNX file and runs it here, the one to prefer first."""
    found: dict[str, Callable[[Path], Run]] = {}
    if find_spec("onnxruntime"):
        found["onnxruntime"] = by_onnxruntime
    return {**found, "OpenCV": by_opencv}


_CUDA = (
    "CUDAExecutionProvider",
    # As `networks.workers` sets torch: no TF32, and no algorithm chosen by a measurement.
    {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
)
"""onnxruntime's provider for GPUs, and its options."""


def by_onnxruntime(path: Path) -> Run:
    """Runs on a GPU if there is one and this onnxruntime is built for it, else on the CPU."""
    import onnxruntime  # an extra: not everybody has it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    on_gpu = _CUDA[0] in onnxruntime.get_available_providers() and _sees_gpu()
    providers = [_CUDA, "CPUExecutionProvider"] if on_gpu else ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def _sees_gpu() -> bool:
    import torch  # slow to import; it also loads the libraries of CUDA

    return torch.cuda.is_available()


def by_opencv(path: Path) -> Run:
    """Runs on the CPU, one picture at a time."""
    net = cv2.dnn.readNetFromONNX(str(path))
    one_at_a_time = Lock()

    def run(batch: np.ndarray) -> np.ndarray:
        # OpenCV 4.14 fixes computed shapes at a batch of one when it reads the file.
        with one_at_a_time:
            return np.concatenate([one(picture[None]) for picture in batch])

    def one(batch: np.ndarray) -> np.ndarray:
        net.setInput(batch)
        return net.forward().copy()

    return run
