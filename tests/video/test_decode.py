"""Decoding: every frame has its number, damage is never delivered, conversion costs are avoided."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.video import decode, packets
from passerby.video.decode import VideoInfo, VideoReader
from passerby.video.encode import write_mp4

FRAMES, WIDTH, HEIGHT, KEY_EVERY = 40, 96, 64, 10


def everything(path: Path) -> list[np.ndarray]:
    """The slow twin: OpenCV, frame after frame, which is right in files that are whole."""
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        came, image = capture.read()
        if not came:
            return found
        found.append(image[:, :, ::-1])


def uneven(number: int) -> int:
    """Time stamps that nobody can compute a frame number from."""
    return number + number * number // 4


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("bframes.mp4", {}),
        ("open.mp4", {"options": {"x264-params": "open-gop=1"}}),
        ("uneven.mp4", {"stamps": uneven}),
        ("uneven.mkv", {"stamps": uneven, "container": {}}),
        ("stream.ts", {"container": {}}),
        ("old.avi", {"codec": "mpeg4", "container": {}}),
    ],
)
def test_frames_have_their_numbers_and_the_pixels_of_the_slow_twin(
    name: str, how: dict[str, Any], clips: SimpleNamespace, tmp_path: Path
) -> None:
    path = clips.encoded(tmp_path / name, **how)
    slow = everything(path)
    found = dict(decode.frames(path))
    assert [clips.shown(found[number]) for number in found] == list(range(FRAMES))
    assert decode.probe(path).frames == len(slow) == FRAMES
    for number, image in found.items():
        assert np.abs(image.astype(int) - slow[number]).max() <= 2


def test_wanted_frames_are_those_of_decoding_everything(clip: Path) -> None:
    every = dict(decode.frames(clip))
    wanted = [31, 3, 17, 3]
    some = list(decode.frames(clip, wanted))
    assert [number for number, _ in some] == [3, 17, 31]
    assert all(np.array_equal(image, every[number]) for number, image in some)
    assert list(decode.frames(clip, [])) == []


def test_only_wanted_frames_are_converted(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    plain = VideoReader._image
    monkeypatch.setattr(
        VideoReader, "_image", lambda self, *a: converted.append(a[1]) or plain(self, *a)
    )
    list(decode.frames(clip, range(0, FRAMES, 8)))
    assert converted == [0, 8, 16, 24, 32]


def test_frame_outside_the_video_is_our_mistake(clip: Path) -> None:
    with pytest.raises(ValueError, match="has frames 0 to 39"):
        list(decode.frames(clip, [40]))


def test_images_are_writable_rgb_of_the_stated_size(clip: Path) -> None:
    assert decode.probe(clip) == VideoInfo(FRAMES, 10.0, WIDTH, HEIGHT)
    _, image = next(decode.frames(clip))
    assert (image.dtype, image.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    assert image.flags.c_contiguous


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_that_of_players(rotation: int, clips: SimpleNamespace, tmp_path: Path) -> None:
    path = clips.encoded(tmp_path / "turned.mp4", rotation=rotation)
    slow = everything(path)
    info = decode.probe(path)
    assert (info.height, info.width) == slow[0].shape[:2]
    for number, image in decode.frames(path, [0, 25]):
        assert np.abs(image.astype(int) - slow[number]).max() <= 2


def damaged(clip: Path, path: Path, frame: int, length: int = 200) -> Path:
    """A copy with zeros in the middle of the packet of a frame (numbered in decoding)."""
    with av.open(str(clip)) as container:
        packet = [p for p in container.demux(video=0) if p.size][frame]
        at = packet.pos + packet.size // 4
    data = bytearray(clip.read_bytes())
    data[at : at + length] = bytes(length)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("at", [1, 4, 13, 20, 37])
def test_damage_is_left_out_until_the_next_keyframe(at: int, clip: Path, tmp_path: Path) -> None:
    path = damaged(clip, tmp_path / "zeros.mp4", at)
    good = dict(decode.frames(clip))
    reader = VideoReader(path)
    found = dict(reader.frames())
    assert all(np.array_equal(image, good[number]) for number, image in found.items())
    lost = {number for run in reader.damaged for number in run}
    assert lost == set(range(FRAMES)) - set(found)
    begin = at // KEY_EVERY * KEY_EVERY
    assert lost <= set(range(begin, begin + KEY_EVERY))
    assert begin + KEY_EVERY - 1 in lost


@pytest.mark.slow
@pytest.mark.parametrize("gop", ["open-gop=1", "open-gop=0"])
def test_no_wrong_picture_passes_wherever_the_zeros_lie(
    gop: str, clips: SimpleNamespace, tmp_path: Path
) -> None:
    whole = clips.encoded(tmp_path / "whole.mp4", options={"x264-params": gop})
    good = dict(decode.frames(whole))
    for at in range(FRAMES):
        reader = VideoReader(damaged(whole, tmp_path / "zeros.mp4", at, length=60))
        found = dict(reader.frames())
        wrong = [n for n, image in found.items() if not np.array_equal(image, good[n])]
        assert wrong == [], at
        assert sum(map(len, reader.damaged)) == FRAMES - len(found) > 0


def test_strict_reading_names_damaged_frames_after_the_good_ones(
    clip: Path, tmp_path: Path
) -> None:
    path = damaged(clip, tmp_path / "zeros.mp4", 31)
    numbers = []
    with pytest.raises(
        BadInput, match=r"zeros.mp4: damaged frames: \d+ \(.*-39\); fetch the video"
    ):
        for number, _ in decode.frames(path):
            numbers.append(number)
    assert numbers[:30] == list(range(30))
    assert [n for n, _ in decode.frames(path, [0, 29])] == [0, 29]


def test_cut_short_mp4_is_refused_with_the_frame_where_it_ends(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(BadInput, match=r"cut short: it ends at frame \d\d, but its header says 40"):
        decode.probe(tmp_path / "cut.mp4")


@pytest.mark.parametrize("name", ["a.mkv", "fragments.mp4"])
def test_containers_without_a_frame_count_are_refused_when_cut(
    name: str, clips: SimpleNamespace, tmp_path: Path
) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"} if name.endswith("mp4") else {}
    data = clips.encoded(tmp_path / name, container=options).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(BadInput, match=r"(cut short: it ends|damaged) at frame \d+"):
        decode.probe(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_containers_that_lose_their_thread_are_refused(
    name: str, clips: SimpleNamespace, tmp_path: Path
) -> None:
    data = bytearray(clips.encoded(tmp_path / name, container={}).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=r"damaged at frame \d+: frames behind it have no certain"):
        decode.probe(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such video"),
        (b"<html><body>log in first</body></html>" * 20, "not a video that can be read"),
        (b"", "not a video that can be read"),
    ],
)
def test_what_is_no_video_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=f"x.mp4: {said}"):
        decode.probe(path)


@pytest.mark.parametrize("said", ["file neighbour.mp4", "file {folder}/neighbour.mp4"])
def test_a_list_of_other_files_called_mp4_reads_nothing(
    said: str, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "neighbour.mp4").write_bytes(clip.read_bytes())
    text = "ffconcat version 1.0\n" + said.format(folder=tmp_path) + "\n"
    (tmp_path / "x.mp4").write_text(text)
    with pytest.raises(BadInput, match=r"x.mp4: not a video that can be read: wanted one of"):
        decode.probe(tmp_path / "x.mp4")


@pytest.mark.parametrize(
    ("form", "codec", "pixels"),
    [
        ("gif", "gif", "rgb8"),
        ("yuv4mpegpipe", "wrapped_avframe", "yuv420p"),
        ("hls", "libx264", "yuv420p"),
    ],
)
def test_a_format_off_the_list_is_refused_whatever_it_is_called(
    form: str,
    codec: str,
    pixels: str,
    tmp_path: Path,
    clips: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with av.open("other", "w", format=form) as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for number in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(clips.picture(number), "rgb24")))
        out.mux(stream.encode())
    Path("other").rename("x.mp4")
    with pytest.raises(BadInput, match=r"^x.mp4: not a video that can be read"):
        decode.probe("x.mp4")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path, tmp_path / "pipe.mp4"):
        with pytest.raises(BadInput, match="not a regular file; a video was wanted"):
            decode.probe(path)


@pytest.mark.parametrize("name", ["http:x.mp4", "concat:a|b.mp4", "%03d.mp4", "file:x.mp4"])
def test_a_name_that_looks_like_an_address_is_a_file(
    name: str, clips: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_mp4(name, [clips.picture(number) for number in range(3)], 10)
    assert decode.probe(name).frames == 3


def test_a_title_in_another_encoding_is_no_fault(clip: Path, tmp_path: Path) -> None:
    written = clip.read_bytes()
    assert b"VideoHandler" in written
    titled = tmp_path / "titled.mp4"
    titled.write_bytes(written.replace(b"VideoHandler", b"Vid\xe9oH\xffndler"))
    with av.open(str(titled), metadata_errors="replace") as container:
        assert "\ufffd" in container.streams.video[0].metadata["handler_name"]
    assert decode.probe(titled) == decode.probe(clip)
    assert len(dict(decode.frames(titled))) == FRAMES


def test_loss_spoils_to_the_keyframe_and_what_refers_back_across_it() -> None:
    # Decoding order I0 P3 B1 B2 | I6 B4 B5 P8 | I9; the B-frames 4 and 5 precede I6.
    number = np.array([0, 3, 1, 2, 6, 4, 5, 8, 9])
    key = np.array([True, False, False, False, True, False, False, False, True])
    table = packets.Packets(number, key, None)
    assert number[table.spoilt_by(1)].tolist() == [3, 1, 2, 4, 5]
    assert number[table.spoilt_by(4)].tolist() == [6, 4, 5, 8]
    assert number[table.spoilt_by(8)].tolist() == [9]


@pytest.mark.real
@pytest.mark.slow
def test_real_clip_has_its_frames(realdata: Path) -> None:
    path = realdata / "video" / "one-by-one-person-detection.mp4"
    assert decode.probe(path) == VideoInfo(1394, 10.0, 768, 432)
    slow = everything(path)
    for number, image in decode.frames(path, range(0, 1394, 97)):
        assert np.abs(image.astype(int) - slow[number]).max() <= 3
