"""Labelled sets in every layout, and how they are read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import samples
from damaging import Rng, odd_text
from readers import Read

from passerby import files
from passerby.crops import images as crop_images
from passerby.datasets import counts, cuhk03_testsets, fractions, index
from passerby.settings import BenchmarkSource, Crops


def of_kind(kind: str, **more: str) -> Read:
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


def set_of_names(*names: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for n, name in enumerate(names):
            samples.picture(folder / "set" / name, n)

    return make


def with_manifest(make: Callable[[Path], None], **wanted: int) -> Callable[[Path], None]:
    def whole(folder: Path) -> None:
        make(folder)
        files.write_json(
            folder / "counts.json", {"format": counts.MANIFEST, "counts": {"mine": wanted}}
        )

    return whole


MARKET = set_of_names(
    "bounding_box_train/0002_c1s1_000451_03.jpg", "bounding_box_train/0002_c2s1_000551_01.jpg",
    "query/0001_c1s1_001051_00.jpg", "bounding_box_test/0001_c2s1_000301_02.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
)  # fmt: skip


CUHK03_NP = set_of_names(
    "bounding_box_train/0002_c1_1.png", "query/0001_c1_1.png", "bounding_box_test/0001_c2_1.png"
)


CUHK01 = set_of_names(*(f"{person:04}{image:03}.png" for person in (1, 2) for image in (1, 3)))


def msmt17(folder: Path) -> None:
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


def table(folder: Path) -> None:
    samples.pictures(folder / "set")
    lines = [
        "path,person,split,camera",
        "a.png,x,query,1",
        "b.jpg,x,gallery,2",
        "a.png,x,gallery,1",
    ]
    (folder / "set" / "labels.csv").write_text("\n".join(lines) + "\n")


def people(folder: Path) -> None:
    samples.people_set(folder)
    (folder / "people").rename(folder / "set")


def renamed(path: Path, rng: Rng) -> None:
    """Another name for a picture of a set."""
    name = odd_text(rng).replace("/", "_")[:200].encode("utf-8", "surrogateescape")
    new = path.parent / (name.decode("utf-8", "surrogateescape") + path.suffix)
    if "\0" not in str(new):
        path.rename(new)


def indexed(folder: Path) -> None:
    people(folder)
    source = BenchmarkSource(kind="folder", root=str(folder / "set"))
    index.build("mine", source).write(folder / "mine.tsv")
    for kind, lines in (("ids", ["1", "2", "3"]), ("ims", [])):
        (folder / kind).mkdir()
        (folder / kind / "used_people_1.00.txt").write_text("\n".join(lines) + "\n")
    listed = [r.path for r in index.read(folder / "mine.tsv", folder / "set").rows]
    text = "".join(f"{p.rpartition('/')[2]}; 0; 0\n" for p in listed if p.startswith("train"))
    (folder / "ims" / "used_people_1.00.txt").write_text(text)


def shared(kind: str) -> Read:
    def read(inside: Path, path: Path) -> Any:
        made = index.read(inside / "mine.tsv", inside / "set")
        made = dataclasses.replace(made, header={"name": "mine", "kind": "market1501"})
        draw = fractions.labelled_people if kind == "ids" else fractions.labelled_images
        return draw(made, 100, 0, str(inside / kind))

    return read


def unlabelled(inside: Path, path: Path) -> Any:
    found = crop_images.from_benchmark(inside / "mine.tsv", inside / "set", Crops())
    return [found.jpegs, found.columns]


def test_sets(folder: Path) -> None:
    cuhk03_testsets.write(folder / "testsets.tsv", [[(1, 1), (2, 1)], [(3, 1), (5, 1)]])
