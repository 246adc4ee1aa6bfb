"""Ultralytics' YOLO, by the name of a model, from a file, or from a folder that it exported.

Ultralytics installs packages, talks to its maker, writes into the home folder and runs the code in
`.pt` files unless told not to: it is told before it is imported. OpenVINO's telemetry is kept out
too. (Ultralytics and its weights are AGPL-3.0; it is an optional package and nothing of it is
here.)
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
        BadInput: a package or the model is absent, the hash is another, it holds anything but a
            network of Ultralytics, or it knows no people.
    """

    def __init__(
        self, model: str, min_confidence: float, nms_overlap: float, sha256: str = ""
    ) -> None:
        home = files.scratch_root() / "ultralytics"
        path = Path(model)
        named = path.name == model and not exists(path)
        yolo = _imported(home, offline=not named or (home / model).exists())
        if path.suffix.lower() == ".pt":
            _refuse_unrestricted()
        if named:
            path = _fetched(home, model)
            check(path, sha256)
        with _refusing(path):
            # An absolute path: of others Ultralytics may take the name for that of another file.
            self.net = yolo(str(path.absolute()), task="detect", verbose=False)
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
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"  # a .pt gives numbers and known layers, or fails
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


def _refuse_unrestricted() -> None:
    """An older Ultralytics, or one that was imported before ours, runs the code in a `.pt` file."""
    import ultralytics.utils

    if not getattr(ultralytics.utils, "SAFE_LOAD", False):
        raise BadInput(
            f"detect.method 'ultralytics': version {ultralytics.__version__} would run the code in "
            "models: install the version in requirements/, and set ULTRALYTICS_SAFE_LOAD=true "
            "where it is imported before passerby"
        )


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
    except Exception as error:  # all of it is Ultralytics' code, over somebody's file
        words = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"detect.model: {path}: Ultralytics cannot run it: {words}") from None
