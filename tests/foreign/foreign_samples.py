"""A small good file of every kind that is read from outside, with the function that reads it."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
import torch
import yaml
from safetensors.torch import save_file

from passerby import settings
from passerby.crops import source
from passerby.crops.source import Source
from passerby.crops.store import CropStore, writing
from passerby.datasets import attributes, counts, cuhk03_testsets, index, msmt17, table
from passerby.evaluation import results, saved
from passerby.foreign import arrays, matlab, tensors, texts, yamls
from passerby.images import encoded
from passerby.models import artifact, embed, init_file, torch_features, transfer
from passerby.report import label_curves, outcomes, why
from passerby.settings import Encoder
from passerby.settings import profile as profiles
from passerby.video import detections, ledger, listing, people, pickles
from passerby.video.decode import VideoInfo
from passerby.video.detections import boxes

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str
    """Of the file."""
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]


def features() -> dict[str, np.ndarray]:
    """The six arrays of an evaluation."""
    rng = np.random.default_rng(0)
    sides = {"query": 3, "gallery": 5}
    return {
        **{f"{side}_features": rng.normal(size=(n, 4)) for side, n in sides.items()},
        **{f"{side}_people": np.arange(n) for side, n in sides.items()},
        **{f"{side}_cameras": np.ones(n, int) for side, n in sides.items()},
    }


def nested() -> dict[str, Any]:
    """What a MATLAB file can hold: numbers, texts, cells, a structure, nothing."""
    return {
        "numbers": np.arange(6.0).reshape(2, 3),
        "complex": np.ones(2) * 1j,
        "cells": np.array(["a", "longer"], object),
        "structure": {"x": np.arange(3), "y": "text"},
        "empty": np.zeros((0, 2)),
    }


def weights() -> dict[str, torch.Tensor]:
    return {"conv1.weight": torch.ones(2, 3), "half": torch.ones(2).bfloat16()}


def header() -> str:
    made = init_file.InitHeader.of(Encoder(), "random, seed 0")
    return json.dumps(made.model_dump(mode="json"))


def tensors_of(given: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(array) for name, array in given.items()}


def write_start(path: Path) -> None:
    save_file(weights(), path, metadata={"passerby": header()})


def write_detections(path: Path) -> None:
    part = {"a": boxes([1], [[0, 0, 9, 9]])}
    detections.write(path, detections.joined(part, {"a": (9, 9)}, "pickles"))


def read_boxes(path: Path) -> None:
    pickles.read(path, 0, True, INFO)


def write_store(path: Path) -> None:
    """Two sources of ten crops each."""
    with writing(path) as writer:
        for name in ("a+b+c", "d+e+f"):
            picture = encoded(np.full((32, 16, 3), 90, np.uint8), 90)
            columns = {key: np.arange(10).astype(dtype) for key, dtype in source.COLUMNS.items()}
            columns |= {"camera": np.zeros(10, np.int32), "box": np.zeros((10, 4), np.float32)}
            columns |= {"width": np.full(10, 16, np.int32), "height": np.full(10, 32, np.int32)}
            writer.add(Source(name, "video", (name,), 10, {}, [picture] * 10, columns))


def read_store(path: Path) -> None:
    """Open it, and verify it in whole."""
    CropStore(path).verify()


def detected() -> dict[int, Any]:
    box = np.array([4, 4, 20, 60], np.float32)
    return {n: [[0, {"bbox": box, "conf": np.float32(0.5), "pid": 3}]] for n in range(3)}


def write_attributes(path: Path) -> None:
    columns = [column for column, _ in attributes.PLAIN.values()]
    columns += [begin + name for begin, names in attributes.COLOURS.values() for name in names]
    rows = [["id", *columns], *([str(n)] + ["1"] * len(columns) for n in range(3))]
    path.write_text("\n".join(",".join(row) for row in rows))


def write_table(path: Path) -> None:
    (path.parent / "a.jpg").touch()
    path.write_text("path,person,split,camera\na.jpg,anna,train,1\n")


def write_lists(path: Path) -> None:
    """MSMT17's four lists and one picture; `path` is one of the lists."""
    name = "0000_000_01_0303morning_0008_0.jpg"
    (path.parent / "test").mkdir(exist_ok=True)
    (path.parent / "train" / "0000").mkdir(exist_ok=True, parents=True)
    (path.parent / "train" / "0000" / name).touch()
    for each in msmt17.LISTS:
        (path.parent / each).write_text("")
    path.write_text(f"0000/{name} 0\n")


def write_record(path: Path) -> None:
    path.write_text("model\tinit\trecipe\tpercent\tseed\tset\tmAP\nm\ti\tr\t10\t0\ts\t0.5\n")


def card() -> str:
    made = artifact.ModelCard.of(
        Encoder(), height_px=64, width_px=32, embedding_size=512, distance="cosine", trained_on="x"
    )
    return yaml.safe_dump(made.model_dump(mode="json", exclude_none=True))


def in_folder(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Reads the folder that the file lies in."""
    return lambda path: read(path.parent)


def _torch(value: Any, is_old: bool = False) -> Callable[[Path], Any]:
    return lambda path: torch.save(value, path, _use_new_zipfile_serialization=not is_old)


def _text(words: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(words)


def write_list(path: Path) -> None:
    """A list of pictures, which have to be there."""
    for name in ("a.jpg", "b.jpg"):
        path.with_name(name).touch()
    path.write_text("a.jpg\nb.jpg\n")


CITY = (ROOT / "profiles" / "city.yaml").read_text()
MANIFEST = '{"format": "passerby.world/1", "counts": {"x": {"images": 3}}}'
INDEX = (
    '# passerby.benchmark/1 {"name": "a", "kind": "folder"}\nhead\n'
    "train\ta.jpg\t1\t1\t0\t-1\t0123456789abcdef\n"
)
LEDGER_ROW = ledger.Row("a+b+c", "ok", 12, 3, 25.0, 96, 64, "ab")
INFO = VideoInfo(frames=100, fps=25.0, width=96, height=64)
KINDS = (
    Kind("array.npy", lambda path: np.save(path, np.arange(6.0).reshape(2, 3)), arrays.npy),
    Kind("plain.npz", lambda path: np.savez(path, **features()), arrays.npz),
    Kind("packed.npz", lambda path: np.savez_compressed(path, **features()), saved.read),
    Kind(
        "embeddings.npz",
        lambda path: results.write_embeddings(path, features()),
        results.read_embeddings,
    ),
    Kind("plain.mat", lambda path: scipy.io.savemat(path, nested()), matlab.read),
    Kind(
        "packed.mat",
        lambda path: scipy.io.savemat(path, features(), do_compression=True),
        saved.read,
    ),
    Kind("features.pth", _torch(tensors_of(features())), torch_features.read),
    Kind("weights.pth", _torch({"state_dict": weights(), "epoch": 3}), transfer.read_raw),
    Kind("old.pth", _torch({"model": weights()}, is_old=True), tensors.load),
    Kind("plain.safetensors", lambda path: save_file(weights(), path), tensors.safetensors),
    Kind("start.safetensors", write_start, init_file.read),
    Kind("shown.safetensors", write_start, why._header),
    Kind("boxes.pkl", lambda path: path.write_bytes(pickle.dumps(detected(), 2)), read_boxes),
    Kind("new.pkl", lambda path: path.write_bytes(pickle.dumps(detected())), read_boxes),
    Kind("params.yaml", _text(CITY), settings.read),
    Kind("any.yaml", _text("a: &x {b: 1.5}\nc: {<<: *x, d: [1, 2]}\n"), yamls.read),
    Kind("city.yaml", _text(CITY), in_folder(lambda folder: profiles.compose("city", folder))),
    Kind("model.yaml", _text(card()), in_folder(artifact.read_card)),
    Kind("any.json", _text('{"a": [1, 2.5, null], "b": {"c": "d"}}'), texts.json_file),
    Kind("manifest.json", _text(MANIFEST), lambda path: counts.wanted(str(path), "x")),
    Kind("list.txt", _text("peru+lima+a\nperu+lima+b\n"), listing.read),
    Kind("pictures.txt", write_list, embed.pictures),
    Kind("people.tsv", _text("video\ttrack\tperson\na+b+c\t1\t2\n"), people.read),
    Kind("videos.tsv", lambda path: ledger.write(path, [LEDGER_ROW]), ledger.read),
    Kind("labels.csv", write_table, in_folder(table.read)),
    Kind("attributes.csv", write_attributes, attributes.read),
    Kind(
        "testsets.tsv",
        lambda path: cuhk03_testsets.write(path, [[(1, 1), (2, 1)]]),
        cuhk03_testsets.read,
    ),
    Kind("list_val.txt", write_lists, in_folder(msmt17.read)),
    Kind("set.tsv", _text(INDEX), lambda path: index.read(path, path.parent)),
    Kind("roc.tsv", _text("fpr\ttpr\n0.5\t0.5\n"), outcomes.read_columns),
    Kind("record.tsv", write_record, lambda path: label_curves.read([path])),
    Kind("boxes.parquet", write_detections, detections.read),
    Kind(
        "other.parquet",
        lambda path: pq.write_table(pa.table({"video": ["a"]}), path),
        detections.read,
    ),
    Kind("crops.lmdb", write_store, read_store),
)


def put(path: Path, what: str) -> None:
    """Put something else in the place of a file; nothing, for `nothing`."""
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a device":
        path.symlink_to("/dev/zero")
    elif what == "a folder":
        path.mkdir()
    elif what == "an empty file":
        path.touch()
