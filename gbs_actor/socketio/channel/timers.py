"""Deadlines of many connections, watched by one task.

A timer costs a heap entry and no task; a server with 10,000 connections has one task that
sleeps until the earliest of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

import trio

logger = logging.getLogger(__name__)
_SPARE = 1_024  # cancelled entries that are not worth a clean-up


class Timer:
    """One call in the future."""

    __slots__ = ("_timers", "callback", "when")

    def __init__(self, timers: Timers, when: float, callback: Callable[[], None]) -> None:
        self._timers = timers
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Make sure the call does not happen; does nothing where it has."""
        if self.callback is not None:
            self.callback = None
            self._timers.note_cancelled()


class Timers:
    """A heap of timers and the task that fires them, in order of their times."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = count()
        self._cancelled = 0
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        """Return how many timers wait."""
        return len(self._heap) - self._cancelled

    @property
    def allocated(self) -> int:
        """How many heap entries there are, cancelled ones included."""
        return len(self._heap)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once at ``when``.

        :param when: seconds on Trio's clock; in the past means as soon as possible.
        :param callback: must not block; an exception is logged.
        """
        timer = Timer(self, when, callback)
        heappush(self._heap, (when, next(self._count), timer))
        if self._sleep is not None and when < self._sleep.deadline:
            self._sleep.deadline = when
        return timer

    def note_cancelled(self) -> None:
        """Count a cancelled timer, and clear the heap of them once they are most of it."""
        self._cancelled += 1
        if self._cancelled > _SPARE and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            self._fire()
            when = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=when) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None

    def _fire(self) -> None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            timer = heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is None:
                self._cancelled -= 1
                continue
            try:
                callback()
            except Exception:
                logger.exception("a timer's callback failed")
