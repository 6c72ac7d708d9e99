"""The server's last hour: a sample every ten seconds, for charts that are full at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import trio

from gbs_actor.environment import SYSTEM

INTERVAL: Final = 10.0
"""Seconds between two samples."""
POINTS: Final = 360
"""Samples that are kept: an hour of them."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The server at one moment, and in the interval before it. Durations in seconds.

    ``None``: it is not known, or nothing of the kind has happened in the interval.
    """

    connections: int | None = None
    """Clients, of both protocols."""
    rooms: int | None = None
    edits_per_second: float | None = None
    """Commands that were accepted."""
    ack_p50: float | None = None
    """From receiving a command to its reply."""
    ack_p95: float | None = None
    ack_p99: float | None = None
    commit_p99: float | None = None
    """From sending a commit to the store's reply."""
    loop_lag_p99: float | None = None
    """How late timers fire."""
    restarts: int | None = None
    """Starts of rooms after a crash, in the interval."""
    database_busy: int | None = None
    """Connections of the pool that are in use."""
    database_waiting: int | None = None
    """Calls that wait for one."""
    memory: int | None = None
    """Resident bytes of the process."""


SERIES: Final = Sample.__struct_encode_fields__
"""The names of the series."""


class HistoryStatistics(msgspec.Struct, frozen=True):
    """The samples of the last hour, by series."""

    interval: float
    """Seconds between two of them."""
    until: float
    """Unix time of the last one, in seconds."""
    series: Mapping[str, tuple[float | None, ...]]
    """The last number of each is of ``until``; at most 360."""


class History:
    """Takes samples and keeps those of the last hour.

    :param sample: returns the server as it is now; called once per interval, it must not block.
    :param now: the Unix time in seconds.
    """

    def __init__(
        self, sample: Callable[[], Sample], *, now: Callable[[], float] = SYSTEM.wall
    ) -> None:
        self.interval = INTERVAL
        """Seconds between two samples."""
        self._sample = sample
        self._now = now
        self._samples: deque[Sample] = deque(maxlen=POINTS)
        self._until = now()

    @property
    def until(self) -> float:
        """Unix time of the last sample; before the first one, of the start."""
        return self._until

    async def run(self) -> None:
        """Take samples until cancelled. Those that a stall has skipped are empty."""
        self._add(1)
        due = trio.current_time() + self.interval
        while True:
            await trio.sleep_until(due)
            passed = int((trio.current_time() - due) // self.interval) + 1
            due += passed * self.interval
            self._add(passed)

    def _add(self, passed: int) -> None:
        """Take a sample.

        :param passed: intervals since the last one.
        """
        self._samples.extend([Sample()] * min(passed - 1, POINTS))
        self._samples.append(self._sample())
        self._until = self._now()

    def statistics(self) -> HistoryStatistics:
        """Return what is kept; never blocks."""
        columns = zip(*map(msgspec.structs.astuple, self._samples), strict=True)
        rows = tuple(columns) or ((),) * len(SERIES)
        return HistoryStatistics(self.interval, self._until, dict(zip(SERIES, rows, strict=True)))
