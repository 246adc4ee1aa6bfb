"""A target for every reader of files from outside, with whole input and damage of its kind."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damage
import numpy as np
import samples
import torch
from cases import Case, Target, no_complaint
from damage import Rng, odd_text

from passerby import files, judging, settings
from passerby.crops import images as crop_images
from passerby.crops.store import CropStore
from passerby.datasets import (
    attributes,
    counts,
    cuhk03_mat,
    cuhk03_testsets,
    fractions,
    index,
)
from passerby.images import read_image
from passerby.models import adopt, embed, init_file, torch_features, transfer
from passerby.models.embedder import Embedder
from passerby.report import label_curves, outcomes, record, rows, tables, why
from passerby.settings import BenchmarkSource, Crops, Detect
from passerby.settings import profile as profiles
from passerby.video import (
    decode,
    detections,
    detectors,
    ledger,
    listing,
    people,
    pickles,
    sequence,
    ultralytic,
)

Read = Callable[[Path, Path], Any]
"""From the folder of the input and the file that was damaged."""
WHOLE, NODE, ODD = 0.03, 0.15, 0.5
"""Shares of the cases, summed up: whole input, no ordinary file, odd input made on purpose."""


def reader(
    name: str,
    covers: tuple[str, ...],
    make: Callable[[Path], None],
    file: str,
    read: Read,
    odd: Callable[..., Any] | None = None,
    text: bool = False,
    check: Callable[[Any], str | None] = no_complaint,
    then: Callable[[Path], None] | None = None,
) -> Target:
    """The target of one reader.

    Args:
        name: Of the reader.
        covers: Modules whose reading it tries.
        make: Writes whole input.
        file: What is damaged: a pattern below the input's folder, one of those that match.
        read: Reads it.
        odd: Odd input of this kind: bytes from a stream, or a change of a path by a stream.
        text: Whether it is a text.
        check: What is wrong with a result, or nothing.
        then: What is done to the damaged input before it is read.
    """

    def begin(folder: Path, rng: Rng) -> Case:
        inside = folder / "in"
        found = sorted(inside.glob(file))
        path = found[int(rng.integers(len(found)))]
        what = spoil(path, folder / "outside", rng, odd, text)
        if then is not None and path.is_file():
            then(inside)
        return Case(f"{path.relative_to(inside)}: {what}", lambda: read(inside, path), check)

    def whole(folder: Path) -> Case:
        inside = folder / "in"
        path = sorted(inside.glob(file))[0]
        return Case("whole input", lambda: read(inside, path), check)

    return Target(f"reader {name}", covers, make, begin, whole)


def spoil(
    path: Path, outside: Path, rng: Rng, odd: Callable[..., Any] | None, text: bool
) -> str:
    """Damage a file, or put something else in its place; says what."""
    share = rng.random()
    data = path.read_bytes()
    if share < WHOLE:
        return "whole"
    if share < NODE:
        return damage.put_node(path, outside, rng, data)
    if share < ODD and odd is not None:
        if len(inspect.signature(odd).parameters) == 2:
            damage.replace(path, data)  # a file of its own, to be changed in place
            odd(path, rng)
        else:
            damage.replace(path, odd(rng))
        return odd.__name__
    made, what = (damage.damaged_text if text else damage.damaged)(data, rng)
    damage.replace(path, made)
    return what


def finite(result: Any) -> str | None:
    """Complain of arrays that are not finite."""
    arrays = result.values() if isinstance(result, dict) else [result]
    for array in arrays:
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and not np.isfinite(array).all():
            return "not finite: an array"
    return None


def an_image(result: Any) -> str | None:
    """Complain of what is no picture."""
    good = result.dtype == np.uint8 and result.ndim == 3 and result.shape[2] == 3 and result.size
    return None if good else f"no picture: {result.dtype} {result.shape}"


def _assessed(path: Path, queries: int | None = None) -> dict[str, Any]:
    result, arrays = judging.assess(path, queries, "market1501", "cosine", False)
    figures = np.array([result.map, result.ranking.cmc(1)])
    return {"figures": figures, **arrays}


def _adopted(inside: Path, path: Path) -> np.ndarray:
    out = inside.parent / "out" / "model"
    adopt.adopt(path, out, samples.HEIGHT, samples.WIDTH)
    pair = [samples.pixels(0), samples.pixels(1)]
    return Embedder.load(out).embed(pair)


def _two_rows(result: np.ndarray) -> str | None:
    return finite(result) or (None if len(result) == 2 else f"rows: {len(result)} of 2")


def _embedded(inside: Path, path: Path) -> np.ndarray:
    return Embedder.load(inside / "model").embed([samples.pixels(0), samples.pixels(1)])


def _rehash(inside: Path) -> None:
    """Let the card have the hash of the damaged weights: it would refuse them for that alone."""
    samples.rehash(inside / "model")


def _of_kind(kind: str, **more: str) -> Read:
    def read(inside: Path, path: Path) -> Any:
        source = BenchmarkSource(kind=kind, root=str(inside / "set"), **more)  # type: ignore[arg-type]
        manifest = inside / "counts.json"
        if manifest.exists():
            source = source.model_copy(update={"counts": str(manifest)})
        made = index.build("mine", source)
        made.write(inside.parent / "out" / "mine.tsv")
        again = index.read(inside.parent / "out" / "mine.tsv", inside / "set")
        return [again.rows, again.hashes]

    return read


def _set_of_names(*names: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for n, name in enumerate(names):
            samples.picture(folder / "set" / name, n)

    return make


def _with_manifest(make: Callable[[Path], None], **wanted: int) -> Callable[[Path], None]:
    def whole(folder: Path) -> None:
        make(folder)
        files.write_json(
            folder / "counts.json", {"format": counts.MANIFEST, "counts": {"mine": wanted}}
        )

    return whole


MARKET = _set_of_names(
    "bounding_box_train/0002_c1s1_000451_03.jpg", "bounding_box_train/0002_c2s1_000551_01.jpg",
    "query/0001_c1s1_001051_00.jpg", "bounding_box_test/0001_c2s1_000301_02.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
)  # fmt: skip
CUHK03_NP = _set_of_names(
    "bounding_box_train/0002_c1_1.png", "query/0001_c1_1.png", "bounding_box_test/0001_c2_1.png"
)
CUHK01 = _set_of_names(*(f"{person:04}{image:03}.png" for person in (1, 2) for image in (1, 3)))


def _msmt17(folder: Path) -> None:
    names = {
        "list_train.txt": ["train/0000/0000_000_01_0303morning_0008_0.jpg 0"],
        "list_val.txt": ["train/0000/0000_001_02_0303morning_0018_0.jpg 0"],
        "list_query.txt": ["test/0000/0000_000_01_0303noon_0008_0.jpg 0"],
        "list_gallery.txt": ["test/0000/0000_001_02_0303noon_0018_0.jpg 0"],
    }
    for name, lines in names.items():
        for n, line in enumerate(lines):
            samples.picture(folder / "set" / line.split()[0], n + len(name))
        part = "train/" if "train" in name or "val" in name else "test/"
        text = "\n".join(line.removeprefix(part) for line in lines) + "\n"
        (folder / "set" / name).write_text(text)


def _table(folder: Path) -> None:
    samples.pictures(folder / "set")
    lines = ["path,person,split,camera", "a.png,x,query,1", "b.jpg,x,gallery,2", "a.png,x,gallery,1"]
    (folder / "set" / "labels.csv").write_text("\n".join(lines) + "\n")


def _people(folder: Path) -> None:
    samples.people_set(folder)
    (folder / "people").rename(folder / "set")


def _renamed(path: Path, rng: Rng) -> None:
    """Another name for a picture of a set."""
    name = odd_text(rng).replace("/", "_")[:200].encode("utf-8", "surrogateescape")
    new = path.parent / (name.decode("utf-8", "surrogateescape") + path.suffix)
    if "\0" not in str(new):
        path.rename(new)


def _index(folder: Path) -> None:
    _people(folder)
    source = BenchmarkSource(kind="folder", root=str(folder / "set"))
    index.build("mine", source).write(folder / "mine.tsv")
    for kind, lines in (("ids", ["1", "2", "3"]), ("ims", [])):
        (folder / kind).mkdir()
        (folder / kind / "used_people_1.00.txt").write_text("\n".join(lines) + "\n")
    listed = [r.path for r in index.read(folder / "mine.tsv", folder / "set").rows]
    text = "".join(f"{p.rpartition('/')[2]}; 0; 0\n" for p in listed if p.startswith("train"))
    (folder / "ims" / "used_people_1.00.txt").write_text(text)


def _shared(kind: str) -> Read:
    def read(inside: Path, path: Path) -> Any:
        made = index.read(inside / "mine.tsv", inside / "set")
        made = dataclasses.replace(made, header={"name": "mine", "kind": "market1501"})
        draw = fractions.labelled_people if kind == "ids" else fractions.labelled_images
        return draw(made, 100, 0, str(inside / kind))

    return read


def _unlabelled(inside: Path, path: Path) -> Any:
    found = crop_images.from_benchmark(inside / "mine.tsv", inside / "set", Crops())
    return [found.jpegs, found.columns]


def _stored(inside: Path, path: Path) -> Any:
    from passerby.crops import verbs

    said = verbs.info(path)
    store = CropStore(path)
    store.verify()
    return [said, [store.image(i) for i in range(len(store))]]


def _cuhk03_testsets(folder: Path) -> None:
    cuhk03_testsets.write(folder / "testsets.tsv", [[(1, 1), (2, 1)], [(3, 1), (5, 1)]])


def _video(folder: Path) -> None:
    samples.frames(folder)
    sequence.pack(folder / "frames", folder / "a.mp4", 5)


PLAYLIST = b"ffconcat version 1.0\nfile '../outside/secret.txt'\n"


def _odd_video(rng: Rng) -> bytes:
    address = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    pictures = (samples.odd_picture(rng), samples.odd_npz(rng))
    return bytes(damage.one(rng, (PLAYLIST, address, *pictures)))  # type: ignore[call-overload]


def _decoded(inside: Path, path: Path) -> Any:
    video = decode.VideoReader(path)
    return [video.info, list(video.frames()), [str(run) for run in video.damaged]]


def _detections(folder: Path) -> None:
    found = {"a+b+c": detections.boxes([0, 1], [[0, 0, 9, 9], [1, 1, 8, 8]])}
    detections.write(folder / "d.parquet", detections.joined(found, {"a+b+c": (64, 48)}, "pickles"))


def _ledger(folder: Path) -> None:
    row = ledger.Row("a+b+c", "ok", 10, 4, 25.0, 64, 48, "ab" * 32)
    ledger.write(folder / "videos.tsv", [row, ledger.Row("a+b+d", "removed", reason="HTTP 404")])


def _yolox(folder: Path) -> None:
    samples.yolox(folder / "x.onnx")


def _detector(method: str) -> Read:
    def read(inside: Path, path: Path) -> Any:
        hashed = files.sha256(path) if path.is_file() else ""
        section = Detect(method=method, model=str(path), model_sha256=hashed)  # type: ignore[arg-type]
        detectors.make(section)
        return None

    return read


def table_of_results(folder: Path) -> None:
    head = "model\tinit\trecipe\tpercent\tseed\tset\tmAP\n"
    lines = [f"m-a-{p}-0\tm\ta\t{p}\t0\town\t0.{p}\n" for p in (10, 30)]
    (folder / "t.tsv").write_text(head + "".join(lines))


def _plotted(inside: Path, path: Path) -> Any:
    found = label_curves.read([path])
    label_curves.draw(found)
    return [found, record.read(path)]


def _reported(inside: Path, path: Path) -> Any:
    params, data = settings.read(inside / "params.yaml"), inside / "data"
    found = outcomes.read(data / "results", params.branches)
    table = rows.rows(found, params)
    gained = rows.gains(table, params)
    histories = why.histories(data / "pretrain", params)
    watched = why.monitors(data / "pretrain", params)
    shown = [
        *(tables.results(table, gained, params, name) for name in rows.sets(params)),
        *(tables.verified(table, params, name) for name in rows.sets(params)),
        why.starts(data / "init", params),
        why.arms(histories, watched, params),
        why.crops(data / "crops_counts.json"),
        why.sets(table, params),
    ]
    curves = [one.curve(name) for one in found[:2] for name in ("roc", "cmc", "distances")]
    return [[(one.html(), one.markdown()) for one in shown], curves]


def _finite_settings(result: Any) -> str | None:
    """Complain of numbers in the settings that are not finite."""
    waiting = [result.model_dump()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, float) and not np.isfinite(value):
            return f"not finite: a setting is {value}"
        if isinstance(value, dict | list | tuple):
            waiting += value.values() if isinstance(value, dict) else value
    return None


def _city(folder: Path) -> None:
    text = (samples.ROOT / "profiles" / "city.yaml").read_bytes()
    (folder / "params.yaml").write_bytes(text)


def profile_files(folder: Path) -> None:
    for path in (samples.ROOT / "profiles").glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())


def odd_yaml(path: Path, rng: Rng) -> None:
    """An odd value, key or structure at any place of a YAML file."""
    import yaml

    if rng.random() < 0.2:
        damage.replace(path, str(damage.one(rng, samples.YAML_BOMBS)).encode("utf-8", "replace"))
        return
    values = yaml.safe_load(path.read_bytes())
    place: Any = values
    while True:
        key = damage.one(rng, [*place] if isinstance(place, dict) else range(len(place)))
        inner = place[key]  # type: ignore[index]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.15:
            break
        place = inner
    number = damage.odd_number(rng)
    odd: tuple[Any, ...] = (
        "@", "@", "@", odd_text(rng), odd_text(rng), None, [], {}, True, [[]], {"a": {}}, float("nan"),
        float("inf"), -1, 0, 1e400, 2**70, [odd_text(rng)], "0" * 10_000,
    )  # fmt: skip
    place[key] = damage.one(rng, odd)  # type: ignore[index]
    text = yaml.safe_dump(values, sort_keys=False).replace("'@'", number or "''", 1)
    if rng.random() < 0.1:
        text += f"\n{key}: {number or 1}\n"
    damage.replace(path, text.encode("utf-8", "replace"))


def every() -> list[Target]:
    """All of them."""
    r, s = reader, samples
    model = ("models.artifact", "models.networks", "models.init_file")
    rows_of = {"train_images": 2, "query_images": 1}
    return [
        r("picture", ("images",), s.pictures, "*.*", lambda _, p: read_image(p), s.odd_picture,
          check=an_image),
        r("npz features", ("evaluation.results", "evaluation.saved"), s.npz, "*.npz",
          lambda _, p: _assessed(p), s.odd_npz, check=finite),
        r("mat features", ("evaluation.saved",), s.mat, "*.mat", lambda _, p: _assessed(p), s.odd_mat,
          check=finite),
        r("npy features", ("evaluation.saved",), s.npy_folder, "*/*.npy", lambda i, _: _assessed(i),
          _renamed, check=finite),
        r("pth features", ("models.torch_features",), s.pth, "*.pth", lambda _, p: _assessed(p, 6),
          s.odd_pth, check=finite),
        r("onnx network", ("models.export", "models.networks"), s.onnx_file, "*.onnx", _adopted,
          s.odd_onnx, check=_two_rows),
        r("model card", model, s.model, "model/model.yaml", _embedded, odd_yaml, True, _two_rows),
        r("onnx weights", model, s.model, "model/weights.onnx", _embedded, s.odd_onnx,
          check=_two_rows, then=_rehash),
        r("safetensors weights", model, s.resnet, "model/weights.safetensors", _embedded,
          s.odd_safetensors, check=_two_rows, then=_rehash),
        r("safetensors", ("models.init_file",), _small_safetensors, "*.safetensors",
          lambda _, p: init_file.read(p), s.odd_safetensors),
        r("torch weights", ("models.transfer",), _small_pth, "*.pth", _transferred, s.odd_pth),
        r("list of pictures", ("models.embed",), s.picture_list, "list.txt",
          lambda _, p: embed.pictures(p), text=True),
        r("market1501", ("datasets.index", "datasets.rows"), _with_manifest(MARKET, **rows_of),
          "set/*/*", _of_kind("market1501", counts="x.json"), _renamed),
        r("cuhk03-np", ("datasets.index",), _with_manifest(CUHK03_NP, query_images=1), "set/*/*",
          _of_kind("cuhk03-np", counts="x.json"), _renamed),
        r("cuhk01", ("datasets.index",), _with_manifest(CUHK01, images=4), "set/*",
          _of_kind("cuhk01", counts="x.json"), _renamed),
        r("cuhk03 split", ("datasets.matlab",), _with_manifest(s.split_mat, query_images=4),
          "set/split.mat", _of_kind("cuhk03", counts="x.json", split_file="split.mat"), s.odd_mat),
        r("msmt17 lists", ("datasets.msmt17",), _with_manifest(_msmt17, query_images=1), "set/*.txt",
          _of_kind("msmt17", counts="x.json"), text=True),
        r("folder set", ("datasets.index",), _people, "set/*/*/*", _of_kind("folder"), _renamed),
        r("table set", ("datasets.table",), _table, "set/labels.csv", _of_kind("csv"), text=True),
        r("manifest of counts", ("datasets.counts", "files"), _with_manifest(MARKET, **rows_of),
          "counts.json", _of_kind("market1501", counts="x.json"), text=True),
        r("index of a set", ("datasets.index",), _index, "mine.tsv",
          lambda i, p: index.read(p, i / "set"), text=True),
        r("list of people", ("datasets.fractions",), _index, "ids/*.txt", _shared("ids"), text=True),
        r("list of images", ("datasets.fractions",), _index, "ims/*.txt", _shared("ims"), text=True),
        r("unlabelled pictures", ("crops.images",), _index, "set/train/*/*", _unlabelled,
          s.odd_picture),
        r("attributes csv", ("datasets.attributes",), s.attribute_files, "a.csv",
          lambda _, p: attributes.read(p), text=True),
        r("attributes mat", ("datasets.matlab",), s.attribute_files, "a.mat",
          lambda _, p: attributes.read(p), s.odd_mat),
        r("cuhk03 testsets", ("datasets.cuhk03_testsets",), _cuhk03_testsets, "*.tsv",
          lambda _, p: cuhk03_testsets.read(p), text=True),
        r("cuhk-03.mat", ("datasets.cuhk03_mat",), s.hdf5, "*.mat",
          lambda i, p: cuhk03_mat.extract(p, i.parent / "out" / "cuhk03"), s.odd_hdf5),
        r("crop store", ("crops.store",), s.store, "*.lmdb", _stored, s.odd_header),
        r("list of videos", ("video.listing",), _list, "list.txt", lambda _, p: listing.read(p),
          text=True),
        r("pickle of detections", ("video.unpickle", "video.pickles"), s.pickled, "x.pkl",
          lambda _, p: pickles.read(p, 0, True, decode.VideoInfo(9, 25, 640, 480)), s.odd_pickle),
        r("detections", ("video.detections",), _detections, "*.parquet",
          lambda _, p: detections.read(p)),
        r("ledger of videos", ("video.ledger",), _ledger, "*.tsv", lambda _, p: ledger.read(p),
          text=True),
        r("people of tracks", ("video.people",), _tracked, "people.tsv", lambda _, p: people.read(p),
          text=True),
        r("video", ("video.decode", "video.packets"), _video, "a.mp4", _decoded, _odd_video),
        r("numbered pictures", ("video.sequence",), s.frames, "frames/*",
          lambda i, _: sequence.pack(i / "frames", i.parent / "out" / "a.mp4", 5), s.odd_picture),
        r("yolox", ("video.yolox",), _yolox, "x.onnx", _detector("yolox"), s.odd_onnx),
        r("ultralytics", ("video.ultralytic",), _yolo, "*.pt", _detector("ultralytics"),
          s.odd_pth),
        r("table of results", ("report.record",), table_of_results, "t.tsv", _plotted, text=True),
        r("results of the report", ("report.outcomes",), s.results, "data/results/*/*", _reported,
          text=True),
        r("histories of the report", ("report.outcomes",), s.results, "data/pretrain/*/*", _reported,
          text=True),
        r("starts of the report", ("report.why",), s.results, "data/init/*", _reported,
          s.odd_safetensors),
        r("counts of the report", ("report.why",), s.results, "data/crops_counts.json", _reported,
          text=True),
        r("settings", ("settings.read",), _city, "params.yaml", lambda _, p: settings.read(p),
          odd_yaml, True, _finite_settings),
        r("profiles", ("settings.profile",), profile_files, "tiny.yaml",
          lambda i, _: profiles.compose("tiny", i), odd_yaml, True),
    ]  # fmt: skip


def _small_safetensors(folder: Path) -> None:
    header = init_file.InitHeader.of(settings.Encoder(), "random, seed 0")
    init_file.write(folder / "a.safetensors", {"a": torch.zeros(2, 2)}, header)


def _small_pth(folder: Path) -> None:
    torch.save({"state_dict": {"module.encoder_q.a": torch.zeros(2)}, "epoch": 3}, folder / "a.pth")


def _yolo(folder: Path) -> None:
    made = ultralytic._imported(folder.parent / "home", offline=True)("yolo11n.yaml")
    made.model.names = {0: "person"}
    made.save(folder / "a.pt")


def _transferred(inside: Path, path: Path) -> Any:
    raw, header = transfer.read_raw(path)
    return [header, sorted(transfer.backbone_state(raw))]


def _list(folder: Path) -> None:
    (folder / "list.txt").write_text("peru+lima+-a_b\nperu+lima+cd\nde+bonn+x\n")


def _tracked(folder: Path) -> None:
    (folder / "people.tsv").write_text(people.text([("a+b+c", 1, 5), ("a+b+d", 2, 6)]))
