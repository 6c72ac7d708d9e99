"""An environment that depends on a seed and on Trio's clock alone."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

import trio

from gbs_actor.environment import Environment

START: Final = 1_700_000_000.0
"""The time of day at which a :class:`SimWall` begins: 14 November 2023, 22:13:20 UTC."""


class SimWall:
    """A wall clock that goes with Trio's: under a ``MockClock``, it stands still in between.

    It begins to go when it is made within a run of Trio; made outside of one, when it is first
    read within one.

    :param start: seconds since 1970 at which it begins.
    """

    def __init__(self, start: float = START) -> None:
        self._offset = start
        """Seconds by which it is ahead of the time since it began to go."""
        self._origin: float | None = None
        self._elapsed()

    def __call__(self) -> float:
        """Return the time of day, in seconds since 1970."""
        return self._elapsed() + self._offset

    def advance(self, seconds: float) -> None:
        """Move it on at once, as an administrator does; a negative number moves it back.

        Trio's clock, and so all deadlines, stay. To move both, move Trio's.
        """
        self._offset += seconds

    def _elapsed(self) -> float:
        if not trio.lowlevel.in_trio_run():
            return 0.0
        now = trio.current_time()
        if self._origin is None:
            self._origin = now
        return now - self._origin


def seeded_environment(seed: int, wall: Callable[[], float] | None = None) -> Environment:
    """Return an environment with the random bytes of a seed, in which no work takes time.

    :param wall: the wall clock; default: a new :class:`SimWall`.
    """
    return Environment(
        wall=SimWall() if wall is None else wall,
        entropy=Random(seed).randbytes,  # noqa: S311  (must be the same every time)
        stopwatch=_standing,
        thread_time=_standing,
    )


def _standing() -> float:
    return 0.0
