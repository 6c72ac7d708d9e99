"""The rooms of recoverable sessions: kept in memory, and written to the store soon after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio

from gbs_actor.concurrency import Backoff, Service, ServiceStatistics, background
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.store.protocol import CommitRefused, SessionLocation, Store, StoreError

logger = logging.getLogger(__name__)

REMOVE_TIMEOUT: Final = 2.0
"""Seconds to wait until the store has removed a location; the write continues after that."""
LAST_WRITE_TIMEOUT: Final = 1.0
"""Seconds to write pending locations at the end."""
PRUNE_INTERVAL: Final = 3_600.0
"""Seconds between two removals of locations that are too old."""
MAX_PENDING: Final = 20_000
"""How many locations may be pending; beyond, the oldest are dropped."""

_BACKOFF: Final = Backoff(initial=0.1, maximum=5.0, jitter=0.0)


class SessionLocationsStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The writing of session locations at one moment."""

    pending: int
    """Locations that are pending."""
    writer: ServiceStatistics
    pruner: ServiceStatistics


class SessionLocations:
    """The locations of all recoverable sessions.

    :meth:`set` does not wait for the store: if a crash loses a location, the session is not
    recovered. :meth:`remove` waits: if a removal were lost, a client could resume in a room
    that it has left.

    :param max_age: seconds after which a location is pruned.
    :param environment: where jitter comes from.
    """

    def __init__(self, store: Store, max_age: float, environment: Environment = SYSTEM) -> None:
        self._store = store
        self._max_age = max_age
        self._pending: dict[str, SessionLocation | None] = {}
        """Pending writes, by session; ``None``: a removal."""
        self._in_flight: dict[str, SessionLocation | None] = {}
        """Writes in flight."""
        self._added = trio.lowlevel.ParkingLot()
        self._written = trio.lowlevel.ParkingLot()
        self._writer = Service(
            "session location writer", self._write_pending, environment=environment
        )
        self._pruner = Service("session location pruner", self._prune, environment=environment)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and prune within the block; at its end write what is pending."""
        try:
            async with background(self._writer.run), background(self._pruner.run):
                yield
        finally:
            with trio.move_on_after(LAST_WRITE_TIMEOUT, shield=True):
                await self._write_last()

    def statistics(self) -> SessionLocationsStatistics:
        """Return counters; never blocks."""
        return SessionLocationsStatistics(
            pending=len(self._pending) + len(self._in_flight),
            writer=self._writer.statistics(),
            pruner=self._pruner.statistics(),
        )

    def set(self, sid: str, location: SessionLocation) -> None:
        """Set the location of a session."""
        self._add(sid, location)

    def remove_soon(self, sid: str) -> None:
        """Remove the location of a session, without waiting."""
        self._add(sid, None)

    async def remove(self, sid: str) -> None:
        """Remove the location of a session, and wait until the store has removed it.

        If the store cannot be reached, or on cancellation, the removal is pending: it is lost
        if the process ends before it is written.
        """
        self._add(sid, None)
        with trio.move_on_after(REMOVE_TIMEOUT):
            while sid in self._pending or sid in self._in_flight:
                await self._written.park()

    async def find(self, sid: str) -> SessionLocation | None:
        """Return the location of a session, if it has one.

        :raises StoreUnavailable: the location is not in memory and the store cannot be reached.
        """
        for unwritten in (self._pending, self._in_flight):
            if sid in unwritten:
                await trio.lowlevel.checkpoint()
                return unwritten[sid]
        return await self._store.find_session_location(sid)

    def _add(self, sid: str, location: SessionLocation | None) -> None:
        self._pending.pop(sid, None)
        self._pending[sid] = location
        if len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self._added.unpark_all()

    async def _write_pending(self) -> None:
        delays = _BACKOFF.delays()
        while True:
            if not self._pending:
                await self._added.park()
                continue
            try:
                await self._write()
                delays = _BACKOFF.delays()
            except StoreError as error:
                logger.debug("session locations are written later: %s", error)
                await trio.sleep(next(delays))

    async def _write(self) -> None:
        """Write what is pending; what fails stays pending."""
        self._in_flight, self._pending = self._pending, {}
        settled = False
        try:
            await self._store.update_session_locations(self._in_flight)
            settled = True
        except CommitRefused as refused:
            settled = refused.data_error  # else it may succeed later: a lock, a full disk
            if not settled:
                raise
            logger.exception("%d session locations cannot be written", len(self._in_flight))
        finally:
            if not settled:
                self._pending = {**self._in_flight, **self._pending}
            self._in_flight = {}
            self._written.unpark_all()

    async def _write_last(self) -> None:
        try:
            if self._pending:
                await self._write()
        except StoreError as error:
            logger.warning("%d session locations are not written: %s", len(self._pending), error)
        except Exception:
            logger.exception("%d session locations are not written", len(self._pending))

    async def _prune(self) -> None:
        while True:
            try:
                pruned = await self._store.prune_session_locations(self._max_age)
                logger.debug("%d session locations were too old", pruned)
            except StoreError as error:
                logger.info("old session locations are pruned later: %s", error)
            await trio.sleep(PRUNE_INTERVAL)
