"""Ultralytics' YOLO, by the name of a model or from a folder that it exported.

Ultralytics installs packages, talks to its maker and writes into the home folder unless told not
to: it is told before it is imported. OpenVINO's telemetry is kept out too. (Ultralytics and its
weights are AGPL-3.0; it is an optional package and nothing of it is here.)
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import exists
from passerby.video.detectors import PERSON, check


class Ultralytic:
    """A YOLO of Ultralytics; see `detectors.Detector`.

    Args:
        model: Name of a model that Ultralytics knows (fetched once, into scratch), or the path of
            a model file or exported folder.
        min_confidence: Least confidence of a box.
        nms_overlap: Largest overlap of two boxes that are both kept.
        sha256: Hash that the model's file must have, if any.

    Raises:
        BadInput: a package or the model is absent, the hash is another, or it knows no people.
    """

    def __init__(
        self, model: str, min_confidence: float, nms_overlap: float, sha256: str = ""
    ) -> None:
        home = files.scratch_root() / "ultralytics"
        path = Path(model)
        named = path.name == model and not exists(path)
        yolo = _imported(home, offline=not named or (home / model).exists())
        if named:
            path = _fetched(home, model)
            check(path, sha256)
        with _refusing(path):
            self.net = yolo(str(path), task="detect", verbose=False)
            names = {name: number for number, name in self.net.names.items()}
        if PERSON not in names:
            raise BadInput(
                f"detect.model: {model} has no class '{PERSON}'; a detector of people was wanted"
            )
        self.options = {
            "conf": min_confidence,
            "iou": nms_overlap,
            "classes": [names[PERSON]],
            "verbose": False,
        }
        self.path = path

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the people in one picture; see `detectors.Detector`."""
        with _refusing(self.path):
            found = self.net.predict(np.ascontiguousarray(image[:, :, ::-1]), **self.options)[
                0
            ].boxes
        return (
            found.xyxy.cpu().numpy().astype(np.float32).reshape(-1, 4),
            found.conf.cpu().numpy().astype(np.float32),
        )


def _imported(home: Path, offline: bool) -> Any:
    """The class `ultralytics.YOLO`, of an Ultralytics that keeps to itself."""
    home.mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ["YOLO_CONFIG_DIR"] = str(home)
    os.environ["YOLO_OFFLINE"] = "true" if offline else "false"
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import passerby.vision  # noqa: F401 (or its import of torchvision fails beside a CPU torch)

    try:
        with np.printoptions():  # its utilities change how all numbers print
            import ultralytics
            import ultralytics.utils
    except ImportError as error:
        raise BadInput(
            f"detect.method 'ultralytics' needs the package 'ultralytics' ({error}): install it as "
            "requirements/ does, or take 'yolox', which needs no other package"
        ) from None
    ultralytics.settings.update({"sync": False})
    return ultralytics.YOLO


def _fetched(home: Path, name: str) -> Path:
    """The file of a model that Ultralytics knows by name."""
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    path = home / name
    if name not in GITHUB_ASSETS_NAMES:
        raise BadInput(
            f"detect.model: {name}: no such file or folder, and no model that Ultralytics knows by "
            "name (such as yolo11n.pt)"
        )
    with contextlib.suppress(Exception):  # whatever went wrong: the file is there or it is not
        attempt_download_asset(path)
    if not path.is_file():
        raise BadInput(
            f"detect.model: {name} could not be fetched; put it at {path}, or name another file"
        )
    return path


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what Ultralytics raises over an absent package or a bad model into a refusal."""
    try:
        yield
    except ImportError as error:
        raise BadInput(
            f"detect.model: {path} needs an absent package ({error}): install passerby[detect]"
        ) from None
    except (
        FileNotFoundError,
        NotImplementedError,
        TypeError,
        RuntimeError,
        StopIteration,
    ) as error:
        raise BadInput(f"detect.model: {path}: Ultralytics cannot run it: {error}") from None
