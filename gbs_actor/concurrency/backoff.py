"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waiting times with jitter, so that a thousand clients do not return at once.

    :param initial: the first waiting time, in seconds.
    :param maximum: what no waiting time exceeds, in seconds.
    :param factor: how much longer each one is than the one before.
    :param jitter: share of a waiting time that is left to chance, 0 to 1: with 0.5 a
        waiting time of 4 s becomes anything from 2 to 4 s.
    :raises ValueError: for values that are no waiting times.
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

    def delays(self, chance: random.Random | None = None) -> Iterator[float]:
        """Yield waiting times in seconds, without end; a new iterator starts over.

        :param chance: what the jitter is drawn from; default: the process-wide generator.
        """
        draw = random.random if chance is None else chance.random
        delay = self.initial
        while True:
            yield delay * (1 - self.jitter * draw())
            delay = min(delay * self.factor, self.maximum)
