"""How long the commands of clients take, over all rooms of a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gbs_actor.observability import DURATION_BOUNDS, SIZE_BOUNDS, RecentHistogram


class Timed(Protocol):
    """A command."""

    received_at: float | None
    """Trio time at which its last bytes were read; ``None``: it does not count."""


class CommandTimes:
    """Counts how long commands took, from the moment their bytes were read.

    Each command that has reached a room counts once, whatever its reply. One of HTTP does not.
    """

    def __init__(self) -> None:
        self.ack = RecentHistogram(DURATION_BOUNDS)
        """Until its acknowledgement was handed to the socket, or queued for a slow client."""
        self.delivered = RecentHistogram(DURATION_BOUNDS)
        """Of those that took effect: until the last subscriber was sent the rows of its batch."""
        self.commit = RecentHistogram(DURATION_BOUNDS)
        """Of their batches: from sending a commit to the store's reply."""
        self.recovered_rows = RecentHistogram(SIZE_BOUNDS)
        """Rows that a client was sent when its session was recovered."""

    def acknowledged(self, commands: Iterable[Timed], now: float) -> None:
        """Count commands whose acknowledgements are out."""
        self.ack.add_all(_ages(commands, now), now)

    def handed_out(self, commands: Iterable[Timed], now: float) -> None:
        """Count commands of a batch that everybody was sent."""
        self.delivered.add_all(_ages(commands, now), now)


def _ages(commands: Iterable[Timed], now: float) -> list[float]:
    return [now - each.received_at for each in commands if each.received_at is not None]
