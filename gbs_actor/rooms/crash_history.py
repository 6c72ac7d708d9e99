"""The recent crashes of a room: whether they are too many, and how long it pauses."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from gbs_actor.concurrency import Backoff, in_one_line, traceback_of
from gbs_actor.rooms.batch import Phase
from gbs_actor.rooms.statistics import Crash
from gbs_actor.settings import RoomSettings

KEPT: Final = 10
"""Crashes of a room that are kept for operators, with their tracebacks: the latest."""


class CrashHistory:
    """Counts the crashes within ``crash_window`` seconds, and keeps the latest for operators.

    :param config: gives that window, how many are too many, and the back-off.
    """

    def __init__(self, config: RoomSettings) -> None:
        self._config = config
        self._times: deque[float] = deque()
        self._delays: Iterator[float] = iter(())
        self.latest: deque[Crash] = deque(maxlen=KEPT)
        """The latest crash first."""

    def __len__(self) -> int:
        return len(self._times)

    @property
    def last_error(self) -> str | None:
        """The last crash in one line."""
        return self.latest[0].error if self.latest else None

    def add(self, error: BaseException, phase: Phase | None, now: float, at: datetime) -> bool:
        """Count a crash.

        :param phase: of the batch in hand; ``None``: there was none.
        :param now: Trio time.
        :param at: the same as wall-clock time.
        :returns: whether there were too many.
        """
        self.latest.appendleft(Crash(at, phase, in_one_line(error), traceback_of(error)))
        self._times.append(now)
        while now - self._times[0] > self._config.crash_window:
            self._times.popleft()
        if len(self._times) == 1:
            self._delays = backoff(
                self._config.crash_backoff_initial, self._config.crash_backoff_max
            ).delays()
        return len(self._times) > self._config.max_crashes

    def next_delay(self) -> float:
        """Return how long to pause after the last crash, in seconds; longer each time."""
        return next(self._delays)

    def clear(self) -> None:
        """Start to count anew; what is kept for operators stays."""
        self._times.clear()


def backoff(initial: float, maximum: float) -> Backoff:
    """Return a back-off without jitter: the attempts of one process on its own need none."""
    return Backoff(initial, maximum, jitter=0)
