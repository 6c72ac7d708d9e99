"""Whether rooms are where their retreats are in the store, which other servers may change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import trio

from gbs_actor.store.protocol import RetreatVersion, Store, StoreUnavailable

_SOON: Final = 1.0
"""Seconds within which a query has to fail to be sent again."""
_RETRY_PAUSE: Final = 0.1
"""Seconds before it is."""


@dataclass(eq=False, slots=True)
class _Query:
    """A query for versions that is to be sent, or was sent."""

    ids: set[int] = field(default_factory=set)
    number: int = 0
    versions: Mapping[int, RetreatVersion] = field(default_factory=dict)
    failure: StoreUnavailable | None = field(
        default_factory=lambda: StoreUnavailable("the query has come to no end")
    )
    done: trio.Event = field(default_factory=trio.Event)


class Freshness:
    """Numbers what is read of the store, and checks the versions of all rooms that ask together.

    Whatever was asked of a room at a :attr:`moment` may be answered from a board that a read with
    a higher number has confirmed: that read has begun later, so it has seen all that was
    acknowledged before, by whichever server.

    :param store: where the retreats are durable. Unless it is shared, nobody has to ask.
    """

    def __init__(self, store: Store) -> None:
        self.shared = store.shared
        self.moment = 0
        """The number of the last read that has begun."""
        self.checks = 0
        """Queries for versions that were sent."""
        self._store = store
        self._next: _Query | None = None
        self._asked = trio.lowlevel.ParkingLot()

    def begin(self) -> int:
        """Return the number of a read, or commit, that begins now."""
        self.moment += 1
        return self.moment

    async def versions(
        self, retreat_ids: Collection[int]
    ) -> tuple[int, Mapping[int, RetreatVersion]]:
        """Return the versions of retreats as of a moment after the call, and the read's number.

        Those that there are no more are left out. All who ask while a query is out share the
        next one. Cancellation ends the wait only.

        :raises StoreUnavailable: the store cannot be reached.
        """
        query = self._next
        if query is None:
            query = self._next = _Query()
            self._asked.unpark_all()
        query.ids.update(retreat_ids)
        await query.done.wait()
        if query.failure is not None:
            raise StoreUnavailable(str(query.failure)) from query.failure
        return query.number, query.versions

    async def run(self) -> None:
        """Send the queries, one after the other, until cancelled."""
        while True:
            while self._next is None:
                await self._asked.park()
            query, self._next = self._next, None
            query.number = self.begin()
            self.checks += 1
            try:
                query.versions = await self._read(query.ids)
                query.failure = None
            except StoreUnavailable as failure:
                query.failure = failure
            finally:
                query.done.set()

    async def _read(self, retreat_ids: Collection[int]) -> Mapping[int, RetreatVersion]:
        """Read versions; if that fails soon, once more: one failure is no outage."""
        started = trio.current_time()
        try:
            return await self._store.versions(retreat_ids)
        except StoreUnavailable:
            if trio.current_time() - started > _SOON:
                raise  # they have waited for long enough
        await trio.sleep(_RETRY_PAUSE)
        return await self._store.versions(retreat_ids)
