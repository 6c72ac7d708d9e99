"""Long work that lets other tasks run in between."""

from __future__ import annotations

import trio


class WorkBudget:
    """How much a task may do before other tasks run.

    :param limit: units of work, e.g. rows written or messages delivered.
    :param shielded: whether cancellation has no effect at its checkpoints. A cancel scope around
        all of the work costs as much as ten deliveries, and most work needs no checkpoint.
    """

    __slots__ = ("_left", "_limit", "_shielded")

    def __init__(self, limit: int, *, shielded: bool = False) -> None:
        self._limit = limit
        self._left = limit
        self._shielded = shielded

    def take(self, units: int = 1) -> bool:
        """Count work as done; return whether :meth:`checkpoint` is due: for tight loops."""
        self._left -= units
        if self._left > 0:
            return False
        self._left = self._limit
        return True

    async def spend(self, units: int = 1) -> None:
        """Count work as done; a checkpoint whenever the budget is used up, and only then."""
        if self.take(units):
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Let other tasks run."""
        with trio.CancelScope(shield=self._shielded):
            await trio.lowlevel.checkpoint()
