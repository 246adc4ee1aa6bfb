"""Odd input of several kinds that no flip of bits would give: wrong types, claims, code, bombs."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import lmdb
import numpy as np
import scipy.io
import torch
import yaml
from damaging import Rng, odd_number, odd_text, one, replace
from onnx import TensorProto, helper
from PIL import Image
from safetensors.numpy import save as safetensors_bytes
from samples import batches, boxes, features, network_proto


def odd_picture(rng: Rng) -> bytes:
    """A picture of an odd mode, size or EXIF."""
    modes = ("1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "HSV", "PA")
    mode = str(one(rng, modes))
    size = (int(one(rng, (1, 16, 3000))), int(one(rng, (1, 32, 2000))))
    kinds = {"1": "PNG", "I;16": "PNG", "I": "TIFF", "LA": "PNG", "P": "GIF", "CMYK": "JPEG"}
    kind = kinds.get(mode, "TIFF" if mode in ("F", "LAB", "YCbCr") else "PNG")
    stream = io.BytesIO()
    made = Image.new(
        mode if mode not in ("HSV", "PA") else "RGBA", size, 77 if mode in "1LPI" else 0
    )
    made.save(stream, kind)
    if kind == "PNG" and rng.random() < 0.3:  # a header that claims another size
        data = bytearray(stream.getvalue())
        data[16:24] = np.array([one(rng, (0, 20_000, 2**31 - 1))] * 2, ">u4").tobytes()
        return bytes(data)
    return stream.getvalue()


def odd_arrays(rng: Rng) -> dict[str, Any]:
    """Features with an odd array among them."""
    arrays: dict[str, Any] = dict(features())
    name = str(one(rng, [*arrays]))
    array = arrays[name]
    odd = (
        lambda a: a.astype(np.float16), lambda a: a.astype(np.complex64), lambda a: a.astype(str),
        lambda a: a.astype(bool), lambda a: a[None], lambda a: a[:0], lambda a: a[:-1],
        lambda a: a * np.nan, lambda a: a * 1e30, lambda a: a * 1e-30, lambda a: a * 0,
        lambda a: np.full(a.shape, np.inf), lambda a: np.zeros((), a.dtype), lambda a: a.T,
        lambda a: a.astype(">f8"), lambda a: a.astype("M8[s]"), lambda a: a.astype("S3"),
        lambda a: np.full(a.shape, 2**62), lambda a: -a, lambda a: a.astype(np.float64) + 0.5,
        lambda a: np.zeros(a.shape, [("a", "f4")]), lambda a: a.astype(np.uint64) * 2**40,
    )  # fmt: skip
    way = one(rng, odd)
    with np.errstate(all="ignore"):
        arrays[name] = way(array)  # type: ignore[operator]
    if rng.random() < 0.2:
        arrays.pop(str(one(rng, [*arrays])))
    return arrays


def odd_npz(rng: Rng) -> bytes:
    """An `.npz` with an odd array."""
    stream = io.BytesIO()
    np.savez(stream, **odd_arrays(rng))
    return stream.getvalue()


def odd_mat(rng: Rng) -> bytes:
    """A MATLAB file with an odd array, a cell or a structure."""
    arrays = odd_arrays(rng)
    if rng.random() < 0.4:
        name = str(one(rng, [*arrays]))
        odd = ({"a": 1}, np.array([[1, "a"]], object), "text", np.zeros((2, 2, 2)), [])
        arrays[name] = one(rng, odd)
    stream = io.BytesIO()
    try:
        scipy.io.savemat(stream, arrays)
    except Exception:  # what cannot be written is tried by another case
        return b"MATLAB 5.0 MAT-file, nothing more"
    return stream.getvalue()


class _Calls:
    """Pickles as a call."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("called.txt"), "code was run\n")


def odd_pth(rng: Rng) -> bytes:
    """A torch file of odd tensors, other objects, or code."""
    held = batches()
    feats = held[0]["feats"]
    odd: tuple[Any, ...] = (
        feats.bfloat16(), feats.clone().requires_grad_(), feats.to_sparse(), feats.half(),
        feats.to(torch.complex64), feats.t(), feats[:0], feats * float("nan"),
        torch.nn.Parameter(feats), torch.zeros(()), "text", None, [1, 2], {"a": feats},
        feats.bool(),
        torch.empty(feats.shape, device="meta"), _Calls(), feats.expand(4, *feats.shape),
        torch.quantize_per_tensor(feats, 0.1, 0, torch.quint8), feats[:1].expand(10**6, 8),
    )  # fmt: skip
    held[0][str(one(rng, ("feats", "pids", "camids")))] = one(rng, odd)
    whole: Any = held if rng.random() < 0.7 else one(rng, (odd, dict(enumerate(held)), odd[0]))
    stream = io.BytesIO()
    torch.save(whole, stream)
    return stream.getvalue()


def odd_onnx(rng: Rng) -> bytes:
    """A network that is random, mixes the batch, has outside weights, claims much, or says much."""
    made = network_proto(
        str(one(rng, ("GlobalAveragePool", "GlobalMaxPool", "Identity", "Nothing")))
    )
    graph = made.graph
    way = int(rng.integers(8))
    if way == 0:
        graph.node.insert(2, helper.make_node("RandomNormalLike", ["flat"], ["chance"]))
        graph.node[3].input[0] = "chance"
    elif way == 1:
        graph.node.append(
            helper.make_node("ReduceMean", ["features"], ["mean"], axes=[0], keepdims=1)
        )
        graph.node.append(helper.make_node("Sub", ["features", "mean"], ["mixed"]))
        graph.output[0].name = "mixed"
    elif way == 2:
        weights = graph.initializer[0]
        place = str(one(rng, ("/etc/hostname", "../outside/secret.txt", "w.bin")))
        weights.ClearField("float_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=place)
    elif way == 3:
        graph.initializer[0].dims[:] = [2**31, int(one(rng, (3, 2**31)))]
    elif way == 4:
        graph.node.append(helper.make_node("Log", ["features"], ["logs"]))
        graph.node.append(helper.make_node("Log", ["logs"], ["nans"]))
        graph.output[0].name = "nans"
    elif way == 5:
        helper.set_model_props(made, {"format": "passerby.onnx/1", "title": _encodable(rng)})
    elif way == 6:
        graph.output[0].name = _encodable(rng)
    else:
        said = {"format": "passerby.onnx/1", "title": "\x1b[2J", "architecture": "x",
                "height_px": "32", "width_px": "16", "interpolation": "bilinear",
                "distance": "cosine", "input": "RGB, 0..255, not normalised"}  # fmt: skip
        key = str(one(rng, [*said]))
        said[key] = _encodable(rng)
        helper.set_model_props(made, said)
    return bytes(made.SerializeToString())


def _encodable(rng: Rng) -> str:
    """An odd text without the parts that no file in UTF-8 can hold."""
    return odd_text(rng).encode("utf-8", "replace").decode()


def odd_header(path: Path, rng: Rng) -> None:
    """Another header in a store: odd names, counts and types."""
    env = lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 27)
    with env.begin(write=True) as transaction:
        header = json.loads(bytes(transaction.get(b"header")))
        odd: Any = one(rng, (odd_text(rng), -1, 10**30, None, [], {}, 1.5, "2", True))
        if rng.random() < 0.5:
            entry = header["sources"][int(rng.integers(len(header["sources"])))]
            entry[str(one(rng, [*entry]))] = odd
            names = (
                "..+..+evil",
                "/tmp/x",
                "../../x",
                "a\x1b[2J",
                "a\nb",
                "x" * 300,
                "a/../..",
                "",
            )
            if rng.random() < 0.6:
                entry["name"] = one(rng, names)
        else:
            header[str(one(rng, [*header]))] = odd
        transaction.put(b"header", json.dumps(header).encode())
    env.close()


def odd_hdf5(path: Path, rng: Rng) -> None:
    """Another data set in place of an image: outside storage, a link, a virtual set, a claim."""
    with h5py.File(path, "r+") as file:
        way = int(rng.integers(6))
        holder = file["#refs#/detected0"]
        if way == 0:
            secret = [("../outside/secret.txt", 0, 27)]
            made = file.create_dataset("odd", (3, 3, 3), "u1", external=secret)
        elif way == 1:
            made = file.create_dataset("odd", (2**20, 2**20, 3), "u1", chunks=(64, 64, 3))
        elif way == 2:
            layout = h5py.VirtualLayout((3, 5, 4), "u1")
            layout[:] = h5py.VirtualSource("../outside/secret.txt", "x", (3, 5, 4))
            made = file.create_virtual_dataset("odd", layout)
        elif way == 3:
            made = file.create_dataset(
                "odd", data=np.zeros((3, 4, 5), str(one(rng, ("f4", "i8", "S3"))))
            )
        elif way == 4:
            made = file.create_dataset("odd", data=h5py.Empty("u1"))
        else:
            del file["labeled"]
            target = one(rng, ("/nothing", "../outside/secret.txt"))
            file["labeled"] = h5py.ExternalLink(str(target), "/labeled")
            made = file[holder[0, 0]]
        holder[int(rng.integers(10)), 0] = made.ref


def odd_pickle(rng: Rng) -> bytes:
    """A pickle of odd values, of code, or one that grows without end."""
    found = boxes()
    info = found[1][1][1]
    odd = (
        np.nan,
        10**400,
        -1,
        "a",
        None,
        [],
        np.zeros((2, 2)),
        np.inf,
        2**63,
        True,
        _Calls(),
        b"x",
    )
    way = int(rng.integers(5))
    if way < 3:
        info[str(one(rng, ("bbox", "conf", "pid")))] = one(rng, odd)
        return pickle.dumps(found, protocol=int(rng.integers(5)))
    if way == 3:
        return pickle.dumps(
            one(rng, (found[0], [found], {"a": found}, {10**30: []}, {1.5: [[]]}, odd))
        )
    bomb: Any = []
    for _ in range(60):
        bomb = [bomb, bomb]
    return pickle.dumps({0: bomb})


def odd_safetensors(rng: Rng) -> bytes:
    """A safetensors file whose header claims odd things."""
    data = safetensors_bytes({"a": np.zeros((2, 2), np.float32)}, {"passerby": "{}"})
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    odd: Any = one(
        rng, ([2**40, 2**40], [-1], "F64", "X", None, [0, 2**62], [4, 2], odd_text(rng), {})
    )
    header["a"][str(one(rng, ("dtype", "shape", "data_offsets")))] = odd
    if rng.random() < 0.4:
        about: Any = {"format": "passerby.init/1", "title": odd, "source": odd_text(rng)}
        header["__metadata__"] = {"passerby": one(rng, (json.dumps(about), "[" * 100_000, "1", ""))}
    text = json.dumps(header).encode("utf-8", "replace")
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


YAML_BOMBS = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
    ),
    "a: &a {<<: *a}\n", "&a [*a]\n", "[" * 5000, "{" * 3000, "? " * 3000, "a: !!timestamp x\n",
    "a: 1\na: 2\n", "<<: [1, 2]\n", "? [a, b]\n: 1\n", "? {a: 1}\n: 2\n", "\t- a\n",
    "--- a\n--- b\n",
    "a: !!python/object/apply:os.getpid []\n", "a: 190:20:30\n", "a: " + "9" * 5000 + "\n",
    "%YAML 9.9\n",
    "a: !!binary ==x\n", "- &a\n  <<: [*a, *a]\n", "a: 2024-99-99\n", "", "null\n", "3\n", "{}\n",
    "...\n",
    "a: &b {<<: [" + ", ".join(["{x: 1}"] * 50) + "]}\n",
)  # fmt: skip


def odd_yaml(path: Path, rng: Rng) -> None:
    """An odd value, key or structure at any place of a YAML file."""
    if rng.random() < 0.2:
        replace(path, str(one(rng, YAML_BOMBS)).encode("utf-8", "replace"))
        return
    values = yaml.safe_load(path.read_bytes())
    place: Any = values
    while True:
        key = one(rng, [*place] if isinstance(place, dict) else range(len(place)))
        inner = place[key]  # type: ignore[index]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.15:
            break
        place = inner
    number = odd_number(rng)
    odd: tuple[Any, ...] = (
        "@", "@", "@", odd_text(rng), odd_text(rng), None, [], {}, True, [[]], {"a": {}},
        float("nan"),
        float("inf"), -1, 0, 1e400, 2**70, [odd_text(rng)], "0" * 10_000,
    )  # fmt: skip
    place[key] = one(rng, odd)  # type: ignore[index]
    text = yaml.safe_dump(values, sort_keys=False).replace("'@'", number or "''", 1)
    if rng.random() < 0.1:
        text += f"\n{key}: {number or 1}\n"
    replace(path, text.encode("utf-8", "replace"))
