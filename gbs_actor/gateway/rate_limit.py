"""A token bucket: how often somebody may speak."""

from __future__ import annotations


class TokenBucket:
    """Allows ``rate`` events a second in the long run, and ``burst`` of them at once.

    Time is handed in by the caller, so that nothing here waits or reads a clock.
    """

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        """Start with a full bucket.

        :param rate: events per second, above 0.
        :param burst: events, at least 1.
        :param now: seconds on the caller's monotonic clock.
        """
        if rate <= 0 or burst < 1:
            raise ValueError("a token bucket needs a rate above 0 and a burst of at least 1")
        self._rate = rate
        self._burst = float(burst)
        self._level = self._burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one event's worth; ``False``: there is none left, and nothing was taken."""
        level = self._level_at(now)
        self._at = now
        if level < 1.0:
            self._level = level
            return False
        self._level = level - 1.0
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until one event's worth is there; 0 where it is."""
        return max(0.0, (1.0 - self._level_at(now)) / self._rate)

    def is_full(self, now: float) -> bool:
        """Return whether it is as a new one would be."""
        return self._level_at(now) >= self._burst

    def _level_at(self, now: float) -> float:
        return min(self._burst, self._level + (now - self._at) * self._rate)
