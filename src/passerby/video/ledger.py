"""`data/videos.tsv`: a row for each line of the list, and what became of it.

No times and no machine's addresses: two runs that end alike write the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from passerby import files
from passerby.errors import BadInput
from passerby.foreign import texts
from passerby.video.listing import fault_of_name

FORMAT = "passerby.videos/1"
STATES = (
    "ok",
    "private",
    "removed",
    "blocked",
    "limited",
    "too large",
    "network",
    "unreadable",
)
"""What may become of a line. `blocked`: not for us (country, age). `limited`: the host asks us to
wait or to prove that we are no robot. `unreadable`: something came, but no video that decodes."""
RETRYABLE = frozenset({"limited", "network"})
"""States that say nothing about the video: the next run asks again."""
COLUMNS = ("name", "state", "bytes", "frames", "fps", "width", "height", "sha256", "reason")
_NUMBERS = ("bytes", "frames", "width", "height")
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    name: str
    state: str
    bytes: int = 0
    frames: int = 0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    sha256: str = ""
    reason: str = ""
    """Why it is not ok, in few words that are the same whenever the same happens."""

    def fields(self) -> list[str]:
        """The row as text, in the order of `COLUMNS`; `-` where there is nothing to say."""
        values = (getattr(self, column) for column in COLUMNS)
        texts = (f"{v:.6g}" if isinstance(v, float) else str(v) for v in values)
        return [text if text not in ("", "0") else "-" for text in texts]


def write(path: str | Path, rows: Iterable[Row]) -> None:
    """Write the ledger whole."""
    lines = [f"# {FORMAT}", "\t".join(COLUMNS), *("\t".join(row.fields()) for row in rows)]
    files.write_text(path, "\n".join(lines) + "\n")


def read(path: str | Path) -> list[Row]:
    """Read the ledger, all states.

    Raises:
        BadInput: it is missing, of another version, or has a bad row.
    """
    head, *lines = texts.lines(path, "the stage 'download' writes it") or [""]
    if not head:
        raise BadInput(f"{path}: empty; wanted '# {FORMAT}'; run the stage 'download'")
    if head != f"# {FORMAT}":
        raise BadInput(f"{path}: found {head[:60]!r}, wanted '# {FORMAT}'; run 'download' again")
    if not lines or lines[0].split("\t") != list(COLUMNS):
        raise BadInput(f"{path}, line 2: wanted the columns {', '.join(COLUMNS)}")
    return [_row(line, f"{path}, line {number}") for number, line in enumerate(lines[1:], start=3)]


def _row(line: str, where: str) -> Row:
    values: dict[str, str] = dict(zip(COLUMNS, line.split("\t"), strict=False))
    if line.count("\t") != len(COLUMNS) - 1 or values["state"] not in STATES:
        raise BadInput(
            f"{where}: not a row of {len(COLUMNS)} columns with a known state: {line[:200]!r}"
        )
    if fault := fault_of_name(values["name"]):
        raise BadInput(f"{where}: the name of a video {fault}; run 'download' again")
    plain = {column: "" if text == "-" else text for column, text in values.items()}
    numbers = {column: texts.whole_number(plain[column] or "0", 0, _MOST) for column in _NUMBERS}
    fps = texts.finite_number(plain["fps"] or "0")
    if fps is None or fps < 0 or None in numbers.values():
        raise BadInput(f"{where}: numbers from 0 wanted as {', '.join(_NUMBERS)} and fps: {line!r}")
    words = {column: plain[column] for column in ("name", "state", "sha256", "reason")}
    return Row(**words, **numbers, fps=fps)  # type: ignore[arg-type]
