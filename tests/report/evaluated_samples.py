"""A set of small one-coloured pictures with junk, own cameras and ties, evaluated."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from passerby.evaluation import distance, evaluate
from passerby.report.evaluated import Evaluated, PictureFiles

QUERIES, GALLERY = 12, 60
FARS = (5e-2, 2e-1)


def arrays(seed: int = 0, levels: int = 4) -> dict[str, Any]:
    """Features of few different values, so that many distances are equal."""
    rng = np.random.default_rng(seed)
    return {
        "query_features": rng.integers(1, levels, (QUERIES, 4)).astype(np.float32),
        "gallery_features": rng.integers(1, levels, (GALLERY, 4)).astype(np.float32),
        "query_people": np.arange(QUERIES) % 6 + 1,
        "gallery_people": rng.integers(-1, 7, GALLERY),
        "query_cameras": rng.integers(1, 4, QUERIES),
        "gallery_cameras": rng.integers(1, 4, GALLERY),
    }


def evaluated(folder: Path | None = None, seed: int = 0, **asked: Any) -> Evaluated:
    """The set, with its pictures in `folder` if one is given; `asked` goes to `evaluate`."""
    given = arrays(seed)
    result = evaluate(**given, **{"fars": FARS, **asked})
    files = _drawn(folder) if folder else None
    return Evaluated("a model on a set", result, given, files)


def _drawn(root: Path) -> PictureFiles:
    """A picture of item n is of colour (n, n, n) plus 100 in red for a query."""
    names: dict[str, tuple[str, ...]] = {}
    for side, count, red in (("query", QUERIES, 100), ("gallery", GALLERY, 0)):
        (root / side).mkdir(parents=True)
        names[side] = tuple(f"{side}/{n}.png" for n in range(count))
        for n, name in enumerate(names[side]):
            picture = np.full((16, 8, 3), n, np.uint8)
            picture[..., 0] += red
            Image.fromarray(picture).save(root / name)
    return PictureFiles(root, names["query"], names["gallery"])


def slow_list(given: Evaluated, query: int) -> list[tuple[float, int, bool]]:
    """Distance, place and whether it is right, of each item that counts, in order."""
    of = given.arrays
    kept = [g for g in range(GALLERY) if of["gallery_people"][g] != -1]
    rows = distance.pairwise(of["query_features"], of["gallery_features"][kept], "cosine")
    found = []
    for column, g in enumerate(kept):
        same_person = of["gallery_people"][g] == of["query_people"][query]
        same_camera = of["gallery_cameras"][g] == of["query_cameras"][query]
        if not (same_person and same_camera):
            found.append((float(rows[query, column]), g, bool(same_person)))
    return sorted(found)
