"""Every reader of files from outside, with whole input, and how it is read."""

from pathlib import Path
from typing import Any

import damaging
import numpy as np
import odd
import samples
import sets
import torch
from cases import Target
from damaging import Rng
from readers import Read, an_image, finite, no_secret, reader

from passerby import files, judging, settings
from passerby.crops.store import CropStore
from passerby.datasets import attributes, cuhk03_mat, cuhk03_testsets, index
from passerby.images import read_image
from passerby.models import adopt, embed, init_file, transfer
from passerby.models.embedder import Embedder
from passerby.report import label_curves, outcomes, record, rows, tables, why
from passerby.settings import Detect
from passerby.settings import profile as profiles
from passerby.video import (
    cookies,
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


def _stored(inside: Path, path: Path) -> Any:
    from passerby.crops import verbs

    said = verbs.info(path)
    store = CropStore(path)
    store.verify()
    return [said, [store.image(i) for i in range(len(store))]]


def _video(folder: Path) -> None:
    samples.frames(folder)
    sequence.pack(folder / "frames", folder / "a.mp4", 5)


PLAYLIST = b"ffconcat version 1.0\nfile '../outside/secret.txt'\n"


def _odd_video(rng: Rng) -> bytes:
    address = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    pictures = (odd.odd_picture(rng), odd.odd_npz(rng))
    return bytes(damaging.one(rng, (PLAYLIST, address, *pictures)))  # type: ignore[call-overload]


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


def every() -> list[Target]:
    """All of them."""
    r, s = reader, samples
    model = ("models.artifact", "models.networks", "models.init_file")
    rows_of = {"train_images": 2, "query_images": 1}
    return [
        r("picture", ("images",), s.pictures, "*.*", lambda _, p: read_image(p), odd.odd_picture,
          check=an_image),
        r("npz features", ("evaluation.results", "evaluation.saved", "foreign.arrays"), s.npz,
          "*.npz", lambda _, p: _assessed(p), odd.odd_npz, check=finite),
        r("mat features", ("evaluation.saved", "foreign.matlab"), s.mat, "*.mat",
          lambda _, p: _assessed(p),
          odd.odd_mat,
          check=finite),
        r("npy features", ("evaluation.saved", "foreign.opening"), s.npy_folder, "*/*.npy",
          lambda i, _: _assessed(i),
          sets.renamed, check=finite),
        r("pth features", ("models.torch_features", "foreign.tensors"), s.pth, "*.pth",
          lambda _, p: _assessed(p, 6),
          odd.odd_pth, check=finite),
        r("onnx network", ("models.export", "models.onnx_run", "onnx_file", "isolation"),
          s.onnx_file, "*.onnx", _adopted,
          odd.odd_onnx, check=_two_rows),
        r("model card", model, s.model, "model/model.yaml", _embedded, odd.odd_yaml, True,
          _two_rows),
        r("onnx weights", model, s.model, "model/weights.onnx", _embedded, odd.odd_onnx,
          check=_two_rows, then=_rehash),
        r("safetensors weights", model, s.resnet, "model/weights.safetensors", _embedded,
          odd.odd_safetensors, check=_two_rows, then=_rehash),
        r("safetensors", ("models.init_file",), _small_safetensors, "*.safetensors",
          lambda _, p: init_file.read(p), odd.odd_safetensors),
        r("torch weights", ("models.transfer",), _small_pth, "*.pth", _transferred, odd.odd_pth),
        r("list of pictures", ("models.embed",), s.picture_list, "list.txt",
          lambda _, p: embed.pictures(p), text=True),
        r("market1501", ("datasets.index", "datasets.rows"), sets.with_manifest(sets.MARKET,
          **rows_of),
          "set/*/*", sets.of_kind("market1501", counts="x.json"), sets.renamed),
        r("cuhk03-np", ("datasets.index",), sets.with_manifest(sets.CUHK03_NP, query_images=1),
          "set/*/*",
          sets.of_kind("cuhk03-np", counts="x.json"), sets.renamed),
        r("cuhk01", ("datasets.index",), sets.with_manifest(sets.CUHK01, images=4), "set/*",
          sets.of_kind("cuhk01", counts="x.json"), sets.renamed),
        r("cuhk03 split", ("foreign.matlab",), sets.with_manifest(s.split_mat, query_images=4),
          "set/split.mat", sets.of_kind("cuhk03", counts="x.json", split_file="split.mat"),
          odd.odd_mat),
        r("msmt17 lists", ("datasets.msmt17",), sets.with_manifest(sets.msmt17, query_images=1),
          "set/*.txt",
          sets.of_kind("msmt17", counts="x.json"), text=True),
        r("folder set", ("datasets.index",), sets.people, "set/*/*/*", sets.of_kind("folder"),
          sets.renamed),
        r("table set", ("datasets.table",), sets.table, "set/labels.csv", sets.of_kind("csv"),
          text=True),
        r("manifest of counts", ("datasets.counts", "files", "foreign.texts"),
          sets.with_manifest(sets.MARKET, **rows_of),
          "counts.json", sets.of_kind("market1501", counts="x.json"), text=True),
        r("index of a set", ("datasets.index",), sets.indexed, "mine.tsv",
          lambda i, p: index.read(p, i / "set"), text=True),
        r("list of people", ("datasets.fractions",), sets.indexed, "ids/*.txt",
          sets.shared("ids"), text=True),
        r("list of images", ("datasets.fractions",), sets.indexed, "ims/*.txt",
          sets.shared("ims"), text=True),
        r("unlabelled pictures", ("crops.images",), sets.indexed, "set/train/*/*", sets.unlabelled,
          odd.odd_picture),
        r("attributes csv", ("datasets.attributes",), s.attribute_files, "a.csv",
          lambda _, p: attributes.read(p), text=True),
        r("attributes mat", ("foreign.matlab",), s.attribute_files, "a.mat",
          lambda _, p: attributes.read(p), odd.odd_mat),
        r("cuhk03 testsets", ("datasets.cuhk03_testsets",), sets.test_sets, "*.tsv",
          lambda _, p: cuhk03_testsets.read(p), text=True),
        r("cuhk-03.mat", ("datasets.cuhk03_mat", "datasets.hdf5"), s.hdf5, "*.mat",
          lambda i, p: (cuhk03_mat.extract(p, i.parent / "out" / "cuhk03"), i.parent / "out"),
          odd.odd_hdf5, check=lambda result: no_secret(result[1])),
        r("crop store", ("crops.store",), s.store, "*.lmdb", _stored, odd.odd_header),
        r("cookies", ("video.cookies",), _cookies, "cookies.txt", lambda _, p: cookies.read(p),
          text=True),
        r("list of videos", ("video.listing",), _list, "list.txt", lambda _, p: listing.read(p),
          text=True),
        r("pickle of detections", ("video.unpickle", "video.pickles"), s.pickled, "x.pkl",
          lambda _, p: pickles.read(p, 0, True, decode.VideoInfo(9, 25, 640, 480)), odd.odd_pickle),
        r("detections", ("video.detections",), _detections, "*.parquet",
          lambda _, p: detections.read(p)),
        r("ledger of videos", ("video.ledger",), _ledger, "*.tsv", lambda _, p: ledger.read(p),
          text=True),
        r("people of tracks", ("video.people",), _tracked, "people.tsv", lambda _,
          p: people.read(p),
          text=True),
        r("video", ("video.decode", "video.packets"), _video, "a.mp4", _decoded, _odd_video),
        r("numbered pictures", ("video.sequence",), s.frames, "frames/*",
          lambda i, _: sequence.pack(i / "frames", i.parent / "out" / "a.mp4", 5), odd.odd_picture),
        r("yolox", ("video.yolox",), _yolox, "x.onnx", _detector("yolox"), odd.odd_onnx),
        r("ultralytics", ("video.ultralytic",), _yolo, "*.pt", _detector("ultralytics"),
          odd.odd_pth),
        r("table of results", ("report.record",), table_of_results, "t.tsv", _plotted, text=True),
        r("results of the report", ("report.outcomes", "report.told"), s.results,
          "data/results/*/*", _reported,
          text=True),
        r("histories of the report", ("report.outcomes",), s.results, "data/pretrain/*/*",
          _reported,
          text=True),
        r("starts of the report", ("report.why",), s.results, "data/init/*", _reported,
          odd.odd_safetensors),
        r("counts of the report", ("report.told",), s.results, "data/crops_counts.json", _reported,
          text=True),
        r("settings", ("settings.read",), _city, "params.yaml", lambda _, p: settings.read(p),
          odd.odd_yaml, True, _finite_settings),
        r("profiles", ("settings.profile",), profile_files, "tiny.yaml",
          lambda i, _: profiles.compose("tiny", i), odd.odd_yaml, True),
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


def _cookies(folder: Path) -> None:
    line = ".example.org\tTRUE\t/\tTRUE\t2147483647\tname\tvalue\n"
    (folder / "cookies.txt").write_text(f"# Netscape HTTP Cookie File\n{line}")


def _tracked(folder: Path) -> None:
    (folder / "people.tsv").write_text(people.text([("a+b+c", 1, 5), ("a+b+d", 2, 6)]))
