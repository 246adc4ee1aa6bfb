"""Picture files: reads them upright and in RGB, and encodes pictures as JPEG."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from passerby.errors import BadInput

open_picture = Image.open
"""Pillow's own: ultralytics, once imported, puts another in its place, which for a file that is no
picture asks for a package that is not installed."""


def read_image(path: str | Path) -> np.ndarray:
    """A picture file as `uint8 (H, W, 3)` RGB, turned as its EXIF says.

    Raises:
        BadInput: it is missing, or is not a whole picture.
    """
    try:
        with open_picture(path) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise BadInput(
            f"{path}: not a whole picture ({error}); replace the file or take it off the list"
        ) from None


def encoded(image: np.ndarray, quality: int) -> bytes:
    """Encode an RGB image, `uint8 (H, W, 3)`, as a JPEG file; `quality` is in 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()
