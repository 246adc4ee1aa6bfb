"""How many images and people a labelled set must have.

A set with other counts is another set, and its figures stand beside nobody's: it is refused. The
published counts are of the real sets; the synthetic city's are in its manifest.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from passerby.datasets.rows import DISTRACTOR, JUNK, SPLITS, Row
from passerby.errors import BadInput, nearest
from passerby.files import read_json

MANIFEST = "passerby.world/1"

PUBLISHED: dict[str, dict[str, int]] = {
    # Its paper says 2,793 distractors; every copy of the files has 2,798.
    "market1501": {
        "train_images": 12_936,
        "train_people": 751,
        "query_images": 3_368,
        "query_people": 750,
        "gallery_images": 15_913,
        "junk_images": 3_819,
        "distractor_images": 2_798,
    },
    "cuhk03-np-detected": {
        "train_images": 7_365,
        "train_people": 767,
        "query_images": 1_400,
        "query_people": 700,
        "gallery_images": 5_332,
    },
    "cuhk03-np-labeled": {
        "train_images": 7_368,
        "train_people": 767,
        "query_images": 1_400,
        "query_people": 700,
        "gallery_images": 5_328,
    },
    # Parts: the detected images of camera pair 1, and of fifty of its people. Figures on them
    # must never stand beside published ones, so their names say what they are.
    "cuhk03-np-detected-pair1": {
        "train_images": 3_710,
        "train_people": 381,
        "query_images": 724,
        "query_people": 362,
        "gallery_images": 2_805,
    },
    "cuhk03-np-detected-pair1-50ids": {
        "train_images": 236,
        "train_people": 25,
        "query_images": 50,
        "query_people": 25,
        "gallery_images": 190,
    },
    "cuhk01": {"images": 3_884, "people": 971},
    # Both versions; training with `list_val.txt`, whose 2,373 images are of the same people.
    "msmt17": {
        "train_images": 32_621,
        "train_people": 1_041,
        "query_images": 11_659,
        "gallery_images": 82_161,
        "gallery_people": 3_060,
    },
}
OWN = tuple(f"{split}_{what}" for split in SPLITS for what in ("images", "people"))
"""What is counted of a set that has no counts it must have."""


def wanted(source: str, name: str) -> dict[str, int]:
    """The counts that a benchmark must have.

    Args:
        source: Name of published counts, or the path of a manifest (`*.json`).
        name: Name of the benchmark, by which the manifest lists it.

    Raises:
        BadInput: no such counts.
    """
    if source.endswith(".json"):
        return _of_manifest(Path(source), name)
    if source not in PUBLISHED:
        raise BadInput(
            f"benchmarks.{name}.counts: no published counts '{source}'"
            f"{nearest(source, list(PUBLISHED))}; known: {', '.join(PUBLISHED)}, "
            "or the path of a manifest that ends in .json"
        )
    return PUBLISHED[source]


def _of_manifest(path: Path, name: str) -> dict[str, int]:
    manifest = read_json(path)
    found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
    if found != MANIFEST:
        raise BadInput(f"{path}: format '{found}' found, '{MANIFEST}' wanted; draw the city again")
    counts = manifest.get("counts", {})
    if not isinstance(counts, dict) or name not in counts:
        raise BadInput(
            f"{path}: no counts of '{name}'{nearest(name, list(counts))}; "
            f"it has {', '.join(counts) or 'none'}"
        )
    own = counts[name]
    if not isinstance(own, dict) or not all(type(n) is int and n >= 0 for n in own.values()):
        raise BadInput(f"{path}: of '{name}' {str(own)[:60]} found; counts by name wanted")
    return dict(own)


def found(rows: Sequence[Row], keys: Mapping[str, int]) -> dict[str, int]:
    """Count what the keys of the wanted counts name.

    A key is `[SPLIT_]images`, `[SPLIT_]people`, or of the gallery `junk_images` and
    `distractor_images`. Gallery images are all files but junk; people are those with a number
    above 0.

    Raises:
        BadInput: a key that names nothing.

    Example:
        >>> rows = [Row("gallery", "a", -1, 1), Row("gallery", "b", 0, 1), Row("query", "c", 7, 2)]
        >>> found(rows, {"gallery_images": 1, "junk_images": 1, "people": 1})
        {'gallery_images': 1, 'junk_images': 1, 'people': 1}
    """
    return {key: _count(rows, key) for key in keys}


def _count(rows: Sequence[Row], key: str) -> int:
    if key == "junk_images":
        return sum(row.person == JUNK for row in rows)
    if key == "distractor_images":
        return sum(row.person == DISTRACTOR for row in rows)
    split, _, what = key.rpartition("_")
    chosen = [row for row in rows if row.split == split or not split]
    if what == "images":
        return sum(row.person != JUNK for row in chosen)
    if what == "people":
        return len({row.person for row in chosen} - {JUNK, DISTRACTOR})
    raise BadInput(f"counts: '{key}' names nothing that can be counted; known: train_images, ...")


def check(rows: Sequence[Row], must: Mapping[str, int], name: str, root: Path) -> None:
    """Refuse a set that has other counts than it must.

    Raises:
        BadInput: each count that differs, wanted and found.
    """
    has = found(rows, must)
    wrong = [
        f"  {key}: {must[key]:,} wanted, {has[key]:,} found"
        for key in must
        if has[key] != must[key]
    ]
    if wrong:
        listed = "\n".join(wrong)
        raise BadInput(
            f"{name}: {root} does not hold the set that its counts say\n{listed}\n"
            "  unpack the set again and whole; of a set of your own, give its own counts"
        )
