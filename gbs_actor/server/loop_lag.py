"""How late the event loop runs what is due: what every client waits for in addition."""

from __future__ import annotations

from typing import Final

import trio

from gbs_actor.observability import DURATION_BOUNDS, RecentHistogram

INTERVAL: Final = 0.25
"""Seconds between two timers. A longer stall is always seen, a shorter one in proportion."""


class LoopLag:
    """Measures how late a timer fires."""

    def __init__(self) -> None:
        self.times = RecentHistogram(DURATION_BOUNDS)
        """In seconds."""
        self.interval = INTERVAL
        """Seconds between two timers."""

    async def run(self) -> None:
        """Measure until cancelled."""
        due = trio.current_time() + self.interval
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            # The timers that a stall has skipped count, too: each would have been late. Else one of
            # a second would be one value among those of a quiet minute.
            due = max(due, now - DURATION_BOUNDS[-1])
            while due <= now:
                self.times.add(now - due, now)
                due += self.interval
