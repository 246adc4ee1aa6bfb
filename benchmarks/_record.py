"""What is kept of a benchmark: strict JSON with machine, versions, commit; and how it is told."""

import argparse
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from passerby import files
from passerby.training import precision

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

_FLAGS = {
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "asimd", "sve", "bf16", "i8mm"),
}
"""Of a processor's instructions those that decide how fast networks and pictures are."""


def place(name: str, quick: bool) -> Path:
    """Where a benchmark's JSON goes; a quick one's figures never take the place of real ones."""
    folder = files.scratch_root() / "benchmarks" if quick else RESULTS
    return folder / f"{name}.json"


def arguments(
    parser: argparse.ArgumentParser,
    words: Sequence[str],
    name: str,
    quick: Mapping[str, Any],
    rounds: int = 5,
) -> argparse.Namespace:
    """Read a command line with the options that every benchmark has.

    Args:
        parser: Has the benchmark's own options.
        words: The command line.
        name: Of the benchmark, for what it keeps.
        quick: Defaults that `--quick` puts in the place of the others.
        rounds: That are kept, where nothing else is asked.
    """
    add = parser.add_argument
    add("--rounds", type=int, default=rounds, help=f"that are kept ({rounds})")
    add("--cores", type=int, default=cores(), help="threads, and workers if any (all)")
    add("--out", type=Path, help="JSON file; the chart lies beside it")
    add("--quick", action="store_true", help="within a minute, smaller in everything")
    add("--table", action="store_true", help="show what is kept; measure nothing")
    if parser.parse_args(words).quick:
        parser.set_defaults(**quick)
    asked = parser.parse_args(words)
    asked.out = asked.out or place(name, asked.quick)
    return asked


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What decides the figures and is no setting; no names of hosts or folders."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "flags": sorted(_FLAGS & precision.cpu_words()),
        "cores": cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _cpu(path: str = "/proc/cpuinfo") -> str:
    """The processor's name, in Linux's words."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Of Python and of packages by their names on PyPI; `None`: not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def commit() -> str:
    """The commit, with `-dirty` where tracked files differ from it; `unknown` outside of git."""
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"], cwd=HERE, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def circumstances(packages: Iterable[str]) -> dict[str, Any]:
    """Machine, versions, commit and date, as every benchmark keeps them."""
    return {
        "machine": machine(),
        "versions": versions(packages),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def rounded(value: Any) -> Any:
    """Floats at four significant digits, wherever they stand in nested dicts and lists.

    Example:
        >>> rounded({"rate": [123.456, 7], "what": "x"})
        {'rate': [123.5, 7], 'what': 'x'}
    """
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Keep a result whole.

    Raises:
        ValueError: a figure is no number or infinite, which JSON cannot say; nothing is written.
    """
    files.write_json(path, rounded(result))


def keep_and_tell(
    asked: argparse.Namespace,
    measure: Callable[[], Mapping[str, Any]],
    draw: Callable[[Path, Mapping[str, Any]], None],
    show: Callable[[Mapping[str, Any]], str],
) -> None:
    """Measure unless only the table is asked for, keep JSON and chart, print what is kept.

    Args:
        asked: From `arguments`.
        measure: Gives the result.
        draw: Writes the chart of a result that was kept.
        show: Puts one into words.
    """
    if not asked.table:
        write(asked.out, measure())
        draw(asked.out.with_suffix(".png"), files.read_json(asked.out))
    result = files.read_json(asked.out)
    print(show(result))
    print("\n".join(["", *last_lines(result["ratios"])]))


def last_lines(ratios: Mapping[str, float]) -> list[str]:
    """The lines that a benchmark ends with.

    Example:
        >>> last_lines({"feed": 3.25})
        ['ratio feed 3.25']
    """
    return [f"ratio {what} {value:.4g}" for what, value in ratios.items()]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its first column to the left and the others to the right.

    Example:
        >>> print(table(["rival", "rate"], [["a", "1.5"]]))
        | rival | rate |
        |---|---:|
        | a | 1.5 |
    """
    lines = [head, *rows]
    shown = [f"| {' | '.join(line)} |" for line in lines]
    shown.insert(1, f"|---|{'---:|' * (len(head) - 1)}")
    return "\n".join(shown)


def told(figure: Mapping[str, float]) -> str:
    """A median with its spread.

    Example:
        >>> told({"median": 1234.5, "iqr": 20.25})
        '1,234 ± 20'
        >>> told({"median": 2.5, "iqr": 0.125})
        '2.50 ± 0.12'
    """
    digits = 0 if figure["median"] >= 100 else 1 if figure["median"] >= 10 else 2
    return f"{figure['median']:,.{digits}f} ± {figure['iqr']:,.{digits}f}"
