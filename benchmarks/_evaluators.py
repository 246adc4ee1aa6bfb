"""What `evaluation.py` times: passerby's evaluation, fast-reid's, and the bare product.

Each function makes its data, imports what it needs, and returns the work; it runs in a process of
its own. Features are of people: a centre each, and noise, so that neighbours mean something.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Work = Callable[[], object]


class Size(NamedTuple):
    """Of a set."""

    queries: int
    gallery: int
    people: int
    cameras: int
    dimensions: int


MARKET = Size(3_368, 15_913, 750, 6, 2_048)
MSMT = Size(11_659, 82_161, 3_060, 15, 2_048)


class Drawn(NamedTuple):
    """A set, drawn; a seventh of the gallery is of nobody."""

    query: np.ndarray
    gallery: np.ndarray
    query_people: np.ndarray
    gallery_people: np.ndarray
    query_cameras: np.ndarray
    gallery_cameras: np.ndarray


def draw(size: Size) -> Drawn:
    """Features `float32` and labels, the same for all rivals."""
    rng = np.random.default_rng(0)
    gallery_people = rng.integers(1, size.people + 1, size.gallery)
    query_people = rng.integers(1, size.people + 1, size.queries)
    gallery_people[: size.gallery // 7] = 0
    centres = rng.standard_normal((size.people + 1, size.dimensions), np.float32)

    def features(people: np.ndarray) -> np.ndarray:
        made = rng.standard_normal((len(people), size.dimensions), np.float32)
        made *= 2
        for start in range(0, len(people), 1024):
            part = slice(start, start + 1024)
            made[part] += np.where(people[part, None] > 0, centres[people[part]], 0)
        return made

    return Drawn(
        features(query_people),
        features(gallery_people),
        query_people,
        gallery_people,
        rng.integers(1, size.cameras + 1, size.queries),
        rng.integers(1, size.cameras + 1, size.gallery),
    )


def _distances(drawn: Drawn) -> np.ndarray:
    from passerby.evaluation.distance import pairwise

    return pairwise(drawn.query, drawn.gallery, "cosine")


def product(size: Size) -> Work:
    """The bare product of queries and gallery."""
    drawn = draw(size)
    return lambda: drawn.query @ drawn.gallery.T


def evaluated(size: Size) -> Work:
    """Features to mAP, CMC, mINP and ROC."""
    from passerby.evaluation import evaluate

    drawn = draw(size)

    def work() -> None:
        found = evaluate(*drawn)
        found.to_dict(), found.verification.curve()

    return work


def ranked(size: Size) -> Work:
    """Given distances to mAP, CMC and mINP."""
    from passerby.evaluation.pairs import Pairs
    from passerby.evaluation.ranking import rank

    drawn = draw(size)
    distances, pairs = _distances(drawn), Pairs(*drawn[2:])
    step = max(1, (1 << 22) // size.gallery)
    rows = [slice(s, min(s + step, size.queries)) for s in range(0, size.queries, step)]
    return lambda: rank(((part, distances[part]) for part in rows), pairs).cmc(1)


def ranked_by_fastreid(size: Size, queries: int | None = None) -> Work:
    """The same by fast-reid's Python, of some of the queries."""
    eval_market1501 = _of_fastreid("evaluation.rank").eval_market1501
    drawn = draw(size)
    some = slice(queries)
    distances = _distances(drawn)[some]
    return lambda: eval_market1501(
        distances,
        drawn.query_people[some],
        drawn.gallery_people,
        drawn.query_cameras[some],
        drawn.gallery_cameras,
        50,
    )


def ranked_by_cython(size: Size, folder: str) -> Work:
    """The same by fast-reid's compiled code, which lies in `folder`."""
    sys.path.insert(0, folder)
    import rank_cy

    drawn = draw(size)
    distances = _distances(drawn)
    return lambda: rank_cy.evaluate_cy(distances, *drawn[2:], 50)


def compiled(folder: Path) -> str | None:
    """Compile fast-reid's ranking into a folder; `None` where there is no Cython or compiler."""
    found = importlib.util.find_spec("fastreid")
    if not (found and found.submodule_search_locations and shutil.which("cythonize")):
        return None
    source = Path(found.submodule_search_locations[0]) / "evaluation/rank_cylib/rank_cy.pyx"
    shutil.copy(source, folder)
    done = subprocess.run(
        ["cythonize", "-i", "-q", "rank_cy.pyx"],
        cwd=folder,
        env={**os.environ, "CFLAGS": f"-O3 -I{np.get_include()}"},
        capture_output=True,
        check=False,
    )
    return str(folder) if not done.returncode else None


def _three(size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of all pairs of queries and gallery, as fast-reid's re-ranking takes them."""
    from passerby.evaluation.distance import pairwise

    drawn = draw(size)
    sides = ((drawn.query, drawn.gallery), (drawn.query,) * 2, (drawn.gallery,) * 2)
    first, second, third = (pairwise(a, b, "euclidean") for a, b in sides)
    return first, second, third


def reranked(size: Size) -> Work:
    """Re-ranking of given distances."""
    from passerby.evaluation.reranking import Rerank, reranked_distances

    given = _three(size)
    return lambda: np.concatenate([block for _, block in reranked_distances(*given, Rerank())])


def reranked_by_fastreid(size: Size) -> Work:
    """The same by fast-reid's numpy path."""
    re_ranking = _of_fastreid("evaluation.rerank").re_ranking
    given = _three(size)
    return lambda: re_ranking(*given)


def reranked_features(size: Size) -> Work:
    """Re-ranking of features; a block at a time, as an evaluation takes it."""
    from passerby.evaluation import reranking

    drawn = draw(size)
    search = _Timed(reranking._neighbours)
    reranking._neighbours = search

    def work() -> dict[str, float]:
        for _ in reranking.reranked(drawn.query, drawn.gallery, "cosine", reranking.Rerank()):
            pass
        return {"search_seconds": search.seconds}

    return work


def reranked_by_faiss(size: Size) -> Work:
    """The same by fast-reid's faiss path, on the CPU."""
    import torch

    compute_dist = _of_fastreid("utils.compute_dist")
    drawn = draw(size)
    both = torch.from_numpy(np.concatenate([drawn.query, drawn.gallery]))
    both = torch.nn.functional.normalize(both, dim=1)
    seconds = []
    make = compute_dist.index_init_cpu

    def timed(dimensions: int) -> Any:
        index = make(dimensions)
        search = _Timed(index.search)
        seconds.append(search)
        index.search = search
        return index

    compute_dist.index_init_cpu = timed

    def work() -> dict[str, float]:
        compute_dist.compute_jaccard_distance(both, search_option=3)
        return {"search_seconds": seconds[0].seconds}

    return work


def _of_fastreid(module: str) -> Any:
    """A module of fast-reid, which can be imported once the compatibility module was."""
    importlib.import_module("passerby.finetune.compat")
    return importlib.import_module(f"fastreid.{module}")


class _Timed:
    """A function whose calls are timed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self.seconds = function, 0.0

    def __call__(self, *given: Any) -> Any:
        begin = time.perf_counter()
        found = self._function(*given)
        self.seconds += time.perf_counter() - begin
        return found
