"""`history.tsv`: what a run measured, a row at a time; it grows while the run goes on.

The rows so far are part of a checkpoint (`History.text`). A resumed run writes them anew and goes
on from there, so rows of steps that are done twice stand once, and the file ends with the same
bytes as after a run that nobody disturbed. It holds no times and no rates.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from passerby import files, places


class History:
    """A table that grows.

    Args:
        path: Of the file; what it held is replaced.
        columns: Names, in their order.
        kept: `text` of an earlier run, from its checkpoint.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "history.tsv"
        >>> History(path, ["step", "loss"]).append({"step": 20, "loss": 6.9314718})
        >>> path.read_text().splitlines()
        ['step\\tloss', '20\\t6.93147']
    """

    def __init__(self, path: str | Path, columns: Sequence[str], kept: str = "") -> None:
        self.path, self.columns = Path(path), list(columns)
        self.text = kept or "\t".join(columns) + "\n"
        files.write_text(path, self.text)

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row; numbers have six significant digits."""
        line = "\t".join(_shown(row[name]) for name in self.columns) + "\n"
        self.text += line
        with (
            places.written_to(self.path),
            open(self.path, "a", encoding="utf-8", newline="\n") as file,
        ):
            file.write(line)


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
