"""The restricted unpickler: arrays of every NumPy and protocol, and nothing that calls."""

import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.video import unpickle

ARRAYS = [
    np.array([618.625, 81.75, 1031.375, 709.25], np.float32),
    np.arange(34, dtype=np.float64).reshape(17, 2),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.array([True, False]),
    np.zeros((0, 4), np.float32),
]


def written(path: Path, value: Any, protocol: int | None = None) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_back_from_every_protocol(protocol: int, tmp_path: Path) -> None:
    value = {7: [[0, {"bbox": array, "conf": np.float32(0.5)}] for array in ARRAYS]}
    found = unpickle.load(written(tmp_path / "x.pkl", value, protocol))
    for (_, info), array in zip(found[7], ARRAYS, strict=True):
        assert np.array_equal(info["bbox"], array)
        assert (info["bbox"].dtype, info["bbox"].shape) == (array.dtype, array.shape)
        assert info["conf"] == 0.5


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
def test_names_of_numpy_1_and_2_are_both_known(
    module: bytes, protocol: int, tmp_path: Path
) -> None:
    data = pickle.dumps({"a": ARRAYS[0]}, protocol)
    for known in (b"numpy._core", b"numpy.core"):
        old, new = known + b".multiarray", module + b".multiarray"
        # A short text is written behind one byte of its length in protocol 4.
        data = data.replace(bytes([len(old)]) + old, bytes([len(new)]) + new).replace(old, new)
    (tmp_path / "x.pkl").write_bytes(pickle_without_frames(data))
    assert np.array_equal(unpickle.load(tmp_path / "x.pkl")["a"], ARRAYS[0])


def pickle_without_frames(data: bytes) -> bytes:
    """Protocol 4 states the length of what follows; without that a changed name fits."""
    return data[:2] + data[11:] if data[2:3] == pickle.FRAME else data


def test_plain_containers_come_back(tmp_path: Path) -> None:
    lists: collections.defaultdict[int, list[Any]] = collections.defaultdict(list, {1: [(2, "x")]})
    value = {"a": collections.OrderedDict(b=None), "c": lists, "d": b"bytes", "e": {1, 2}}
    assert unpickle.load(written(tmp_path / "x.pkl", value, 2)) == value


class Calls:
    """Asks for a call when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch called",), "posix.system"),
        (eval, ("open('called', 'w')",), "builtins.eval"),
        (getattr, (dict, "fromkeys"), "builtins.getattr"),
        (np.load, ("called",), "numpy.load"),
        (os.path.join, ("a",), "posixpath.join"),
    ],
)
def test_pickle_that_calls_is_refused_with_file_and_name(
    function: Any,
    arguments: tuple[Any, ...],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "bad.pkl", {0: [[0, Calls(function, *arguments)]]})
    with pytest.raises(BadInput, match=f"bad.pkl: it wants to call {name}; .* Nothing was called"):
        unpickle.load(tmp_path / "bad.pkl")
    assert os.listdir(tmp_path) == ["bad.pkl"]


def test_names_with_dots_lead_nowhere(tmp_path: Path) -> None:
    data = pickle.PROTO + b"\x04" + b"\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(BadInput, match=r"wants to call collections.OrderedDict.fromkeys"):
        unpickle.load(tmp_path / "x.pkl")


def test_arrays_of_objects_and_lying_shapes_are_refused(tmp_path: Path) -> None:
    objects = np.array([{}, None], dtype=object)
    with pytest.raises(BadInput, match="an array of type 'O8'; numbers were wanted"):
        unpickle.load(written(tmp_path / "x.pkl", objects))
    data = pickle.dumps(np.zeros(3, np.float32), 2).replace(b"K\x03\x85", b"K\xff\x85")
    (tmp_path / "y.pkl").write_bytes(data)
    with pytest.raises(BadInput, match=r"y.pkl: not a pickle .*12 bytes for an array of shape"):
        unpickle.load(tmp_path / "y.pkl")


@pytest.mark.parametrize("cut", [0, 1, 10, 40])
def test_pickle_that_was_cut_short_is_refused(cut: int, tmp_path: Path) -> None:
    data = pickle.dumps({0: ARRAYS})
    (tmp_path / "x.pkl").write_bytes(data[:cut])
    with pytest.raises(BadInput, match=r"x.pkl: not a pickle of detections .*; fetch it again"):
        unpickle.load(tmp_path / "x.pkl")


def test_pickle_that_holds_itself_and_one_that_is_missing_are_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(BadInput, match="a container that is filled late, or holds itself"):
        unpickle.load(written(tmp_path / "x.pkl", endless))
    with pytest.raises(BadInput, match="no such file"):
        unpickle.load(tmp_path / "gone.pkl")
