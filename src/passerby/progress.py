"""The progress of long work: one line that is rewritten, and a last line that stays.

    crop  812/1,204 videos  61.3/s  0:14 left  |  left out: small 41,208  blurred 9,117

To stderr; every 30 seconds where that is not a terminal; nothing at all where `quiet` (ranks other
than 0).
"""

import sys
import time
from types import TracebackType
from typing import Self

from passerby.text import say

TERMINAL_PERIOD_S = 0.2
LOG_PERIOD_S = 30.0
CLEAR_LINE = "\x1b[2K"


class Progress:
    """Counts work done and shows it.

    Args:
        title: What is being done, e.g. `crop`.
        total: How many items there are; `None` where that is not known.
        unit: What an item is, in the plural.
        done: Items that an earlier run had done already (left out of the rate).
        quiet: Show nothing.

    Example:
        >>> with Progress("crop", total=2, unit="videos", quiet=True) as progress:
        ...     progress.step(2)
        ...     progress.leave_out("small", 3)
        >>> progress.text().split("  ", 1)[1].split("  ")[0]
        '2/2 videos'
    """

    def __init__(
        self, title: str, total: int | None, unit: str, done: int = 0, quiet: bool = False
    ) -> None:
        self.title, self.total, self.unit, self.done, self.quiet = title, total, unit, done, quiet
        self.left_out: dict[str, int] = {}
        self.note = ""
        self._before = done
        self._begin_s = self._shown_s = time.monotonic()
        self._live = sys.stderr.isatty()

    def step(self, count: int = 1, note: str = "") -> None:
        """Count `count` items as done; `note` is shown behind the rate (a loss, say)."""
        self.done += count
        self.note = note or self.note
        self._show()

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count items that were left out, by reason."""
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count

    def text(self, ended: str = "") -> str:
        """The line as it stands."""
        took_s = max(time.monotonic() - self._begin_s, 1e-9)
        rate = (self.done - self._before) / took_s
        share = f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"
        parts = [self.title, f"{share} {self.unit}", f"{rate:.3g}/s"]
        if ended:
            parts.append(f"{ended} in {clock(took_s)}")
        elif self.total is not None and rate > 0:
            parts.append(f"{clock((self.total - self.done) / rate)} left")
        if self.note:
            parts.append(self.note)
        line = "  ".join(parts)
        if self.left_out:
            reasons = "  ".join(f"{why} {n:,}" for why, n in sorted(self.left_out.items()))
            line += f"  |  left out: {reasons}"
        return line

    def _show(self) -> None:
        now = time.monotonic()
        period_s = TERMINAL_PERIOD_S if self._live else LOG_PERIOD_S
        if self.quiet or now - self._shown_s < period_s:
            return
        self._shown_s = now
        end = "\r" if self._live else "\n"
        self._print(self.text(), end)

    def _print(self, text: str, end: str) -> None:
        if self._live:
            sys.stderr.write(CLEAR_LINE)
        say(text, sys.stderr, end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.quiet:
            ended = "done" if error is None else "stopped"
            self._print(self.text(ended), "\n")


def clock(seconds: float) -> str:
    """Seconds as a clock shows them.

    Example:
        >>> clock(14), clock(3_700)
        ('0:14', '1:01:40')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
