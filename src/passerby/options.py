"""The numbers of command-line options: checked while the line is read, before any work.

Each type is called with what was typed and gives the number; the option's name and its limits are
in the message.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from passerby.errors import BadInput

MOST_DIGITS = 18


@dataclass(frozen=True)
class Whole:
    """A whole number.

    Args:
        option: Name of the option, for messages.
        least: The least that is taken.
        most: The greatest that is taken.

    Example:
        >>> Whole("--batch", 1, 4096)("16")
        16
    """

    option: str
    least: int
    most: int

    def __call__(self, text: str) -> int:
        """The number that was typed.

        Raises:
            BadInput: it is none within the limits.
        """
        number = _whole(text)
        if number is None or not self.least <= number <= self.most:
            raise _refusal(
                self.option, text, f"a whole number from {self.least:,} to {self.most:,}"
            )
        return number


@dataclass(frozen=True)
class Size:
    """Height and width in pixels, as `256x128`.

    Args:
        option: Name of the option, for messages.
        most: The greatest side that is taken.

    Example:
        >>> Size("--size")("256x128")
        (256, 128)
    """

    option: str
    most: int = 4096

    def __call__(self, text: str) -> tuple[int, int]:
        """Height and width.

        Raises:
            BadInput: they are not two numbers within the limits.
        """
        sides = [number for part in text.split("x") if (number := _whole(part)) is not None]
        if text.count("x") != 1 or len(sides) != 2 or not all(1 <= n <= self.most for n in sides):
            raise _refusal(
                self.option, text, f"2 whole numbers from 1 to {self.most:,} joined by 'x'"
            )
        return sides[0], sides[1]


@dataclass(frozen=True)
class Channels:
    """A number for red, green and blue each, as `0.485,0.456,0.406`.

    Args:
        option: Name of the option, for messages.
        is_positive: Whether 0 is refused: pictures are divided by it.

    Example:
        >>> Channels("--mean")("0.5,0.5,0")
        (0.5, 0.5, 0.0)
    """

    option: str
    is_positive: bool = False

    def __call__(self, text: str) -> tuple[float, float, float]:
        """The three numbers, in [0, 1].

        Raises:
            BadInput: they are not three numbers in that range.
        """
        numbers = _numbers(text.split(","))
        within = all(0 <= number <= 1 and (number or not self.is_positive) for number in numbers)
        if len(numbers) != 3 or not within:
            beyond = "above 0 and up to 1" if self.is_positive else "from 0 to 1"
            raise _refusal(self.option, text, f"3 numbers {beyond} joined by ','")
        return numbers[0], numbers[1], numbers[2]


def _whole(text: str) -> int | None:
    """The whole number that a text is, in plain digits."""
    return int(text) if re.fullmatch(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}", text) else None


def _numbers(parts: Sequence[str]) -> list[float]:
    """The finite numbers; nothing where one of the parts is none."""
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def _refusal(option: str, text: str, wanted: str) -> BadInput:
    return BadInput(f"{option}: found '{text[:60]}', wanted {wanted}")
