"""Two loops in turn within one of them, which asks after each of its steps whether to stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import _measure


@dataclass
class Turns:
    """Times our run's steps and the rival's, some of each in turn.

    Our run asks it after each of its steps whether to stop. When enough of ours were taken, it
    takes as many of the rival's, and gives control back.

    Attributes:
        step: One of the rival's.
        batch: Pictures in a step.
        steps: Of each in a round.
        rounds: That are kept; one before them is thrown away.
        note: Told of each figure.
        wait: For the device.
        found: Pictures per second in every round.
        ended_s: When the run was told to stop.
    """

    step: Callable[[], object]
    batch: int
    steps: int
    rounds: int
    note: Callable[[str, float], None]
    wait: Callable[[], object]
    found: dict[str, list[float]] = field(default_factory=lambda: {"passerby": [], "plain": []})
    ended_s: float = 0.0

    def __post_init__(self) -> None:
        self._done, self._begin_s = 0, time.perf_counter()

    def __call__(self) -> bool:
        """Whether there are rounds enough."""
        self._done += 1
        if self._done < self.steps:
            return False
        self.wait()
        pictures = self.steps * self.batch
        self._keep("passerby", pictures / (time.perf_counter() - self._begin_s))
        self._keep("plain", _measure.rate(self._block, pictures, 0.0, self.wait))
        self._done, self._begin_s = 0, time.perf_counter()
        self.ended_s = self._begin_s
        return len(self.found["plain"]) > self.rounds

    def _block(self) -> None:
        for _ in range(self.steps):
            self.step()

    def _keep(self, name: str, rate: float) -> None:
        self.found[name].append(rate)
        self.note(name, rate)

    def kept(self) -> dict[str, list[float]]:
        """The figures without the first round."""
        return {name: rates[1:] for name, rates in self.found.items()}
