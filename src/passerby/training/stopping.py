"""Being asked to stop: by SIGTERM, or by a file that the launcher lays down.

A loop asks at each step, saves what it has and raises `errors.Stopped`.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType


@contextlib.contextmanager
def watched(request: str | Path | None = None) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether this process was asked to stop.

    Args:
        request: A file whose existence asks for it too.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield lambda: asked or (request is not None and Path(request).exists())
    finally:
        signal.signal(signal.SIGTERM, before)
