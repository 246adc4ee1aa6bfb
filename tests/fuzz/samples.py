"""Whole input of every kind, small, and odd input of some kinds that no flip of bits would give."""

import csv
import json
import pickle
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import scipy.io
import torch
import yaml
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


def mat(folder: Path) -> None:
    """Features as layumi's project saves them."""
    scipy.io.savemat(folder / "features.mat", features())


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
    torch.save(batches(), folder / "features.pth")


def batches() -> list[dict[str, Any]]:
    arrays = features()
    whole = [
        np.concatenate([arrays[f"{side}_{key}"] for side in ("query", "gallery")])
        for key in ("features", "people", "cameras")
    ]
    return [
        {"feats": torch.from_numpy(whole[0][i : i + 8]),
        "pids": torch.from_numpy(whole[1][i : i + 8]),
         "camids": torch.from_numpy(whole[2][i : i + 8])}
        for i in (0, 8)
    ]  # fmt: skip


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
                    picture(folder / "people" / name, zlib.crc32(name.encode()))
    values = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    values["benchmarks"]["mine"] = {"kind": "folder", "root": "../../in/people"}
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


def pickled(folder: Path) -> None:
    """LUPerson-NL's detections of one video."""
    (folder / "x.pkl").write_bytes(pickle.dumps(boxes()))


def boxes() -> dict[int, Any]:
    def element(n: int) -> list[Any]:
        box = np.array([10.0 + n, 10, 50 + n, 90], np.float32)
        return [n, {"bbox": box, "conf": 0.75, "pid": n}]

    return {frame: [element(n) for n in range(3)] for frame in range(4)}


def attribute_files(folder: Path) -> None:
    """Attributes of three people, in both forms."""
    columns = [column for column, _ in attributes.PLAIN.values()]
    columns += [start + c for start, colours in attributes.COLOURS.values() for c in colours]
    with open(folder / "a.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *columns])
        writer.writerows([n, *[1] * len(columns)] for n in (2, 7, 11))
    part = {
        **{column: [1, 1, 1] for column in columns},
        "image_index": np.array(["2", "7", "9"], object),
    }
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
