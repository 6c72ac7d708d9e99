"""The rooms of recoverable sessions: kept in memory, and written to the store soon after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final, Protocol

import msgspec
import trio

from gbs_actor.concurrency import Backoff, Service, ServiceStatistics, background
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.store.protocol import (
    CommitRefused,
    SessionRecord,
    Store,
    StoreError,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

WRITE_TIMEOUT: Final = 2.0
"""Seconds to wait until a location is written; the write continues after that."""
LAST_WRITE_TIMEOUT: Final = 1.0
"""Seconds to write pending locations at the end."""
PRUNE_INTERVAL: Final = 3_600.0
"""Seconds between two removals of locations that are too old."""
CHECK_INTERVAL: Final = 5.0
"""Seconds between two checks of the sessions for those that another server has taken over."""
CHECKED_AT_ONCE: Final = 1_000
"""How many sessions one query checks."""
MAX_PENDING: Final = 20_000
"""How many locations may be pending; beyond, the oldest are dropped. Of so many sessions is known
that theirs was."""

_BACKOFF: Final = Backoff(initial=0.1, maximum=5.0, jitter=0.0)


class SessionLocationsStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The writing of session locations at one moment."""

    pending: int
    """Locations that are pending."""
    taken_over: int
    """Sessions that other servers have taken over, since the start."""
    writer: ServiceStatistics
    pruner: ServiceStatistics
    checker: ServiceStatistics


class ConnectedSession(Protocol):
    """A recoverable session of a client that is connected to this server."""

    @property
    def sid(self) -> str:
        """Its id."""
        ...

    @property
    def generation(self) -> int:
        """The generation that this server writes for."""
        ...

    def taken_over(self) -> None:
        """Close the connection: the session goes on on another one. Must not block."""
        ...


class SessionLocations:
    """The locations of all recoverable sessions.

    :meth:`set` does not wait for the store: if a crash loses a location, the session is not
    recovered. :meth:`remove` waits: if a removal were lost, a client could resume in a room
    that it has left.

    Where other servers use the store, too, whoever resumes a session raises its generation. The
    server that still has the former connection finds that out when it writes the session's location
    for its lower generation, or looks, every :data:`CHECK_INTERVAL`; then it closes that.

    :param max_age: seconds after which a location is pruned.
    :param environment: where jitter comes from.
    """

    def __init__(self, store: Store, max_age: float, environment: Environment = SYSTEM) -> None:
        self._store = store
        self._max_age = max_age
        self._connected: dict[str, ConnectedSession] = {}
        self._taken_over = 0
        self._pending: dict[str, SessionRecord] = {}
        """Pending writes, by session."""
        self._in_flight: dict[str, SessionRecord] = {}
        """Writes in flight."""
        self._dropped: dict[str, None] = {}
        """Sessions whose latest location will not be written: what the store has is older."""
        self._added = trio.lowlevel.ParkingLot()
        self._written = trio.lowlevel.ParkingLot()
        self._writer = Service(
            "session location writer", self._write_pending, environment=environment
        )
        self._pruner = Service("session location pruner", self._prune, environment=environment)
        self._checker = Service("session checker", self._check, environment=environment)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and prune within the block; at its end write what is pending."""
        try:
            async with (
                background(self._writer.run),
                background(self._pruner.run),
                background(self._checker.run) if self._store.shared else nullcontext(),
            ):
                yield
        finally:
            with trio.move_on_after(LAST_WRITE_TIMEOUT, shield=True):
                await self._write_last()

    def statistics(self) -> SessionLocationsStatistics:
        """Return counters; never blocks."""
        return SessionLocationsStatistics(
            pending=len(self._pending) + len(self._in_flight),
            taken_over=self._taken_over,
            writer=self._writer.statistics(),
            pruner=self._pruner.statistics(),
            checker=self._checker.statistics(),
        )

    def connected(self, session: ConnectedSession) -> None:
        """Note that the client of a session is connected here, until :meth:`disconnected`."""
        self._connected[session.sid] = session

    def disconnected(self, sid: str) -> None:
        """Note that the client of a session is no longer connected here, if it was."""
        self._connected.pop(sid, None)

    def set(self, sid: str, record: SessionRecord) -> None:
        """Set the location of a session, or remove it, without waiting."""
        self._pending.pop(sid, None)
        self._dropped.pop(sid, None)
        self._pending[sid] = record
        if len(self._pending) > MAX_PENDING:
            oldest = next(iter(self._pending))
            del self._pending[oldest]
            self._drop(oldest)
        self._added.unpark_all()

    async def remove(self, sid: str, generation: int) -> None:
        """Remove the location of a session, and wait until the store has removed it.

        If the store cannot be reached, or on cancellation, the removal is pending: it is lost
        if the process ends before it is written.

        :raises StoreUnavailable: it takes too long, and another server may find the location still.
        """
        self.set(sid, SessionRecord(None, generation))
        if not await self._wait_written(sid) and self._store.shared:
            raise StoreUnavailable("the location of the session is not removed yet")

    async def take_over(self, sid: str) -> SessionRecord:
        """Return the location of a session that is resumed here, and the generation it has now.

        Cancelled, the generation may have been raised.

        :raises StoreError: the store cannot be reached, unless no other server uses it and the
            location is in memory; or the location was dropped.
        """
        if sid in self._dropped:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable("the location of the session was dropped")
        if self._store.shared:
            # What is pending may be late itself: the store decides.
            if not await self._wait_written(sid):
                raise StoreUnavailable("the location of the session is not written yet")
            return await self._store.take_over_session(sid)
        for unwritten in (self._pending, self._in_flight):
            if sid in unwritten:
                await trio.lowlevel.checkpoint()
                return unwritten[sid]
        return await self._store.find_session_location(sid)

    async def _wait_written(self, sid: str) -> bool:
        """Wait until the latest location of a session is written.

        :returns: ``False``: it takes too long, or was dropped.
        """
        with trio.move_on_after(WRITE_TIMEOUT):
            while sid in self._pending or sid in self._in_flight:
                await self._written.park()
            return sid not in self._dropped
        return False

    def _drop(self, sid: str) -> None:
        """Note that a location is not written."""
        if len(self._dropped) >= MAX_PENDING:
            del self._dropped[next(iter(self._dropped))]
        self._dropped[sid] = None

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
            taken = await self._store.update_session_locations(self._in_flight)
            settled = True
            for sid in taken:
                self._close_taken_over(sid, self._in_flight[sid].generation)
        except CommitRefused as refused:
            settled = refused.data_error  # else it may succeed later: a lock, a full disk
            if not settled:
                raise
            logger.exception("%d session locations cannot be written", len(self._in_flight))
            for sid in self._in_flight.keys() - self._pending.keys():
                self._drop(sid)
        finally:
            if not settled:
                self._pending = {**self._in_flight, **self._pending}
            self._in_flight = {}
            self._written.unpark_all()

    async def _check(self) -> None:
        """Close the connections of sessions that other servers have taken over."""
        while True:
            await trio.sleep(CHECK_INTERVAL)
            sids = list(self._connected)
            for first in range(0, len(sids), CHECKED_AT_ONCE):
                generations = {
                    sid: session.generation
                    for sid in sids[first : first + CHECKED_AT_ONCE]
                    if (session := self._connected.get(sid)) is not None
                }
                try:
                    taken = await self._store.sessions_taken_over(generations)
                except StoreError as error:
                    logger.debug("sessions are checked later: %s", error)
                    break
                for sid in taken:
                    self._close_taken_over(sid, generations[sid])

    def _close_taken_over(self, sid: str, generation: int) -> None:
        """Close the connection of a session, unless it was resumed here since that generation."""
        session = self._connected.get(sid)
        if session is not None and session.generation <= generation:
            self._taken_over += 1
            del self._connected[sid]
            session.taken_over()

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
