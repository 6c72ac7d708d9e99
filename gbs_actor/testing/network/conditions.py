"""How a simulated connection treats what is sent on it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import trio


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a connection does to its bytes, in either direction. The default is nothing at all.

    It delays and cuts up, but never loses, doubles or reorders a byte, as TCP does not.

    :raises ValueError: something is left to chance, and there is no generator.
    """

    random: Random | None = None
    """Decides what is left to chance, and what a reset loses; may be shared by connections."""
    buffer: int = 65_536
    """Bytes on their way and not yet received, in each direction."""
    latency: float = 0.0
    """Seconds from sending to arrival, at most. 0: bytes arrive at the same instant."""
    splits: float = 0.0
    """The probability that one receive returns less than has arrived."""
    partial_sends: float = 0.0
    """The probability that one send takes less than there is room for."""
    blocked_sends: float = 0.0
    """The probability that one send takes nothing (EAGAIN), although there is room."""

    def __post_init__(self) -> None:
        """Check that there is a generator if one is needed."""
        chances = (self.latency, self.splits, self.partial_sends, self.blocked_sends)
        if self.random is None and any(chances):
            raise ValueError("conditions that are left to chance need a generator")

    @staticmethod
    def drawn(random: Random, *, latency: float = 0.0) -> Conditions:
        """Return conditions of a connection, from perfect to bad in each respect.

        :param latency: seconds, at most.
        """
        return Conditions(
            random=random,
            buffer=random.choice((1_024, 4_096, 65_536)),
            latency=random.choice((0.0, latency)),
            splits=random.choice((0.0, 0.1, 0.9)),
            partial_sends=random.choice((0.0, 0.1, 0.9)),
            blocked_sends=random.choice((0.0, 0.1, 0.5)),
        )

    def arrival(self) -> float | None:
        """Return when what is sent now arrives, on Trio's clock; ``None``: at once."""
        if not self.latency:
            return None
        assert self.random is not None
        return trio.current_time() + self.random.uniform(0, self.latency)

    def received(self, size: int) -> int:
        """Return how many bytes one receive returns.

        :param size: that have arrived.
        """
        return self._some(size, self.splits)

    def sent(self, size: int) -> int:
        """Return how many bytes one send takes.

        :param size: that there is room for.
        """
        return self._some(size, self.partial_sends)

    def blocks(self) -> bool:
        """Return whether one send takes nothing, although there is room."""
        return self.random is not None and self._happens(self.blocked_sends)

    def kept(self, size: int) -> int:
        """Return how many bytes are received before a reset.

        :param size: that have arrived.
        """
        return size if self.random is None else self.random.randint(0, size)

    def _some(self, size: int, probability: float) -> int:
        if size < 2 or not self._happens(probability):
            return size
        assert self.random is not None
        return self.random.randint(1, size - 1)

    def _happens(self, probability: float) -> bool:
        return bool(probability) and self.random is not None and self.random.random() < probability


PERFECT = Conditions()
"""Everything arrives at once, and as it was sent."""
