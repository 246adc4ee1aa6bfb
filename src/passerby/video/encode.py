"""Writing frames as an mp4 that every player opens: H.264, 4:2:0."""

from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np

from passerby import files
from passerby.errors import BadInput

PRESET = "ultrafast"
"""Of x264. With `fast`, five of 500 files of equal frames had other bytes, with this one none."""


def write_mp4(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: int,
    crf: int = 20,
    keyframe_every: int = 50,
) -> int:
    """Write frames as a video; equal frames give equal bytes.

    Args:
        path: The file; whole or absent.
        frames: `uint8 (H, W, 3)` RGB, all of one size, H and W even.
        fps: Frames a second.
        crf: Quality of x264: 0 is lossless, 23 its default, more is worse.
        keyframe_every: Frames between two places where decoding can begin.

    Returns:
        How many frames were written.

    Raises:
        BadInput: there is no frame, sizes are odd or differ.
    """
    count, size = 0, (0, 0)
    # The index in front, so that what is left of a cut file can tell where it was cut.
    front = {"movflags": "faststart"}
    with (
        files.written_whole(path) as beside,
        # `file:`, or FFmpeg takes a name with a colon for an address.
        av.open(f"file:{beside}", "w", format="mp4", options=front) as container,
    ):
        stream = container.add_stream("libx264", rate=fps)
        # One thread: x264 cuts pictures by the number of threads, so bytes would depend on it.
        stream.codec_context.thread_count = 1
        stream.options = {"crf": str(crf), "g": str(keyframe_every), "preset": PRESET}
        stream.pix_fmt = "yuv420p"
        for image in frames:
            if not count:
                size = (image.shape[1], image.shape[0])
                stream.width, stream.height = size
            if (image.shape[1], image.shape[0]) != size or size[0] % 2 or size[1] % 2:
                raise BadInput(
                    f"{path}: frame {count} is {image.shape[1]}x{image.shape[0]}; even sizes, all "
                    f"as the first ({size[0]}x{size[1]}), were wanted"
                )
            # FFmpeg's own conversion rounds by where the picture happens to lie in memory.
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
            count += 1
        if not count:
            raise BadInput(f"{path}: no frame to write")
        container.mux(stream.encode())
    return count
