"""Folders of numbered pictures become videos."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.video import decode, sequence


def written(folder: Path, numbers: list[int], clips: SimpleNamespace) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"img{number}.png"), clips.picture(number)[:, :, ::-1])
    return folder


def test_pictures_become_frames_in_the_order_of_their_numbers(
    clips: SimpleNamespace, tmp_path: Path
) -> None:
    folder = written(tmp_path / "img1", [8, 9, 10, 11], clips)  # by name 10 comes before 8
    (folder / "notes.txt").touch()
    assert sequence.pack(folder, tmp_path / "x.mp4", 25) == 4
    assert decode.probe(tmp_path / "x.mp4") == decode.VideoInfo(4, 25.0, 96, 64)
    shown = [clips.shown(image) for _, image in decode.frames(tmp_path / "x.mp4")]
    assert shown == [8, 9, 10, 11]


def test_equal_pictures_make_equal_bytes(clips: SimpleNamespace, tmp_path: Path) -> None:
    folder = written(tmp_path / "img1", list(range(6)), clips)
    for name in ("a.mp4", "b.mp4"):
        sequence.pack(folder, tmp_path / name, 25)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_picture_is_not_written_over(clips: SimpleNamespace, tmp_path: Path) -> None:
    folder = written(tmp_path / "img1", [1], clips)
    (only,) = folder.iterdir()
    before = only.read_bytes()
    with pytest.raises(BadInput, match="it is read for that and would be lost"):
        sequence.pack(folder, only, fps=5)
    assert only.read_bytes() == before


def test_gaps_empty_folders_and_broken_pictures_are_refused(
    clips: SimpleNamespace, tmp_path: Path
) -> None:
    folder = written(tmp_path / "img1", [1, 2, 4], clips)
    with pytest.raises(BadInput, match=r"img4.png: picture 4 follows picture 2"):
        sequence.pack(folder, tmp_path / "x.mp4", 25)
    (folder / "img3.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"img3.png: not a whole picture"):
        sequence.pack(folder, tmp_path / "x.mp4", 25)
    assert not (tmp_path / "x.mp4").exists()
    with pytest.raises(BadInput, match="no pictures; pictures with numbers"):
        sequence.pack(tmp_path, tmp_path / "x.mp4", 25)
    cv2.imwrite(str(folder / "cover.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(BadInput, match=r"no number in cover.png"):
        sequence.pack(folder, tmp_path / "x.mp4", 25)


@pytest.mark.real
def test_a_real_sequence_becomes_a_video(realdata: Path, tmp_path: Path) -> None:
    folder = realdata / "mot" / "TUD-Campus" / "img1"
    assert sequence.pack(folder, tmp_path / "x.mp4", 25) == 71
    first = cv2.imread(str(sequence.numbered(folder)[0]))[:, :, ::-1]
    _, image = next(decode.frames(tmp_path / "x.mp4", [0]))
    assert np.abs(image.astype(int) - first).mean() < 4
