"""Detectors: real nets on a real street, and refusals where one is absent or another."""

import sys
from pathlib import Path

import cv2
import needs
import numpy as np
import pytest

from passerby import settings
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
    with pytest.raises(BadInput, match=r"other.onnx: not an ONNX file with one input"):
        detectors.make(section(other))
    with pytest.raises(BadInput, match=r"other.onnx has SHA-256 \w+, detect.model_sha256 wants 12"):
        detectors.make(section(other, sha256="12" * 32))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no such model file or exported folder"):
        detectors.make(section(tmp_path / "empty", "ultralytics"))


def test_largest_file_of_a_folder_is_its_model(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("small")
    (tmp_path / "a.bin").write_text("the large one")
    assert detectors.model_file(tmp_path) == tmp_path / "a.bin"


@pytest.mark.slow
def test_absent_ultralytics_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("YOLO_AUTOINSTALL", "YOLO_VERBOSE", "YOLO_CONFIG_DIR", "YOLO_OFFLINE"):
        monkeypatch.setenv(name, "")  # so that what is set in its place is undone
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / "x.pt").touch()
    section = settings.Detect(method="ultralytics", model=str(tmp_path / "x.pt"))
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
    with pytest.raises(BadInput, match=r"a\.onnx: not an ONNX file with one input"):
        yolox.input_size(tmp_path / "a.onnx")
