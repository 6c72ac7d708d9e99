"""Long work that lets other tasks run in between."""

from __future__ import annotations

import trio


class WorkBudget:
    """How much a task may do before other tasks run.

    :param limit: units of work, e.g. rows written or messages delivered.
    """

    __slots__ = ("_left", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def take(self, units: int = 1) -> bool:
        """Count work as done; return whether a checkpoint is due, for loops of small units."""
        self._left -= units
        if self._left > 0:
            return False
        self._left = self._limit
        return True

    async def spend(self, units: int = 1) -> None:
        """Count work as done; a checkpoint whenever the budget is used up, and only then."""
        if self.take(units):
            await trio.lowlevel.checkpoint()
