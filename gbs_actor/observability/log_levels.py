"""Levels of single loggers, for some minutes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from typing import Final, Literal

import msgspec
import trio

from gbs_actor.environment import SYSTEM
from gbs_actor.observability.logs import AUDIT_LOGGER, MINIMUM_LEVELS

MAX_MINUTES: Final = 120
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class TemporaryLevel(msgspec.Struct, frozen=True, rename="camel"):
    """The level that a logger has for some time."""

    logger: str
    level: Level
    until: float
    """Unix time in seconds."""


class LogLevelStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """The levels of all loggers."""

    default: str
    """Of the settings."""
    temporary: tuple[TemporaryLevel, ...]
    loggers: tuple[str, ...]
    """Whose level can be changed."""


class UnknownLogger(ValueError):
    """There is no such logger, or its level may not be changed."""


class LogLevels:
    """Changes levels of loggers for some minutes, while :meth:`run` runs.

    The root logger, and those whose level :func:`~gbs_actor.observability.configure_logging`
    sets, are left to it. So neither undoes the other's: settings that are read again hold for a
    changed logger as soon as its time is over.

    :param now: the Unix time in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = SYSTEM.wall) -> None:
        self._now = now
        self._temporary: dict[str, TemporaryLevel] = {}
        self._former: dict[str, int] = {}
        """The levels that loggers had before, :data:`logging.NOTSET` mostly."""
        self._ends: dict[str, float] = {}
        """Trio time at which each gets its former level back."""
        self._changed = trio.Event()

    async def run(self) -> None:
        """Give loggers their former levels back in time; cancelled, all of them at once."""
        try:
            while True:
                self._changed = trio.Event()
                with trio.move_on_at(min(self._ends.values(), default=inf)):
                    await self._changed.wait()
                for name in [n for n, end in self._ends.items() if end <= trio.current_time()]:
                    self._end(name)
        finally:
            for name in tuple(self._temporary):
                self._end(name)

    def check(self, name: str) -> None:
        """Check that a logger's level can be changed.

        :raises UnknownLogger: it cannot.
        """
        if name not in _loggers():
            raise UnknownLogger(f"There is no logger {name!r} whose level can be changed.")

    def change(self, name: str, level: Level, minutes: int) -> bool:
        """Give a logger, and those below it without a level of their own, another level.

        :param minutes: 1 to :data:`MAX_MINUTES`; begins anew with each call.
        :returns: whether the logger had another level, or one of the settings.
        :raises UnknownLogger: see :meth:`check`.
        """
        self.check(name)
        logger, before = logging.getLogger(name), self._temporary.get(name)
        self._former.setdefault(name, logger.level)
        logger.setLevel(level)
        seconds = 60.0 * minutes
        self._temporary[name] = TemporaryLevel(name, level, self._now() + seconds)
        self._ends[name] = trio.current_time() + seconds
        self._changed.set()
        return before is None or before.level != level

    def statistics(self) -> LogLevelStatistics:
        """Return the levels as they are; never blocks."""
        default = logging.getLevelName(logging.getLogger().level)
        temporary = tuple(self._temporary[name] for name in sorted(self._temporary))
        return LogLevelStatistics(default, temporary, tuple(sorted(_loggers())))

    def _end(self, name: str) -> None:
        del self._temporary[name], self._ends[name]
        logging.getLogger(name).setLevel(self._former.pop(name))


def _loggers() -> set[str]:
    """Return the names of the loggers whose level can be changed."""
    there = logging.getLogger().manager.loggerDict
    own = {name for name, each in there.items() if isinstance(each, logging.Logger)}
    # A package has one as well, though nobody may have asked for it yet.
    own |= {name.rpartition(".")[0] for name in own if name.startswith("gbs_actor.")}
    return own - {AUDIT_LOGGER, *MINIMUM_LEVELS}
