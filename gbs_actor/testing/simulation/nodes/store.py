"""The store that several nodes share, as one of them reaches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

import trio

from gbs_actor.lineup.commands import Kind
from gbs_actor.store.protocol import Attempt, Delta, LockedRetreat
from gbs_actor.testing.store import Fault, SimStore


class NodeStore(SimStore):
    """A store with faults and a latency of its own, whose data others change at the same time."""

    on_miss: Callable[[int], None]
    """Called when others were faster than what a batch has come to: how often, for this batch."""
    on_wrong_call: Callable[[str], None]
    """Called when a call should not be made, or have taken effect: with what is wrong."""

    def _attach(self, *, foreign: bool) -> None:
        super()._attach(foreign=foreign)
        self._frozen = False
        self._thawed = trio.lowlevel.ParkingLot()
        self._faulty_reads = 0
        self._misses: dict[int, int] = {}
        """By retreat, of the batch in hand."""
        self._holders: set[trio.lowlevel.Task] = set()
        """Tasks that have locked a retreat."""

    def beside(self) -> Self:
        """Return the same data as another node reaches it at the same time, without faults."""
        return self._sharing(foreign=False)

    def begin_batch(self, slug: str) -> None:
        """Count the misses of a retreat from now on: its room has taken another batch."""
        self._misses.pop(self._by_slug[slug].id, None)

    def freeze(self) -> None:
        """Let nothing arrive from now on, in either direction."""
        self._frozen = True

    def thaw(self) -> None:
        """Let all that is on its way arrive."""
        self._frozen = False
        self._thawed.unpark_all()

    @property
    def busy(self) -> bool:
        """Whether something is wrong, or a commit has no answer yet; unlike reads, it is rare."""
        return bool(
            self._in_flight or self._faulty_reads or self._frozen or any(self._faults.values())
        )

    async def commit(self, attempt: Attempt) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        self._check_no_lock()
        delta = await super().commit(attempt)
        if delta is not None and attempt.changes[0].kind is not Kind.FENCE:
            misses = self._misses.get(attempt.retreat_id, 0) + 1
            self._misses[attempt.retreat_id] = misses
            self.on_miss(misses)
        return delta

    @asynccontextmanager
    async def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        task = trio.lowlevel.current_task()
        async with super().locked(retreat_id, epoch, revision) as retreat:
            self._holders.add(task)
            try:
                yield retreat
            finally:
                self._holders.discard(task)

    async def _contact(self) -> None:
        self._check_no_lock()
        await super()._contact()

    def _check_no_lock(self) -> None:
        if trio.lowlevel.current_task() in self._holders:
            self.on_wrong_call("calls of the store under a lock")

    def _committed(self, attempt: Attempt, *, foreign: bool) -> None:
        if attempt.epoch != self._by_id[attempt.retreat_id].epoch:
            self.on_wrong_call("commits in an epoch that has ended")
        super()._committed(attempt, foreign=foreign)

    async def _reach(self, fault: Fault) -> None:
        self._faulty_reads += fault is not Fault.NONE
        try:
            await super()._reach(fault)
        finally:
            self._faulty_reads -= fault is not Fault.NONE

    async def _travel(self) -> None:
        await super()._travel()
        while self._frozen:
            await self._thawed.park()
