"""The boxes of all videos: pickles joined with their videos, detectors, going on after a kill."""

import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from passerby import contract, settings
from passerby.errors import BadInput
from passerby.video import detect as detecting
from passerby.video import detections, detectors, ledger, sequence
from passerby.video.detect import detect
from passerby.video.download import download

PICKLES = settings.Detect()
YOLOX = settings.Detect(method="yolox", model="net.onnx")


@pytest.fixture
def fetched(street: Path, clips: SimpleNamespace) -> Path:
    """A downloaded street with pickles: one walker in `a`, nobody in `-b_1`."""
    download(clips.served(), "videos", "videos.tsv")
    walker = {
        n: [[0, {"bbox": np.array([n, 5, n + 20, 60], np.float32), "pid": 3, "conf": 1.0}]]
        for n in range(40)
    }
    (street / "detections").mkdir()
    (street / "detections" / "syn+city+a.pkl").write_bytes(pickle.dumps(walker))
    (street / "detections" / "syn+city+-b_1.pkl").write_bytes(pickle.dumps({}))
    return street


def run(section: settings.Detect, root: Path) -> detections.Detections:
    detect(section, root, "videos", "videos.tsv", "detections.parquet")
    return detections.read("detections.parquet")


def test_pickles_become_one_table(fetched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(PICKLES, fetched)
    assert found.videos == ("syn+city+-b_1", "syn+city+a")
    assert (found.widths.tolist(), found.heights.tolist()) == ([96, 96], [64, 64])
    assert found.of("syn+city+a").box[7].tolist() == [7, 5, 27, 60]
    assert set(found.track.tolist()) == {3}
    assert len(found.of("syn+city+-b_1")) == 0
    assert "detect: 40 boxes and 1 tracks in 2 videos" in capsys.readouterr().err
    assert not Path("scratch/detect").exists()


def test_videos_that_are_not_ok_need_no_pickle(fetched: Path) -> None:
    rows = [*ledger.read("videos.tsv"), ledger.Row("syn+city+z", "removed", reason="HTTP 404")]
    ledger.write("videos.tsv", rows)
    assert len(run(PICKLES, fetched).videos) == 2


def test_missing_pickles_and_videos_are_refused_before_any_work(fetched: Path) -> None:
    (fetched / "detections" / "syn+city+a.pkl").unlink()
    with pytest.raises(BadInput, match=r"1 of 2 videos have no pickle 'NAME.pkl': syn\+city\+a"):
        run(PICKLES, fetched)
    Path("videos/syn+city+-b_1.mp4").unlink()
    with pytest.raises(BadInput, match=r"1 of 2 videos of the ledger are missing: syn\+city\+-b_1"):
        run(PICKLES, fetched)
    assert not Path("scratch/detect").exists()


def test_wrong_frame_base_is_refused_with_file_and_setting(fetched: Path) -> None:
    section = settings.Detect(first_frame=1)
    with pytest.raises(BadInput, match=r"detections/syn\+city\+a.pkl: detect.first_frame: 1 .*: 0"):
        run(section, fetched)


class Marks:
    """A detector of the white blocks that number our clips; no net, but a real detector's way."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.seen = 0
        self.dies_at = dies_at

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.seen == self.dies_at:
            raise KeyboardInterrupt
        self.seen += 1
        bits = [b for b in range(8) if image[6, b * 12 + 6].mean() > 128]
        box = np.array([[b * 12, 0, b * 12 + 12, 12] for b in bits], np.float32).reshape(-1, 4)
        return box, np.full(len(box), 0.9, np.float32)


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], Marks]:
    def put(dies_at: int | None = None) -> Marks:
        detector = Marks(dies_at)
        monkeypatch.setattr(detectors, "make", lambda section: detector)
        return detector

    return put


def test_detector_sees_each_nth_frame_and_boxes_keep_their_frame(
    fetched: Path, marks: Callable[[int | None], Marks]
) -> None:
    detector = marks(None)
    section = YOLOX.model_copy(update={"every": 5, "tracker": "none"})
    found = run(section, fetched).of("syn+city+a")
    assert detector.seen == 2 * 8
    for frame in range(0, 40, 5):
        shown = sum(1 << int(x) // 12 for x in found.box[found.frame == frame, 0])
        assert shown == frame


def test_killed_detection_goes_on_with_the_next_video_and_ends_with_the_same_bytes(
    fetched: Path, marks: Callable[[int | None], Marks]
) -> None:
    marks(None)
    run(YOLOX, fetched)
    undisturbed = Path("detections.parquet").read_bytes()
    Path("detections.parquet").unlink()
    marks(60)  # in the middle of the second video
    with pytest.raises(KeyboardInterrupt):
        run(YOLOX, fetched)
    assert not Path("detections.parquet").exists()
    detector = marks(None)
    run(YOLOX, fetched)
    assert detector.seen == 40
    assert Path("detections.parquet").read_bytes() == undisturbed


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.999])
@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_a_damaged_shard_is_named_and_its_video_looked_at_again(
    fetched: Path,
    marks: Callable[[int | None], Marks],
    capsys: pytest.CaptureFixture[str],
    suffix: str,
    share: float,
) -> None:
    marks(None)
    run(YOLOX, fetched)
    undisturbed = Path("detections.parquet").read_bytes()
    marks(60)  # the first video is finished
    with pytest.raises(KeyboardInterrupt):
        run(YOLOX, fetched)
    (path,) = (p for p in Path("scratch").rglob(f"*{suffix}") if not p.name.startswith("."))
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 8
    path.write_bytes(content)
    detector = marks(None)
    capsys.readouterr()
    run(YOLOX, fetched)
    said = capsys.readouterr().err
    assert f"detect: {path}: damaged: " in said
    assert "; syn+city+-b_1 is looked at again\n" in said
    assert detector.seen == 80
    assert Path("detections.parquet").read_bytes() == undisturbed


@pytest.mark.parametrize("package", ["onnxruntime", "av", "torch"])
def test_another_version_of_what_detects_does_not_use_what_is_in_scratch(
    fetched: Path,
    marks: Callable[[int | None], Marks],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    marks(60)
    with pytest.raises(KeyboardInterrupt):
        run(YOLOX, fetched)
    version = contract._version
    monkeypatch.setattr(
        contract, "_version", lambda name: "0" if name == package else version(name)
    )
    detector = marks(None)
    run(YOLOX, fetched)
    assert detector.seen == 80


def test_another_setting_or_video_does_not_use_what_is_in_scratch(
    fetched: Path, marks: Callable[[int | None], Marks]
) -> None:
    marks(60)
    with pytest.raises(KeyboardInterrupt):
        run(YOLOX, fetched)
    detector = marks(None)
    run(YOLOX.model_copy(update={"min_confidence": 0.4}), fetched)
    assert detector.seen == 80
    changed = [
        ledger.Row(**{**vars_of(row), "sha256": "0" * 64}) for row in ledger.read("videos.tsv")
    ]
    ledger.write("videos.tsv", changed)
    detector = marks(None)
    run(YOLOX, fetched)
    assert detector.seen == 80


def vars_of(row: ledger.Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in ledger.COLUMNS}


def test_damaged_frames_are_named_in_the_last_line(
    fetched: Path,
    marks: Callable[[int | None], Marks],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = Path("videos/syn+city+a.mp4")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    marks(None)
    found = run(YOLOX, fetched)
    told = capsys.readouterr().err
    assert "syn+city+a: damaged frames: " in told
    assert len(set(found.of("syn+city+a").frame)) < len(set(found.of("syn+city+-b_1").frame))


def test_notes_name_boxes_that_were_left_out(
    fetched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetched / "detections" / "syn+city+a.pkl"
    content = pickle.loads(path.read_bytes())
    for n in range(40):
        content[n] = content[n] * 5
    content[0].append([5, {"bbox": [4, 4, 4, 9], "pid": 1, "conf": 1.0}])
    path.write_bytes(pickle.dumps(content))
    assert len(run(PICKLES, fetched)) == 200
    assert "syn+city+a: 1 boxes without area left out" in capsys.readouterr().err


def test_summary_counts_tracks_by_video() -> None:
    part = detections.boxes([0, 1], [[0, 0, 1, 1]] * 2, None, [0, 0])
    joined = detections.joined({"a": part, "b": part}, {"a": (1, 1), "b": (1, 1)}, "yolox")
    assert detecting.summary(joined, []) == "4 boxes and 2 tracks in 2 videos"


@pytest.mark.real
@pytest.mark.slow
def test_a_real_street_is_detected_and_tracked(
    realdata: Path, tmp_path: Path, clips: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    street = tmp_path / "street"
    (street / "videos").mkdir(parents=True)
    (street / "list.txt").write_text("de+darmstadt+campus\n")
    images = realdata / "mot" / "TUD-Campus" / "img1"
    sequence.pack(images, street / "videos" / "de+darmstadt+campus.mp4", 25)
    download(clips.served(), "videos", "videos.tsv")
    model = str(realdata / "models" / "yolox_nano.onnx")
    found = run(YOLOX.model_copy(update={"model": model}), street)
    assert found.source == "yolox"
    assert len(found) == pytest.approx(445, abs=15)
    tracked = found.track[found.track >= 0]
    assert len(np.unique(tracked)) == pytest.approx(8, abs=1)  # the ground truth has 8
    assert len(tracked) > 0.5 * len(found)
