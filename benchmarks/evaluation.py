"""Evaluation: ranking, the whole of it, and re-ranking, against fast-reid's ways.

    python benchmarks/evaluation.py [--quick]

`benchmarks/README.md` says what is compared and what the figures mean.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _alone
import _chart
import _evaluators as evaluators
import _measure
import _record
from _evaluators import MARKET, MSMT, Size
from passerby import errors
from passerby.progress import Progress

NAME = "evaluation"
QUICK = {"rounds": 1, "part": 10, "python_queries": 20}
PACKAGES = ("numpy", "scipy", "fastreid", "faiss-cpu", "cython", "torch", "passerby")
TITLES = {
    "product": "bare product of features",
    "evaluated": "passerby, features to mAP, CMC, mINP and ROC",
    "ranked": "passerby, ranking",
    "ranked_cython": "fast-reid, ranking, Cython",
    "ranked_python": "fast-reid, ranking, Python",
    "reranked": "passerby, re-ranking of distances",
    "reranked_numpy": "fast-reid, re-ranking of distances",
    "reranked_features": "passerby, re-ranking of features after the search",
    "reranked_faiss": "fast-reid, re-ranking by faiss after the search",
    "msmt_evaluated": "passerby, MSMT17's size, evaluation",
    "msmt_reranked": "passerby, MSMT17's size, re-ranking",
}
RATIOS = {
    "ranking_vs_cython": ("ranked", "ranked_cython"),
    "ranking_vs_python": ("ranked", "ranked_python"),
    "rerank_vs_numpy": ("reranked", "reranked_numpy"),
    "rerank_vs_faiss": ("reranked_features", "reranked_faiss"),
}
WANTED = {
    "ranking_vs_cython": 5.0,
    "ranking_vs_python": 50.0,
    "rerank_vs_numpy": 5.0,
    "rerank_vs_faiss": 3.0,
}
Found = dict[str, list[dict[str, float]]]


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--part", type=int, default=1, help="sets of a so-manieth of the real sizes (1)")
    add("--python-queries", type=int, default=100, help="that fast-reid's Python ranks (100)")
    return _record.arguments(parser, words, NAME, QUICK, rounds=3)


def sized(size: Size, part: int) -> Size:
    """A part of a set, of features as long."""
    counts = [max(count // part, 2) for count in (size.queries, size.gallery, size.people)]
    return Size(*counts, size.cameras, size.dimensions)


def works(asked: argparse.Namespace, compiled: str | None) -> dict[str, tuple[Any, ...]]:
    """What is measured: a function of `_evaluators` and what it is given."""
    market, msmt = sized(MARKET, asked.part), sized(MSMT, asked.part)
    of_market = {
        "product": (evaluators.product, market),
        "evaluated": (evaluators.evaluated, market),
        "ranked": (evaluators.ranked, market),
        "ranked_cython": (evaluators.ranked_by_cython, market, compiled),
        "ranked_python": (evaluators.ranked_by_fastreid, market, asked.python_queries),
        "reranked": (evaluators.reranked, market),
        "reranked_numpy": (evaluators.reranked_by_fastreid, market),
        "reranked_features": (evaluators.reranked_features, market),
        "reranked_faiss": (evaluators.reranked_by_faiss, market),
    }
    of_msmt = {
        "msmt_evaluated": (evaluators.evaluated, msmt),
        "msmt_reranked": (evaluators.reranked_features, msmt),
    }
    if not compiled:
        del of_market["ranked_cython"]
    return of_market | of_msmt


def measured(asked: argparse.Namespace) -> Found:
    """Every round's seconds and memory; MSMT17's size once, at the end."""
    with tempfile.TemporaryDirectory() as folder:
        todo = works(asked, evaluators.compiled(Path(folder)))
        once = [name for name in todo if name.startswith("msmt")]
        rounds = (len(todo) - len(once)) * asked.rounds + len(once)
        found: Found = {name: [] for name in todo}
        with Progress("measure", rounds, "measurements") as progress:
            for number in range(asked.rounds):
                for name, (prepare, *given) in todo.items():
                    if name in once and number + 1 < asked.rounds:
                        continue
                    figures = _alone.timed(prepare, *given)
                    found[name].append(_of_the_whole(name, figures, asked))
                    progress.step(1, f"{name} {figures['seconds']:.2f} s")
    return found


def _of_the_whole(
    name: str, figures: dict[str, float], asked: argparse.Namespace
) -> dict[str, float]:
    """Seconds of all queries, where some were ranked; without the search, where it is told."""
    seconds = figures["seconds"]
    if name == "ranked_python":
        seconds *= sized(MARKET, asked.part).queries / asked.python_queries
    if name.startswith("reranked"):
        seconds -= figures.get("search_seconds", 0.0)
    return {**figures, "seconds": seconds}


def summary(found: Found) -> dict[str, Any]:
    """The figures as they are kept, but for how they came about."""

    def of(name: str, key: str) -> list[float]:
        return [figures[key] for figures in found[name] if key in figures]

    ratios = {
        what: _measure.ratio(of(other, "seconds"), of(ours, "seconds"))
        for what, (ours, other) in RATIOS.items()
        if other in found
    }
    memory = {name: max(of(name, "peak_mb")) for name in found if of(name, "peak_mb")}
    beyond = [
        whole - 2 * bare
        for whole, bare in zip(of("evaluated", "seconds"), of("product", "seconds"), strict=True)
    ]
    return {
        "what": "evaluation: passerby against fast-reid, seconds of a whole set",
        "ratios": {what: ratio["median"] for what, ratio in ratios.items()},
        "ratios_iqr": {what: ratio["iqr"] for what, ratio in ratios.items()},
        "seconds": {name: _measure.spread(of(name, "seconds")) for name in found},
        "peak_memory_mb": memory,
        "beyond_two_products_s": _measure.spread(beyond),
        "each_round": found,
    }


def circumstances(asked: argparse.Namespace) -> dict[str, Any]:
    """How the figures came about."""
    names = ("quick", "rounds", "cores", "part", "python_queries")
    sizes = {"market": sized(MARKET, asked.part), "msmt": sized(MSMT, asked.part)}
    told = {name: size._asdict() for name, size in sizes.items()}
    own = {name: getattr(asked, name) for name in names}
    return {"settings": own | told, **_record.circumstances(PACKAGES)}


def show(result: Mapping[str, Any]) -> str:
    """The result as tables in Markdown, and what holds."""
    memory, machine = result["peak_memory_mb"], result["machine"]
    rows = [
        [TITLES[name], _record.told(figure), f"{memory[name]:,.0f}" if name in memory else "-"]
        for name, figure in ((name, result["seconds"].get(name)) for name in TITLES)
        if figure
    ]
    ratios = [
        [f"`{what}`", _record.told({"median": value, "iqr": result["ratios_iqr"][what]})]
        for what, value in result["ratios"].items()
    ]
    market = result["settings"]["market"]
    size = f"{market['queries']:,} x {market['gallery']:,}, {market['dimensions']:,}-d"
    about = f"{size}; {machine['cpu']}, {machine['cores']} cores; {result['date']}."
    tables = [
        _record.table(["", "seconds, median ± IQR", "MB above the start"], rows),
        _record.table(["ratio", "median ± IQR"], ratios),
    ]
    return "\n\n".join([about, *tables, "\n".join(claims(result))])


def claims(result: Mapping[str, Any]) -> list[str]:
    """What was wanted, and whether it holds."""
    memory, beyond = result["peak_memory_mb"], result["beyond_two_products_s"]["median"]
    lines = [
        _claim(f"{what} {value:.3g}, at least {WANTED[what]:g}", value >= WANTED[what])
        for what, value in result["ratios"].items()
    ]
    lines.append(
        _claim(f"evaluation {beyond:+.2f} s beyond two bare products, at most 1 s", beyond <= 1)
    )
    limits: list[tuple[str, float]] = [
        ("evaluated", 600),
        ("reranked", memory.get("reranked_numpy", 0) / 4),
        ("msmt_evaluated", 2_000),
        ("msmt_reranked", 8_000),
    ]
    lines += [
        _claim(f"{TITLES[name]}: {memory[name]:,.0f} MB, at most {most:,.0f}", memory[name] <= most)
        for name, most in limits
        if name in memory
    ]
    return lines


def _claim(text: str, holds: bool) -> str:
    return f"- {text}: {'yes' if holds else 'no'}"


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """The chart of how many whole sets an hour each does."""

    def panel(*names: str) -> Mapping[str, Mapping[str, float]]:
        seconds = {name: result["seconds"][name] for name in names if name in result["seconds"]}
        return {
            TITLES[name]: {
                "median": 3600 / figure["median"],
                "iqr": 3600 * figure["iqr"] / figure["median"] ** 2,
            }
            for name, figure in seconds.items()
        }

    panels = {
        "Ranking": panel("ranked", "ranked_cython", "ranked_python"),
        "Re-ranking": panel("reranked", "reranked_numpy", "reranked_features", "reranked_faiss"),
    }
    machine = result["machine"]
    title = f"Evaluation on {machine['cpu']}, {machine['cores']} cores"
    _chart.write(path, title, "whole sets an hour", panels)


def main(*words: str) -> None:
    """Measure, keep and tell."""
    asked = arguments(list(words))
    _record.keep_and_tell(
        asked, lambda: summary(measured(asked)) | circumstances(asked), draw, show
    )


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
