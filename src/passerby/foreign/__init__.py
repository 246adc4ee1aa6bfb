"""Files from outside, read in one place: hostile until they are checked.

Whoever reads a file that other people or other programs made goes through this room. It opens
regular files only, knows their length before anything is read, holds what a file claims (shapes,
lengths, depth) against the bytes that it has, and turns whatever a library raises into one message
that names the file.

- `opening`: open, limit, and turn what is raised into `BadInput`;
- `texts`: text in UTF-8, lines, tables, JSON, and the numbers in them;
- `yamls`: YAML without repeated keys, endless aliases and numbers that are none;
- `arrays`: NumPy's `.npy` and `.npz`;
- `matlab`: MATLAB 5 to 7;
- `pickles`: how much a pickle unfolds to, before it is read;
- `tensors`: what torch and safetensors wrote.

HDF5, LMDB, pictures and videos have readers in the rooms that use them, built on `opening`.
"""

from passerby.foreign.opening import (
    exists,
    first_line,
    is_file,
    is_folder,
    opened,
    read_bytes,
    reading,
    require_file,
    require_utf8_name,
)

__all__ = [
    "exists",
    "first_line",
    "is_file",
    "is_folder",
    "opened",
    "read_bytes",
    "reading",
    "require_file",
    "require_utf8_name",
]
