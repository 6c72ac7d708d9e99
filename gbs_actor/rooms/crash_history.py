"""The recent crashes of a room: whether they are too many, and how long it pauses."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from gbs_actor.concurrency import Backoff, first_exception
from gbs_actor.settings import RoomSettings


class CrashHistory:
    """Counts the crashes within ``crash_window`` seconds.

    :param config: gives that window, how many are too many, and the back-off.
    """

    def __init__(self, config: RoomSettings) -> None:
        self._config = config
        self._times: deque[float] = deque()
        self._delays: Iterator[float] = iter(())
        self.last_error: str | None = None
        """The last crash in one line."""

    def __len__(self) -> int:
        return len(self._times)

    def add(self, error: BaseException, now: float) -> bool:
        """Count a crash.

        :param now: Trio time.
        :returns: whether there were too many.
        """
        cause = first_exception(error)
        self.last_error = f"{type(cause).__name__}: {cause}"
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
        """Start to count anew."""
        self._times.clear()


def backoff(initial: float, maximum: float) -> Backoff:
    """Return a back-off without jitter: the attempts of one process on its own need none."""
    return Backoff(initial, maximum, jitter=0)
