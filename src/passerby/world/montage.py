"""A picture of a city at a glance: street frames, and people by several cameras."""

from pathlib import Path

import cv2
import numpy as np

from passerby import files
from passerby.video import decode

_WIDTH_PX = 1440
_FRAMES = 6
_ROWS, _COLUMNS = 3, 22


def write(city: Path, out: Path) -> None:
    """Draw the montage of a city's folder into a JPEG."""
    rows = [*_street_rows(city), *_people_rows(city)]
    picture = np.vstack([_fitted(row) for row in rows])
    with files.written_whole(out) as beside:
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88]
        )
        assert done
        beside.write_bytes(data.tobytes())


def _street_rows(city: Path) -> list[np.ndarray]:
    """Two rows of frames from the middle of films, spread over the streets."""
    videos = sorted((city / "street" / "videos").glob("*.mp4"))
    chosen = [videos[round(n)] for n in np.linspace(0, len(videos) - 1, _FRAMES)]
    frames = [_middle(path) for path in chosen]
    half = len(frames) // 2
    return [np.hstack(frames[:half]), np.hstack(frames[half:])]


def _middle(path: Path) -> np.ndarray:
    wanted = decode.probe(path).frames // 2
    return next(image for _, image in decode.frames(path, [wanted]))


def _people_rows(city: Path) -> list[np.ndarray]:
    """Rows of test people's pictures, people one after another: same people stand together."""
    root = city / "benchmarks"
    market = sorted((root / "market1501" / "query").glob("*.jpg"))
    campus = sorted((root / "cuhk03-np" / "detected" / "query").glob("*.png"))
    rows = [market[n * _COLUMNS : (n + 1) * _COLUMNS] for n in range(_ROWS - 1)] + [
        campus[:_COLUMNS]
    ]
    return [np.hstack([_person(path) for path in row]) for row in rows if row]


def _person(path: Path) -> np.ndarray:
    read = cv2.imread(str(path))
    assert read is not None, path
    image = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
    return cv2.resize(image, (64, 128), interpolation=cv2.INTER_AREA)


def _fitted(row: np.ndarray) -> np.ndarray:
    """A row at the width of the montage."""
    height_px = round(row.shape[0] * _WIDTH_PX / row.shape[1])
    return cv2.resize(row, (_WIDTH_PX, min(height_px, 400)), interpolation=cv2.INTER_AREA)
