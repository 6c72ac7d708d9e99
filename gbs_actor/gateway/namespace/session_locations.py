"""In which rooms recoverable sessions are: known at once, and written to the store soon after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from gbs_actor.concurrency import Backoff, Service, ServiceStatistics, background
from gbs_actor.store.protocol import CommitRefused, SessionLocation, Store, StoreError

logger = logging.getLogger(__name__)

REMOVE_TIMEOUT: Final = 2.0
"""Seconds to wait until the store has removed a location; then the wait ends, not the write."""
LAST_WRITE_TIMEOUT: Final = 1.0
"""Seconds for what is not written yet at the end."""
PRUNE_INTERVAL: Final = 3_600.0
"""Seconds between two removals of locations that are too old."""
MAX_PENDING: Final = 20_000
"""Locations that may wait to be written; then the oldest of these are dropped."""

_BACKOFF: Final = Backoff(initial=0.1, maximum=5.0, jitter=0.0)


@dataclass(frozen=True, slots=True)
class SessionLocationsStatistics:
    """The writing of session locations at one moment."""

    pending: int
    """Locations that wait to be written."""
    writer: ServiceStatistics
    pruner: ServiceStatistics


class SessionLocations:
    """The locations of all recoverable sessions.

    A new location is not waited for: where it is lost in a crash, a session is not
    recovered. A removal must not be lost, lest the client be put into a room it is not in:
    :meth:`remove` waits.

    :param max_age: seconds after which a location is of no use any more.
    """

    def __init__(self, store: Store, max_age: float) -> None:
        self._store = store
        self._max_age = max_age
        self._pending: dict[str, SessionLocation | None] = {}
        """What has to be written, by session; ``None``: removed."""
        self._in_flight: dict[str, SessionLocation | None] = {}
        """What is being written."""
        self._added = trio.lowlevel.ParkingLot()
        self._written = trio.lowlevel.ParkingLot()
        self._writer = Service("session location writer", self._write_pending)
        self._pruner = Service("session location pruner", self._prune)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and prune for the time of a block, and write at its end what is left."""
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
        """Note where a session is."""
        self._add(sid, location)

    def remove_soon(self, sid: str) -> None:
        """Note that a session is nowhere, or has ended for good."""
        self._add(sid, None)

    async def remove(self, sid: str) -> None:
        """Note that a session is nowhere, and wait until the store has it.

        While the store cannot be reached, not for long: then it holds only as long as this
        process lives. The same if it is cancelled.
        """
        self._add(sid, None)
        with trio.move_on_after(REMOVE_TIMEOUT):
            while sid in self._pending or sid in self._in_flight:
                await self._written.park()

    async def find(self, sid: str) -> SessionLocation | None:
        """Return where a session is, if that is known.

        :raises StoreUnavailable: the store has to be asked and cannot be reached.
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
        """Write what is pending; what could not be written is pending still."""
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
