"""torch's and safetensors' files: every kind of tensor works, and no claim is believed."""

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from passerby.errors import BadInput
from passerby.foreign import tensors

NEW_AND_OLD = pytest.mark.parametrize("is_old", [False, True], ids=["zip", "before 1.6"])


def saved(path: Path, value: Any, is_old: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not is_old)
    return path


@NEW_AND_OLD
def test_checkpoints_come_back(is_old: bool, tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    value = {
        "state_dict": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "ema": torch.nn.Parameter(torch.ones(2)),
        "best": np.float32(0.5),
        "epoch": 3,
    }
    found = tensors.load(saved(tmp_path / "a.pth", value, is_old))
    assert isinstance(found["state_dict"], OrderedDict)
    assert torch.equal(found["state_dict"]["0.weight"], model[0].weight)
    assert (found["best"], found["epoch"]) == (0.5, 3)


TENSORS = {
    "bfloat16": torch.tensor([1.5, -2, 3]).bfloat16(),
    "float8": torch.tensor([1.5, -2, 3]).to(torch.float8_e4m3fn),
    "half": torch.tensor([1.5, -2, 3]).half(),
    "gradient": torch.tensor([1.5, -2, 3], requires_grad=True),
    "parameter": torch.nn.Parameter(torch.tensor([1.5, -2, 3])),
    "transposed": torch.tensor([[1.5, 0], [-2, 0], [3, 0]]).T[0],
    "negated": torch._neg_view(torch.tensor([-1.5, 2, -3])),
    "sparse": torch.tensor([1.5, -2, 3]).to_sparse(),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_of_every_kind_become_arrays(name: str, tmp_path: Path) -> None:
    found = tensors.load(saved(tmp_path / "a.pth", {"x": TENSORS[name]}))["x"]
    array = tensors.array(found, "x")
    assert array.tolist() == [1.5, -2, 3]
    assert array.dtype == (np.float16 if name == "half" else np.float32)


def test_lists_of_numbers_become_arrays_and_others_are_refused() -> None:
    assert tensors.array([1, 2], "x").tolist() == [1, 2]
    for value in (["a"], [[1], [1, 2]], {"a": 1}, torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(BadInput, match="x: not numbers"):
            tensors.array(value, "x")


def test_a_view_of_one_number_as_many_is_refused(tmp_path: Path) -> None:
    wide = torch.ones(1).expand(1 << 40)
    found = tensors.load(saved(tmp_path / "a.pth", {"x": wide}))["x"]
    assert found.shape == (1 << 40,)
    with pytest.raises(BadInput, match=r"x: a tensor of shape \(1099511627776,\), which it does"):
        tensors.array(found, "x")


def rewritten(path: Path, before: bytes, after: bytes) -> None:
    """Change the pickle within an archive of torch's, checksums and all."""
    with zipfile.ZipFile(path) as archive:
        parts = {member.filename: archive.read(member) for member in archive.infolist()}
    name = next(name for name in parts if name.endswith("data.pkl"))
    assert before in parts[name]
    parts[name] = parts[name].replace(before, after)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def test_a_storage_that_claims_more_than_is_there_is_refused(tmp_path: Path) -> None:
    """torch itself reads on behind the end of what is there."""
    path = saved(tmp_path / "a.pth", {"x": torch.ones(200)})
    rewritten(path, b"K\xc8", b"J" + struct.pack("<i", 2**30))
    with pytest.raises(BadInput, match="a storage of 4,294,967,296 bytes, 800 of which are there"):
        tensors.load(path)
    old = saved(tmp_path / "b.pth", {"x": torch.ones(200)}, is_old=True)
    old.write_bytes(old.read_bytes().replace(b"K\xc8N", b"J" + struct.pack("<i", 2**30) + b"N"))
    with pytest.raises(BadInput, match="storages of 4,294,967,296 bytes, 80"):
        tensors.load(old)


class Calls:
    def __init__(self, *what: Any) -> None:
        self.what = what

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.what[0], self.what[1:]


@NEW_AND_OLD
@pytest.mark.parametrize(
    "call", [Calls(print, "called"), Calls(bytearray, 1 << 40), Calls(torch.zeros, 3)]
)
def test_a_file_that_calls_is_refused(
    call: Calls, is_old: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadInput, match=r"a\.pth: not tensors as torch\.save writes them"):
        tensors.load(saved(tmp_path / "a.pth", {"x": call}, is_old))
    assert capsys.readouterr().out == ""


@NEW_AND_OLD
def test_a_bomb_of_tuples_is_refused(is_old: bool, tmp_path: Path) -> None:
    value: Any = ()
    for _ in range(60):
        value = (value, value)
    data = pickle.dumps(value, 2)  # a pickler remembers what it has written
    path = saved(tmp_path / "a.pth", {"x": "here"}, is_old)
    before = b"X\x04\x00\x00\x00here"
    bomb = data[2:-1].replace(b"q", b"q")
    if is_old:
        path.write_bytes(path.read_bytes().replace(before, bomb))
    else:
        rewritten(path, before, bomb)
    with pytest.raises(BadInput, match="it stands for far more than its bytes hold"):
        tensors.load(path)


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04", pickle.dumps({"a": 1}, 2)])
def test_what_is_no_file_of_torchs_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(BadInput, match=r"a\.pth: not tensors as torch\.save .*; save it so"):
        tensors.load(tmp_path / "a.pth", "save it so")


def test_safetensors_come_back_with_what_is_said_beside_them(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2).bfloat16()}, tmp_path / "a.safetensors", {"k": "v"})
    state, said = tensors.safetensors(tmp_path / "a.safetensors")
    assert (state["x"].dtype, said) == (torch.bfloat16, {"k": "v"})


def test_a_safetensors_header_that_claims_more_is_refused(tmp_path: Path) -> None:
    head = b'{"x":{"dtype":"F32","shape":[1073741824,48],"data_offsets":[0,206158430208]}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(8))
    with pytest.raises(BadInput, match=r"a\.safetensors: not a whole safetensors file"):
        tensors.safetensors(tmp_path / "a.safetensors")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_that_only_torchs_other_reader_takes_is_refused_without_advice_to_use_it(
    tmp_path: Path,
) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pth", pickle_protocol=5)
    with pytest.raises(BadInput, match="own pickle protocol") as caught:
        tensors.load(tmp_path / "x.pth")
    assert "weights_only" not in str(caught.value)


def test_safetensors_below_a_name_that_is_no_utf8_are_not_called_broken(tmp_path: Path) -> None:
    folder = tmp_path / "gr\udcf6sse"
    folder.mkdir()
    (folder / "x.safetensors").touch()
    with pytest.raises(BadInput, match="rename it"):
        tensors.safetensors(folder / "x.safetensors")
