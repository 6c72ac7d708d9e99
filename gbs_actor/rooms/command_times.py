"""How long commands take, over all rooms of a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gbs_actor.observability import DURATION_BOUNDS, SIZE_BOUNDS, RecentHistogram


class Timed(Protocol):
    """A command."""

    received_at: float
    """Trio time at which its last bytes were read; of a request, at which it was submitted."""


class CommandTimes:
    """Histograms over all rooms, those that have closed included; each room has its own, too.

    ``ack`` and ``delivered`` are of commands, from the moment their bytes were read. Each that has
    reached a room counts once, whatever its reply.
    """

    def __init__(self) -> None:
        self.ack = RecentHistogram(DURATION_BOUNDS)
        """Until its acknowledgement was handed to the socket, or queued for a slow client."""
        self.delivered = RecentHistogram(DURATION_BOUNDS)
        """Of those that took effect: until the last subscriber was sent the rows of its batch."""
        self.commit = RecentHistogram(DURATION_BOUNDS)
        """From sending a commit to the store's reply."""
        self.locked = RecentHistogram(DURATION_BOUNDS)
        """For how long a retreat was locked for a commit that had been stale twice."""
        self.batch_sizes = RecentHistogram(SIZE_BOUNDS)
        """Commands that share a commit."""
        self.recovered_rows = RecentHistogram(SIZE_BOUNDS)
        """Rows that a client was sent when its session was recovered."""

    def acknowledged(self, commands: Iterable[Timed], now: float) -> None:
        """Count commands whose acknowledgements are out."""
        add = self.ack.add  # mostly one command, for which that is faster than add_all
        for command in commands:
            add(now - command.received_at, now)

    def handed_out(self, commands: Iterable[Timed], now: float) -> None:
        """Count commands of a batch that everybody was sent."""
        self.delivered.add_all([now - each.received_at for each in commands], now)
