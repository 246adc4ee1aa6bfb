"""Detectors: real nets on a real street, and refusals where one is absent or another."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import needs
import numpy as np
import onnx
import pytest
import small_onnx

from passerby import files, onnx_file, settings
from passerby.errors import BadInput
from passerby.video import detectors, yolox


def slow_suppression(boxes: np.ndarray, confidence: np.ndarray, most: float) -> list[int]:
    """The slow twin: from the definition, with loops."""
    kept: list[int] = []
    for at in sorted(range(len(boxes)), key=lambda i: -confidence[i]):
        x1, y1, x2, y2 = boxes[at]
        for other in kept:
            a1, b1, a2, b2 = boxes[other]
            common = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common
            if common / union > most:
                break
        else:
            kept.append(at)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_that_of_the_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (80, 2))
    boxes = np.concatenate([low, low + rng.uniform(10, 50, (80, 2))], axis=1)
    confidence = rng.integers(1, 20, 80) / 20  # with ties
    found = detectors.non_maximum_suppression(boxes, confidence, 0.4)
    assert found.tolist() == slow_suppression(boxes, confidence, 0.4)
    assert len(detectors.non_maximum_suppression(boxes[:0], confidence[:0], 0.4)) == 0


def test_letterbox_keeps_the_aspect_and_fills_with_grey_from_the_top_left() -> None:
    padded, scale = yolox.letterbox(np.zeros((480, 640, 3), np.uint8), 416, 416)
    assert scale == 0.65
    assert (padded[:312] == 0).all()
    assert (padded[312:] == 114).all()


def test_decoding_puts_the_middle_and_size_of_a_cell_into_pixels() -> None:
    cells, strides = yolox.grid(64, 96)
    assert len(cells) == 8 * 12 + 4 * 6 + 2 * 3
    at = 96 + 6 + 2  # second grid, row 1, column 2
    rows = np.zeros((len(cells), 6), np.float32)
    rows[at, :4] = [0.5, 0.25, np.log(2), np.log(4)]
    assert yolox.decode(rows, cells, strides)[at].round(4).tolist() == [24, -12, 56, 52]


def test_absent_or_other_models_are_refused(tmp_path: Path) -> None:
    def section(model: Path | str, method: str = "yolox", sha256: str = "") -> settings.Detect:
        return settings.Detect.model_validate(
            {"method": method, "model": str(model), "model_sha256": sha256}
        )

    with pytest.raises(BadInput, match=r"detect.model: .*no such model file or exported folder"):
        detectors.make(section(tmp_path / "gone.onnx"))
    other = tmp_path / "other.onnx"
    other.write_bytes(b"something else")
    with pytest.raises(BadInput, match=r"other.onnx: not an ONNX network \(it"):
        detectors.make(section(other))
    with pytest.raises(BadInput, match=r"other.onnx has SHA-256 \w+, detect.model_sha256 wants 12"):
        detectors.make(section(other, sha256="12" * 32))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no such model file or exported folder"):
        detectors.make(section(tmp_path / "empty", "ultralytics"))


def small_yolox(
    path: Path, before: Sequence[onnx.NodeProto] = (), side: int = 32, cells: int = 21, **rest: str
) -> Path:
    """A net of one class for pictures of 32x32 px; `before` may change the `rows` of its output."""
    nodes = [
        *small_onnx.means(),
        small_onnx.node("MatMul", ["means", "spread"], ["flat"]),
        small_onnx.node("Reshape", ["flat", "shape"], ["rows"]),
        *before,
        small_onnx.node("Sigmoid", ["changed" if before else "rows"], ["features"]),
    ]
    rng = np.random.default_rng(0)
    tensors = [
        small_onnx.weights("spread", rng.normal(size=(3, cells * 6)) / 255),
        small_onnx.weights("shape", [1, cells, 6], np.int64),
    ]
    shapes = {"shape": [1, 3, side, side], "output_shape": [1, cells, 6]}
    return small_onnx.save(path, small_onnx.model(nodes, tensors, **shapes), **rest)


def yolox_section(path: Path, method: str = "yolox") -> settings.Detect:
    return settings.Detect.model_validate({"method": method, "model": str(path)})


def test_a_small_yolox_gives_boxes(tmp_path: Path) -> None:
    detector = detectors.make(yolox_section(small_yolox(tmp_path / "a.onnx")))
    boxes, confidence = detector(np.full((64, 64, 3), 90, np.uint8))
    assert 0 < len(boxes) == len(confidence) <= 21
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("method", ["yolox", "ultralytics"])
def test_a_detector_whose_weights_lie_in_another_file_is_refused(
    tmp_path: Path, method: str
) -> None:
    path = small_yolox(tmp_path / "a.onnx", outside="a.data")
    says = (
        r"detect\.model: .*/a\.onnx: weights such as 's\w+' lie in another file, 'a\.data'; wanted"
    )
    with pytest.raises(BadInput, match=says):
        detectors.make(yolox_section(path, method))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"side": 2**20, "cells": 21}, r"its input is \[1, 3, 1048576, 1048576\]; .* up to 4096"),
        (
            {"side": 33},
            r"its input is \[1, 3, 33, 33\]; wanted 1x3xHxW with H and W multiples of 32",
        ),
        ({"cells": 22}, r"output of shape \(1, 22, 6\), wanted \(1, 21, 5 \+ classes\)"),
        (
            {"before": [small_onnx.node("Strange", ["rows"], ["changed"])]},
            r"OpenCV cannot run it \(OpenCV",
        ),
        (
            {
                "before": [
                    small_onnx.node("Sub", ["rows", "rows"], ["nothing"]),
                    small_onnx.node("Div", ["nothing", "nothing"], ["changed"]),
                ]
            },
            "its output for a grey picture is not finite",
        ),
    ],
    ids=["size", "odd", "cells", "operation", "infinite"],
)
def test_what_is_no_yolox_that_runs_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    path = small_yolox(tmp_path / "a.onnx", **changes)
    with pytest.raises(BadInput, match=rf"^detect\.model: .*/a\.onnx: .*{says}"):
        detectors.make(yolox_section(path))


@pytest.mark.real
@pytest.mark.slow
def test_a_file_over_which_opencv_ends_the_process_is_refused(
    realdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = onnx.load(realdata / "models" / "yolox_nano.onnx")
    path = small_onnx.save(tmp_path / "a.onnx", whole, outside="a.data")
    with pytest.raises(BadInput, match="lie in another file"):
        detectors.make(yolox_section(path))
    monkeypatch.setattr(onnx_file, "check", lambda path, named: None)
    with pytest.raises(BadInput, match=r"OpenCV cannot run it \(the library crashed over it: SIG"):
        detectors.make(yolox_section(path))


def test_largest_file_of_a_folder_is_its_model(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("small")
    (tmp_path / "a.bin").write_text("the large one")
    assert detectors.model_file(tmp_path) == tmp_path / "a.bin"


@pytest.mark.parametrize(
    "name", ["x.pt", "X.PT", "x.onnx.pt", "x.torchscript", "x.engine", "x.tflite", "x_qnn.onnx"]
)
def test_a_file_that_can_carry_code_needs_its_hash(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    section = settings.Detect(method="ultralytics", model=str(tmp_path / name))
    with pytest.raises(BadInput, match=r"detect.model_sha256: .* is of a kind that can carry code"):
        detectors.make(section)
    named = settings.Detect(method="ultralytics", model="yolo11n.pt")
    with pytest.raises(BadInput, match=r"detect.model_sha256: 'yolo11n.pt' is of a kind"):
        detectors.make(named)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("x", False),
        ("x.bin", False),
        ("x.pt ", False),  # Ultralytics would strip the blank and open another file
        ("yolo11n", False),  # and here it would add an end
        ("x_openvino_model", False),
        ("x_saved_model", True),
        ("x_ncnn_model", True),
        ("x.pt", True),
        ("x.onnx", True),
        ("x_openvino_model.d", True),
    ],
)
def test_a_model_of_which_ultralytics_may_open_another_file_is_refused(
    name: str, folder: bool, tmp_path: Path
) -> None:
    file = tmp_path / name
    if folder:
        file.mkdir()
        file = file / "weights"
    file.write_bytes(b"anything")
    section = settings.Detect(
        method="ultralytics", model=str(tmp_path / name), model_sha256=files.sha256(file)
    )
    with pytest.raises(BadInput, match=r"wanted a folder called NAME_openvino_model, or a file"):
        detectors.make(section)


TRAP = """
import os, pickle, torch
class Trap:
    def __reduce__(self):
        return os.system, ("touch trapped",)
torch.save({"model": Trap()}, "zip.pt")
with open("old.pt", "wb") as file:
    pickle.dump({"model": Trap()}, file, protocol=2)
torch.save({"model": Trap()}, "legacy.pt", _use_new_zipfile_serialization=False)
import ultralytics
good = ultralytics.YOLO("yolo11n.yaml")
good.model.names = {0: "person"}
good.save("good.pt")
"""
OPEN = """
import sys
import numpy as np
from passerby import errors, files, settings
from passerby.video import detectors
for name in sys.argv[1:]:
    section = settings.Detect(method="ultralytics", model=name, model_sha256=files.sha256(name))
    try:
        boxes, confidence = detectors.make(section)(np.zeros((64, 64, 3), np.uint8))
        print(name, boxes.shape, confidence.shape)
    except errors.BadInput as error:
        print(error)
"""


@pytest.mark.slow
def test_code_in_a_model_is_not_run_even_with_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.require("the package 'ultralytics'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    subprocess.run([sys.executable, "-c", TRAP], check=True, capture_output=True)
    names = ["zip.pt", "old.pt", "legacy.pt", "good.pt"]
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *names], capture_output=True, text=True, check=True
    )
    assert not Path("trapped").exists()
    lines = [line for line in done.stdout.splitlines() if ".pt" in line]
    assert [line.split(":")[0] for line in lines[:3]] == ["detect.model"] * 3
    assert all("Ultralytics cannot run it: " in line for line in lines[:3])
    assert lines[3] == "good.pt (0, 4) (0,)"


@pytest.mark.slow
def test_an_ultralytics_that_runs_code_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.require("the package 'ultralytics'")
    code = (
        "import ultralytics.utils\n"
        "from passerby.errors import BadInput\n"
        "from passerby.video.ultralytic import Ultralytic\n"
        "try:\n    Ultralytic('x.pt', 0.3, 0.5)\nexcept BadInput as error:\n    print(error)"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ULTRALYTICS_SAFE_LOAD", raising=False)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "would run the code in models" in done.stdout


@pytest.mark.slow
def test_absent_ultralytics_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    names = ("YOLO_AUTOINSTALL", "YOLO_VERBOSE", "YOLO_CONFIG_DIR", "YOLO_OFFLINE")
    for name in (*names, "ULTRALYTICS_SAFE_LOAD"):
        monkeypatch.setenv(name, "")  # so that what is set in its place is undone
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / "x.pt").touch()
    section = settings.Detect(
        method="ultralytics",
        model=str(tmp_path / "x.pt"),
        model_sha256=files.sha256(tmp_path / "x.pt"),
    )
    with pytest.raises(BadInput, match=r"needs the package 'ultralytics' .*: install it as"):
        detectors.make(section)


def recall_and_precision(detector: detectors.Detector, folder: Path) -> tuple[float, float]:
    """Against the ground truth of a MOT sequence, matched greedily at overlap 0.5."""
    truth = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
    hits = found = 0
    for number, path in enumerate(sorted((folder / "img1").glob("*.jpg")), start=1):
        image = cv2.imread(str(path))[:, :, ::-1]
        real = truth[truth[:, 0] == number, 2:6]
        real = np.concatenate([real[:, :2], real[:, :2] + real[:, 2:]], axis=1)
        free = np.ones(len(real), bool)
        for box in detector(image)[0]:
            found += 1
            overlap = detectors.overlap(box, real) * free
            if len(real) and overlap.max() >= 0.5:
                free[overlap.argmax()] = False
                hits += 1
    return hits / len(truth), hits / found


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "model", "recall", "precision"),
    [
        ("yolox", "yolox_nano.onnx", 0.78, 0.62),
        ("ultralytics", "yolo11n_int8_openvino_model", 0.82, 0.64),
    ],
)
def test_real_detectors_find_the_people_of_a_real_street(
    method: str,
    model: str,
    recall: float,
    precision: float,
    realdata: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if method == "ultralytics":
        needs.require("the package 'ultralytics'")
        needs.require("the package 'openvino'")
    section = settings.Detect.model_validate(
        {"method": method, "model": str(realdata / "models" / model), "tracker": "none"}
    )
    found = recall_and_precision(detectors.make(section), realdata / "mot" / "TUD-Campus")
    assert found == pytest.approx((recall, precision), abs=0.015)


@pytest.mark.real
def test_input_size_is_read_from_the_file(realdata: Path, tmp_path: Path) -> None:
    path = realdata / "models" / "yolox_nano.onnx"
    assert yolox.input_size(path) == (416, 416)
    with pytest.raises(BadInput, match=r"its input is \[.*256, 128\]|OpenCV cannot run|an output"):
        yolox.Yolox(realdata / "models" / "osnet_x0_25_msmt17.onnx", 0.3, 0.5)


def test_a_number_without_end_in_a_model_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\xff" * 1_000_000)
    with pytest.raises(BadInput, match=r"a\.onnx: not an ONNX network \(it is cut short"):
        yolox.input_size(tmp_path / "a.onnx")
