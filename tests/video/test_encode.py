"""Writing clips: equal frames, equal bytes; sizes that no player shows are refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.video import decode
from passerby.video.encode import write_mp4


def test_frames_come_back_in_order_at_their_rate(clips: SimpleNamespace, tmp_path: Path) -> None:
    pictures = [clips.picture(number) for number in range(12)]
    assert write_mp4(tmp_path / "x.mp4", pictures, 15) == 12
    assert decode.probe(tmp_path / "x.mp4") == decode.VideoInfo(12, 15.0, 96, 64)
    for number, image in decode.frames(tmp_path / "x.mp4"):
        assert clips.shown(image) == number
        assert np.abs(image.astype(int) - pictures[number]).mean() < 40  # noise in colour is lost


def test_equal_frames_are_equal_bytes(clips: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, (clips.picture(number) for number in range(12)), 10)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_odd_differing_and_missing_frames_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    even, odd = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(BadInput, match="frame 0 is 5x4; even sizes"):
        write_mp4(tmp_path / "x.mp4", [odd], 10)
    with pytest.raises(BadInput, match=r"frame 1 is 5x4; even sizes, all as the first \(6x4\)"):
        write_mp4(tmp_path / "x.mp4", [even, odd], 10)
    with pytest.raises(BadInput, match=r"x.mp4: no frame to write"):
        write_mp4(tmp_path / "x.mp4", [], 10)
    assert list(tmp_path.iterdir()) == []
