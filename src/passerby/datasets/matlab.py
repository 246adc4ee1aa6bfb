"""MATLAB 5 files, the form in which labels of several sets were published."""

from pathlib import Path
from typing import Any

import scipy.io

from passerby.errors import BadInput

MATLAB_5 = b"MATLAB 5.0 MAT-file"


def read(path: Path) -> dict[str, Any]:
    """The variables of a file by name, dimensions of length 1 left out.

    Raises:
        BadInput: it is missing, of another version, or broken.
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    with open(path, "rb") as file:
        if file.read(len(MATLAB_5)) != MATLAB_5:
            raise BadInput(f"{path}: not a MATLAB 5 file; fetch it again")
    try:
        whole = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a cut file ends in whatever its last number is taken for
        raise BadInput(f"{path}: a broken MATLAB 5 file ({error}); fetch it again") from None
    return {name: value for name, value in whole.items() if not name.startswith("__")}
