"""What torch and safetensors wrote, by readers that run no code of it.

torch's own reader without code believes what a file says of its storages: how many numbers they
hold, and how many a key of a dictionary stands for. So the file is looked through first.
"""

import io
import mmap
import pickle
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from passerby.errors import BadInput
from passerby.foreign import pickles
from passerby.foreign.arrays import MOST_BYTES, unzipped
from passerby.foreign.opening import named, opened, reading, require_utf8_name

WANTED = "tensors as torch.save writes them"
SAFETENSORS = "a whole safetensors file"
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""What torch before 1.6 began its files with: a number."""
_LEGACY_PICKLES = 5
_CONTENT = 3
"""Place of the content among them; the last names the storages that follow."""
_ADMITTED = re.compile(
    r"collections\.(OrderedDict|Counter)"
    r"|torch\.nn\.parameter\.Parameter"
    r"|torch\.(Size|Tensor|[a-z]\w*)"
    r"|torch\.(storage\.)?\w*Storage"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state"
    r"|sparse_tensor|qtensor)"
    r"|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.serialization\._get_layout"
    r"|_codecs\.encode|(builtins|__builtin__)\.(set|complex)"
    r"|numpy\.(_?core\.multiarray\.scalar|dtype|dtypes\.\w+)"
)
"""Names that files of tensors hold."""
_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2,
    "LongStorage": 8, "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1,
    "BoolStorage": 1, "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QInt8Storage": 1,
    "QUInt8Storage": 1, "QInt32Storage": 4, "UntypedStorage": 1,
}  # fmt: skip
"""Bytes of a number in each kind of storage."""


def load(path: str | Path, advice: str = "") -> Any:
    """What `torch.save` wrote, on the CPU: tensors, numbers, texts and plain containers.

    Args:
        path: The file.
        advice: What to do where it is another one.

    Raises:
        BadInput: it is missing, is something else or damaged, claims more than it holds, or names
            what no file of tensors names (nothing of it is called).
    """
    with opened(path, most_bytes=MOST_BYTES) as file:
        with reading(path, WANTED, advice):
            _look_through(file, path)
        file.seek(0)
        with reading(path, WANTED, advice), torch.serialization.safe_globals(_numpy_scalars()):
            return _loaded(file)


def _loaded(file: BinaryIO) -> Any:
    """What torch's reader without code gives.

    Raises:
        ValueError: it does not take the file. Its own message is advice to run the file's code.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            "torch's reader that runs no code does not take it; save it again, with torch.save's "
            "own pickle protocol"
        ) from None


def array(value: Any, where: str) -> np.ndarray:
    """A tensor of any kind, an array or a list of numbers, as an array.

    NumPy has no bfloat16 and no smaller floats: they become float32, which holds them exactly.

    Args:
        value: Of what `load` gave.
        where: What messages call it.

    Raises:
        BadInput: it is no such thing, or stands for more numbers than fit.
    """
    if isinstance(value, Tensor):
        value = plain(value, where)
        if value.is_floating_point() and value.dtype not in _OF_NUMPY:
            value = value.float()
    with reading(where, "numbers"):
        found = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        if found.dtype.kind not in "biuf":
            raise ValueError(f"values of type {found.dtype}")
    return found


_OF_NUMPY = (torch.float16, torch.float32, torch.float64)


def plain(value: Tensor, where: str) -> Tensor:
    """A tensor without gradient, views of one number and other layouts: its numbers on the CPU.

    Raises:
        BadInput: it stands for more numbers than fit (of few, or of none at all).
    """
    size_bytes = value.numel() * value.element_size()
    if size_bytes > MOST_BYTES or value.is_meta:
        raise BadInput(
            f"{named(where)}: a tensor of shape {str(tuple(value.shape))[:60]}, which it does not "
            "hold"
        )
    with reading(where, "a tensor"):
        found = value.detach().cpu()
        if found.is_quantized:
            found = found.dequantize()
        if found.layout != torch.strided:
            found = found.to_dense()
        return found.resolve_conj().resolve_neg().contiguous()


def safetensors(path: str | Path, advice: str = "") -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and what its header says beside them.

    Raises:
        BadInput: it is missing, damaged, or claims more than it holds.
    """
    with opened(path, most_bytes=MOST_BYTES):
        require_utf8_name(path)  # the library takes a name, and would wait for a pipe
    with reading(path, SAFETENSORS, advice), safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return state, file.metadata() or {}


def _numpy_scalars() -> list[Any]:
    """What reading a number of numpy's needs; fast-reid's checkpoints hold such figures."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    return [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),  # its name before numpy 2
        np.dtype,
        *(type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)),
    ]


def _look_through(file: BinaryIO, path: str | Path) -> None:
    """Refuse a file that claims more than it holds, or names what files of tensors do not."""
    head = file.read(len(_LEGACY_START))
    if head.startswith(b"PK"):
        with unzipped(file, path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            content = [name for name in sizes if name.rpartition("/")[2] == "data.pkl"]
            if len(content) != 1 or len(sizes) < len(archive.infolist()):
                raise ValueError("no archive of torch's, or a part that is there twice")
            folder = content[0].removesuffix("data.pkl")
            for key, claimed in _storages(archive.read(content[0])).items():
                if claimed > (there := sizes.get(f"{folder}data/{key}", 0)):
                    raise ValueError(
                        f"a storage of {claimed:,} bytes, {there:,} of which are there"
                    )
    elif head == _LEGACY_START:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        ends = [0]
        for _ in range(_LEGACY_PICKLES):
            ends.append(pickles.require_small(data, ends[-1]))
        claimed = sum(_storages(data[ends[_CONTENT] : ends[_CONTENT + 1]]).values())
        if claimed > len(data) - ends[-1]:
            raise ValueError(f"storages of {claimed:,} bytes, {len(data) - ends[-1]:,} are there")
    else:
        raise ValueError("another format")


def _storages(data: bytes) -> dict[str, int]:
    """The storages that a pickle of tensors asks for, by their names: how many bytes each has."""
    pickles.require_small(data)
    shadow = _Shadow(io.BytesIO(data), encoding="latin1")
    shadow.load()
    return shadow.claimed


class _Stand(dict[Any, Any]):
    """Stands for whatever a pickle of tensors makes: takes all, does nothing."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __setstate__(self, state: Any) -> None:
        """Take a state."""


class _Storage:
    """A kind of storage: the bytes of each number."""

    def __init__(self, name: str) -> None:
        if name not in _BYTES:
            raise pickle.UnpicklingError(f"a storage of kind {name}")
        self.item_bytes = _BYTES[name]


class _Shadow(pickle.Unpickler):
    """Goes through a pickle of tensors without making one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.claimed: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name.

        Raises:
            UnpicklingError: files of tensors have no such name.
        """
        whole = f"{module}.{name}"
        if not _ADMITTED.fullmatch(whole):
            raise pickle.UnpicklingError(
                f"it wants to call {whole}; weights and features are tensors and plain containers"
            )
        return _Storage(name) if name.endswith("Storage") else type(name, (_Stand,), {})

    def persistent_load(self, pid: Any) -> Any:
        """Note a storage.

        Raises:
            UnpicklingError: it is described in another way than torch's.
        """
        kind, storage, key, _, count, *_ = pid
        if kind != "storage" or not isinstance(storage, _Storage) or not isinstance(key, str):
            raise pickle.UnpicklingError("a storage that torch would not describe so")
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage of no number of items")
        self.claimed[key] = max(self.claimed.get(key, 0), count * storage.item_bytes)
        return _Stand()
