"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gbs_actor.environment import SYSTEM


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waiting times with jitter, so that clients do not reconnect all at once.

    :param initial: the first waiting time, in seconds.
    :param maximum: the longest waiting time, in seconds.
    :param factor: ratio of each waiting time to the previous one.
    :param jitter: random share of a waiting time, 0 to 1: with 0.5 a waiting time of 4 s
        becomes 2 to 4 s.
    :raises ValueError: a value is out of range.
    """

    initial: float = 0.2
    maximum: float = 10.0
    factor: float = 2.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum:
            raise ValueError("initial must be above 0 and at most maximum")
        if self.factor < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("factor must be at least 1, and jitter between 0 and 1")

    def delays(self, chance: Callable[[], float] = SYSTEM.chance) -> Iterator[float]:
        """Yield waiting times in seconds, without end; a new iterator starts over.

        :param chance: returns a random number, at least 0 and below 1: the source of jitter.
        """
        delay = self.initial
        while True:
            yield delay * (1 - self.jitter * chance()) if self.jitter else delay
            delay = min(delay * self.factor, self.maximum)
