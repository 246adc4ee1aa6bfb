"""Whole input of every kind, small, and odd input of some kinds that no flip of bits would give."""

import csv
import io
import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import scipy.io
import torch
import yaml
from damage import Rng, odd_text, one
from onnx import TensorProto, helper
from PIL import Image
from safetensors.numpy import save as safetensors_bytes

from passerby import files
from passerby.datasets import attributes, cuhk03
from passerby.models import adopt, artifact, backbones
from passerby.models.artifact import ModelCard
from passerby.settings import Encoder

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "crops"))

from crop_samples import make_source  # noqa: E402

PICTURES = ("a.png", "b.jpg", "c.webp", "d.bmp")
WIDTH, HEIGHT = 16, 32
PEOPLE = 6


def pixels(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A noisy picture of its own colour, `uint8 (H, W, 3)`."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 40, (height, width, 3)) + 40 * rng.integers(1, 5, 3)).astype(np.uint8)


def picture(path: Path, seed: int = 0) -> Path:
    """A picture file; its name's end says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path)
    return path


def pictures(folder: Path) -> None:
    """One picture of each format."""
    for seed, name in enumerate(PICTURES):
        picture(folder / name, seed)


def picture_list(folder: Path) -> None:
    """Pictures, and a list of them."""
    pictures(folder)
    (folder / "list.txt").write_text("\n".join(PICTURES) + "\n")


def odd_picture(rng: Rng) -> bytes:
    """A picture of an odd mode, size or EXIF."""
    modes = ("1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "HSV", "PA")
    mode = str(one(rng, modes))
    size = (int(one(rng, (1, 16, 3000))), int(one(rng, (1, 32, 2000))))
    kinds = {"1": "PNG", "I;16": "PNG", "I": "PNG", "LA": "PNG", "P": "GIF", "CMYK": "JPEG"}
    kind = kinds.get(mode, "TIFF" if mode in ("F", "LAB", "YCbCr") else "PNG")
    stream = io.BytesIO()
    made = Image.new(mode if mode not in ("HSV", "PA") else "RGBA", size, 77 if mode in "1LPI" else 0)
    made.save(stream, kind)
    if kind == "PNG" and rng.random() < 0.3:  # a header that claims another size
        data = bytearray(stream.getvalue())
        data[16:24] = np.array([one(rng, (0, 20_000, 2**31 - 1))] * 2, ">u4").tobytes()
        return bytes(data)
    return stream.getvalue()


def features() -> dict[str, np.ndarray]:
    """The six arrays of an evaluation: six people in two cameras."""
    rng = np.random.default_rng(5)
    people = np.arange(1, PEOPLE + 1)
    centres = rng.normal(size=(PEOPLE, 8)).astype(np.float32)
    return {
        "query_features": centres,
        "gallery_features": np.concatenate([centres + 0.1, rng.normal(size=(4, 8)).astype("f4")]),
        "query_people": people,
        "gallery_people": np.concatenate([people, [-1, 0, 0, 9]]),
        "query_cameras": np.ones(PEOPLE, np.int64),
        "gallery_cameras": np.full(PEOPLE + 4, 2),
    }


def npz(folder: Path) -> None:
    """Features as `numpy.savez` writes them."""
    np.savez(folder / "features.npz", **features())  # type: ignore[arg-type]


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


def mat(folder: Path) -> None:
    """Features as layumi's project saves them."""
    scipy.io.savemat(folder / "features.mat", features())


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


def npy_folder(folder: Path) -> None:
    """Features as fast-reid's demo writes them."""
    arrays = features()
    for side in ("query", "gallery"):
        (folder / side).mkdir()
        labels = zip(arrays[f"{side}_people"], arrays[f"{side}_cameras"], strict=True)
        for n, (person, camera) in enumerate(labels):
            path = folder / side / f"{person:04}_c{camera}s1_{n:06}_00.npy"
            np.save(path, arrays[f"{side}_features"][n])


def pth(folder: Path) -> None:
    """Features as fast-reid's evaluator keeps them."""
    torch.save(_batches(), folder / "features.pth")


def _batches() -> list[dict[str, Any]]:
    arrays = features()
    whole = [
        np.concatenate([arrays[f"{side}_{key}"] for side in ("query", "gallery")])
        for key in ("features", "people", "cameras")
    ]
    return [
        {"feats": torch.from_numpy(whole[0][i : i + 8]), "pids": torch.from_numpy(whole[1][i : i + 8]),
         "camids": torch.from_numpy(whole[2][i : i + 8])}
        for i in (0, 8)
    ]  # fmt: skip


class _Calls:
    """Pickles as a call."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("called.txt"), "code was run\n")


def odd_pth(rng: Rng) -> bytes:
    """A torch file of odd tensors, other objects, or code."""
    batches = _batches()
    feats = batches[0]["feats"]
    odd: tuple[Any, ...] = (
        feats.bfloat16(), feats.clone().requires_grad_(), feats.to_sparse(), feats.half(),
        feats.to(torch.complex64), feats.t(), feats[:0], feats * float("nan"),
        torch.nn.Parameter(feats), torch.zeros(()), "text", None, [1, 2], {"a": feats}, feats.bool(),
        torch.empty(feats.shape, device="meta"), _Calls(), feats.expand(4, *feats.shape),
        torch.quantize_per_tensor(feats, 0.1, 0, torch.quint8), feats[:1].expand(10**6, 8),
    )  # fmt: skip
    batches[0][str(one(rng, ("feats", "pids", "camids")))] = one(rng, odd)
    whole: Any = batches if rng.random() < 0.7 else one(rng, (odd, dict(enumerate(batches)), odd[0]))
    stream = io.BytesIO()
    torch.save(whole, stream)
    return stream.getvalue()


def network(path: Path) -> Path:
    """A network from pictures of any size to three numbers."""
    onnx.save(network_proto(), path)
    return path


def network_proto(op: str = "GlobalAveragePool", height: Any = "H") -> Any:
    """As `network`, with another operation in the middle."""
    nodes = [
        helper.make_node(op, ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["features"]),
    ]
    shapes = [("images", ["B", 3, height, "W"]), ("features", ["B", 3])]
    first, last = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 3], np.eye(3, dtype="f4").ravel())
    graph = helper.make_graph(nodes, "means", [first], [last], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def yolox(path: Path) -> None:
    """A network with the input and the output of a YOLOX for 64x64 px."""
    cells = 8 * 8 + 4 * 4 + 2 * 2
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["rows"]),
        helper.make_node("Reshape", ["rows", "shape"], ["output"]),
    ]
    shapes = [("images", [1, 3, 64, 64]), ("output", [1, cells, 6])]
    first, last = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes)
    held = [
        helper.make_tensor("w", TensorProto.FLOAT, [3, cells * 6], np.zeros(3 * cells * 6, "f4")),
        helper.make_tensor("shape", TensorProto.INT64, [3], [1, cells, 6]),
    ]
    graph = helper.make_graph(nodes, "yolox", [first], [last], held)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path
    )


def onnx_file(folder: Path) -> None:
    """A network, and a picture."""
    network(folder / "net.onnx")


def odd_onnx(rng: Rng) -> bytes:
    """A network that is random, mixes the batch, has outside weights, claims much, or says much."""
    made = network_proto(str(one(rng, ("GlobalAveragePool", "GlobalMaxPool", "Identity", "Nothing"))))
    graph = made.graph
    way = int(rng.integers(8))
    if way == 0:
        graph.node.insert(2, helper.make_node("RandomNormalLike", ["flat"], ["chance"]))
        graph.node[3].input[0] = "chance"
    elif way == 1:
        graph.node.append(helper.make_node("ReduceMean", ["features"], ["mean"], axes=[0], keepdims=1))
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
        helper.set_model_props(made, {"format": "passerby.onnx/1", "title": odd_text(rng)})
    elif way == 6:
        graph.output[0].name = odd_text(rng).encode("utf-8", "replace").decode()
    else:
        said = {"format": "passerby.onnx/1", "title": "\x1b[2J", "architecture": "x",
                "height_px": "32", "width_px": "16", "interpolation": "bilinear",
                "distance": "cosine", "input": "RGB, 0..255, not normalised"}  # fmt: skip
        key = str(one(rng, [*said]))
        said[key] = odd_text(rng).encode("utf-8", "replace").decode()
        helper.set_model_props(made, said)
    return bytes(made.SerializeToString())


def model(folder: Path) -> None:
    """A model folder of that network, and pictures to embed."""
    network(folder / "net.onnx")
    adopt.adopt(folder / "net.onnx", folder / "model", HEIGHT, WIDTH, title="means")
    (folder / "photos").mkdir()
    picture_list(folder / "photos")


def resnet(folder: Path) -> None:
    """A model folder of a ResNet-18."""
    encoder = Encoder(architecture="resnet18")
    card = ModelCard.of(
        encoder, title="a ResNet", height_px=HEIGHT, width_px=WIDTH, embedding_size=512,
        distance="cosine", trained_on="nothing",
    )  # fmt: skip
    artifact.write(folder / "model", backbones.build(encoder, 0).state_dict(), card)


def people_set(folder: Path, splits: tuple[str, ...] = ("train", "query", "gallery")) -> None:
    """A labelled set of kind `folder`, and settings with it as `mine`."""
    for split in splits:
        for person in range(3):
            for camera in (1, 2):
                if (split, camera) not in (("query", 2), ("gallery", 1)):
                    name = f"{split}/{'ab'[split != 'train']}{person}/{person}_c{camera}.png"
                    picture(folder / "people" / name, person * 10 + camera)
    values = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    values["benchmarks"]["mine"] = {"kind": "folder", "root": "../in/people"}
    values["evaluate"].update(draws=0, rerank=None)
    (folder / "params.yaml").write_text(yaml.safe_dump(values))


def model_and_set(folder: Path) -> None:
    """A model, a labelled set and settings."""
    model(folder)
    people_set(folder)


def frames(folder: Path) -> None:
    """Numbered pictures of one size."""
    for n in range(1, 5):
        picture(folder / "frames" / f"{n:06}.png", n)


def store(folder: Path) -> None:
    """A crop store of two videos and a set of images."""
    from passerby.crops.store import writing

    with writing(folder / "crops.lmdb") as writer:
        writer.add(make_source("benchmark-m", count=2, kind="images", boxes=2, left_out={}))
        writer.add(make_source("de+bonn+a"))
        writer.add(make_source("de+bonn+b", count=0))


def odd_header(path: Path, rng: Rng) -> None:
    """Another header in a store: odd names, counts and types."""
    import lmdb

    env = lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 27)
    with env.begin(write=True) as transaction:
        header = json.loads(bytes(transaction.get(b"header")))
        odd: Any = one(rng, (odd_text(rng), -1, 10**30, None, [], {}, 1.5, "2", True))
        if rng.random() < 0.5:
            entry = header["sources"][int(rng.integers(len(header["sources"])))]
            entry[str(one(rng, [*entry]))] = odd
            names = ("..+..+evil", "/tmp/x", "../../x", "a\x1b[2J", "a\nb", "x" * 300, "a/../..", "")
            if rng.random() < 0.6:
                entry["name"] = one(rng, names)
        else:
            header[str(one(rng, [*header]))] = odd
        transaction.put(b"header", json.dumps(header).encode())
    env.close()


def hdf5(folder: Path) -> None:
    """`cuhk-03.mat` in small."""
    with h5py.File(folder / "cuhk-03.mat", "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def put(array: np.ndarray) -> Any:
            return refs.create_dataset(str(len(refs)), data=array.T).ref

        def cells(where: Any, name: str, found: np.ndarray) -> Any:
            made = where.create_dataset(name, found.T.shape, dtype=h5py.ref_dtype)
            made[...] = found.T
            return made.ref

        for boxes in ("detected", "labeled"):
            pairs = []
            for pair in range(5):
                images = np.empty((1, 10), object)
                for i in range(10):
                    images[0, i] = put(pixels(10 * pair + i, 4, 5))
                pairs.append(cells(refs, f"{boxes}{pair}", images))
            cells(file, boxes, np.array(pairs, object)[None])
        sets = [put(np.array([[1.0, 1], [2, 1]])), put(np.array([[3.0, 1], [5, 1]]))]
        cells(file, "testsets", np.array(sets, object)[None])


def odd_hdf5(path: Path, rng: Rng) -> None:
    """Another data set in place of an image: outside storage, a link, a virtual set, a claim."""
    with h5py.File(path, "r+") as file:
        name = str(int(rng.integers(50)))
        group = file["#refs#"]
        image = group[file["#refs#/detected0"][0, 0]] if name == "0" else group[name]
        place = image.name
        way = int(rng.integers(6))
        holder = file["#refs#/detected0"]
        if way == 0:
            made = file.create_dataset("odd", (3, 4, 5), "u1", external=[("/etc/hostname", 0, 60)])
        elif way == 1:
            made = file.create_dataset("odd", (2**20, 2**20, 3), "u1", chunks=(64, 64, 3))
        elif way == 2:
            layout = h5py.VirtualLayout((3, 5, 4), "u1")
            layout[:] = h5py.VirtualSource("../outside/secret.txt", "x", (3, 5, 4))
            made = file.create_virtual_dataset("odd", layout)
        elif way == 3:
            made = file.create_dataset("odd", data=np.zeros((3, 4, 5), str(one(rng, ("f4", "i8", "S3")))))
        elif way == 4:
            made = file.create_dataset("odd", data=h5py.Empty("u1"))
        else:
            del file["labeled"]
            target = one(rng, ("/nothing", "../outside/secret.txt"))
            file["labeled"] = h5py.ExternalLink(str(target), "/labeled")
            made = image
        assert place
        holder[int(rng.integers(10)), 0] = made.ref


def pickled(folder: Path) -> None:
    """LUPerson-NL's detections of one video."""
    (folder / "x.pkl").write_bytes(pickle.dumps(_boxes()))


def _boxes() -> dict[int, Any]:
    def element(n: int) -> list[Any]:
        box = np.array([10.0 + n, 10, 50 + n, 90], np.float32)
        return [n, {"bbox": box, "conf": 0.75, "pid": n}]

    return {frame: [element(n) for n in range(3)] for frame in range(4)}


def odd_pickle(rng: Rng) -> bytes:
    """A pickle of odd values, of code, or one that grows without end."""
    boxes = _boxes()
    info = boxes[1][1][1]
    odd = (np.nan, 10**400, -1, "a", None, [], np.zeros((2, 2)), np.inf, 2**63, True, _Calls(), b"x")
    way = int(rng.integers(5))
    if way < 3:
        info[str(one(rng, ("bbox", "conf", "pid")))] = one(rng, odd)
        return pickle.dumps(boxes, protocol=int(rng.integers(5)))
    if way == 3:
        return pickle.dumps(one(rng, (boxes[0], [boxes], {"a": boxes}, {10**30: []}, {1.5: [[]]}, odd)))
    bomb: Any = []
    for _ in range(60):
        bomb = [bomb, bomb]
    return pickle.dumps({0: bomb})


def odd_safetensors(rng: Rng) -> bytes:
    """A safetensors file whose header claims odd things."""
    data = safetensors_bytes({"a": np.zeros((2, 2), np.float32)}, {"passerby": "{}"})
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    odd: Any = one(rng, ([2**40, 2**40], [-1], "F64", "X", None, [0, 2**62], [4, 2], odd_text(rng), {}))
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
    "a: 1\na: 2\n", "<<: [1, 2]\n", "? [a, b]\n: 1\n", "? {a: 1}\n: 2\n", "\t- a\n", "--- a\n--- b\n",
    "a: !!python/object/apply:os.getpid []\n", "a: 190:20:30\n", "a: " + "9" * 5000 + "\n", "%YAML 9.9\n",
    "a: !!binary ==x\n", "- &a\n  <<: [*a, *a]\n", "a: 2024-99-99\n", "", "null\n", "3\n", "{}\n", "...\n",
    "a: &b {<<: [" + ", ".join(["{x: 1}"] * 50) + "]}\n",
)  # fmt: skip


def attribute_files(folder: Path) -> None:
    """Attributes of three people, in both forms."""
    columns = [column for column, _ in attributes.PLAIN.values()]
    columns += [start + c for start, colours in attributes.COLOURS.values() for c in colours]
    with open(folder / "a.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *columns])
        writer.writerows([n, *[1] * len(columns)] for n in (2, 7, 11))
    part = {**{column: [1, 1, 1] for column in columns}, "image_index": np.array(["2", "7", "9"], object)}
    scipy.io.savemat(folder / "a.mat", {"market_attribute": {"train": part}})


def split_mat(folder: Path) -> None:
    """CUHK03 as pictures in one folder, with its split file."""
    people = ((1, 1), (1, 843), (2, 1), (5, 49))
    names = [cuhk03.file_name(pair, person, i) for pair, person in people for i in (1, 6, 7)]
    for n, name in enumerate(names):
        picture(folder / "set" / name, n)
    columns = {
        "filelist": np.array(names, object), "labels": np.repeat([1, 843, 844, 1467], 3),
        "camId": np.tile([1, 2, 2], 4), "train_idx": np.arange(1, 7),
        "query_idx": np.array([7, 8, 10, 11]), "gallery_idx": np.array([9, 12]),
    }  # fmt: skip
    scipy.io.savemat(folder / "set" / "split.mat", {k: v[:, None] for k, v in columns.items()})


def results(folder: Path) -> None:
    """What the report of the city reads, and the settings of it."""
    for part in ("results", "pretrain", "validation"):
        if (ROOT / "data" / part).is_dir():
            shutil.copytree(ROOT / "data" / part, folder / "data" / part)
    for path in (folder / "data").rglob("*"):  # large ones are not read
        if path.suffix in (".npz", ".safetensors"):
            path.unlink()
    shutil.copyfile(ROOT / "data" / "crops_counts.json", folder / "data" / "crops_counts.json")
    shutil.copyfile(ROOT / "profiles" / "city.yaml", folder / "params.yaml")
    for name in ("random", "moco"):
        about = {"passerby": json.dumps({"source": "random, seed 0", "fresh": ["*"], "title": "x"})}
        path = folder / "data" / "init" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(safetensors_bytes({"a": np.zeros(1, np.float32)}, about))


def rehash(folder: Path) -> None:
    """Write into a model's card the hash of the weights that lie there: others were put there."""
    card = yaml.safe_load((folder / artifact.CARD).read_text())
    weights = next(p for p in folder.iterdir() if p.name.startswith("weights."))
    card["hashes"]["weights"] = files.sha256(weights)
    (folder / artifact.CARD).write_text(yaml.safe_dump(card))
