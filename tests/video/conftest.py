"""Clips whose frames show their own number, and a list to download."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from passerby import settings
from passerby.video.encode import write_mp4

FRAMES, WIDTH, HEIGHT, KEY_EVERY = 40, 96, 64, 10
BLOCK = 12


def picture(number: int) -> np.ndarray:
    """A noisy picture whose eight blocks at the top are the bits of its number."""
    rng = np.random.default_rng(number)
    image = rng.integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for bit in range(8):
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return image


def shown(image: np.ndarray) -> int:
    """The number that a decoded picture shows."""
    middle = image[BLOCK // 2, BLOCK // 2 :: BLOCK].mean(axis=1)
    return sum(1 << bit for bit, value in enumerate(middle[:8]) if value > 128)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames, a keyframe every ten, B-frames between, the index in front."""
    plain = tmp_path_factory.mktemp("clips") / "plain.mp4"
    write_mp4(plain, (picture(i) for i in range(FRAMES)), 10)
    return encoded(plain.with_name("clip.mp4"))


def encoded(
    path: Path,
    codec: str = "libx264",
    rotation: int = 0,
    stamps: Callable[[int], int] = lambda number: number,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """Write the forty frames with any codec, container and time stamps (in tenths of a second)."""
    with av.open(
        str(path), "w", options={"movflags": "faststart"} if container is None else container
    ) as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        defaults = {"g": str(KEY_EVERY), "bf": "2", "sc_threshold": "0", "crf": "15"}
        stream.options = {**defaults, **(options or {})} if codec == "libx264" else options or {}
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = stamps(number)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.fixture
def street(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a served street of two videos; the working folder of the test."""
    root = tmp_path / "street"
    (root / "videos").mkdir(parents=True)
    for name in ("syn+city+a", "syn+city+-b_1"):
        (root / "videos" / f"{name}.mp4").write_bytes(clip.read_bytes())
    (root / "list.txt").write_text("syn+city+a \r\nsyn+city+-b_1\r\n\r\nsyn+city+a\r\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return root


@pytest.fixture(scope="session")
def clips() -> SimpleNamespace:
    """What tests need to make clips and settings: `encoded`, `shown`, `picture`, `served`."""
    return SimpleNamespace(encoded=encoded, shown=shown, picture=picture, served=served)


def served(root: Path | str = "street", **changes: object) -> settings.Videos:
    """Settings that download a served street."""
    values: dict[str, object] = {
        "root": str(root),
        "serve": True,
        "url_template": "http://127.0.0.1:{port}/{name}.mp4",
        "format": "b",
        "retry_wait_s": 0,
    }
    return settings.Videos.model_validate({**values, **changes})
