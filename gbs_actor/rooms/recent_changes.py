"""Which changes are recent, by revision: a row carries no time of each of its changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from math import ceil
from typing import Final

from gbs_actor.lineup.fields import values_of
from gbs_actor.lineup.records import Registration

MAX_RECENT_ROWS: Final = 200
"""Recently changed rows that one who joins is sent, at most: the latest."""


class RecentChanges:
    """The revisions that a board has reached within some time, to the second.

    Takes as much memory as there are seconds in that time, at most.

    :param settled: a revision that was reached before that time.
    :param seconds: how long a change is recent; 0: none is.
    """

    def __init__(self, settled: int, seconds: float) -> None:
        self._settled = settled
        self._seconds = seconds
        self._reached: deque[tuple[int, int]] = deque()
        """The last revision of each second, with the end of that second."""

    def reached(self, revision: int, now: float) -> None:
        """Note that the board has reached a revision.

        :param now: Trio's time.
        """
        second = ceil(now)
        if self._reached and self._reached[-1][0] == second:
            self._reached.pop()
        self._reached.append((second, revision))

    def settled(self, now: float) -> int:
        """Return the highest revision that is not recent any more.

        :param now: Trio's time.
        """
        if not self._seconds and self._reached:
            return self._reached[-1][1]
        while self._reached and self._reached[0][0] <= now - self._seconds:
            self._settled = self._reached.popleft()[1]
        return self._settled


def settled_revision(registrations: Iterable[Registration], before: datetime) -> int:
    """Return a revision that was reached before a time, from what is stored beside the fields.

    It is the highest of which that is certain: of a change that nothing is left of (its author
    has changed the field again), the time is not known.

    :param before: aware.
    """
    settled = 0
    for registration in registrations:
        if registration.updated_at < before:
            settled = max(settled, registration.revision)
            continue
        for _, _, stamp in values_of(registration):
            if stamp.at is not None and stamp.at < before:
                settled = max(settled, stamp.revision)
    return settled
