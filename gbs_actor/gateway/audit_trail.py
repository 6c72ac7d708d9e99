"""The audit trail: every entry is a line of the log at once, and a row of the store soon after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final
from uuid import UUID

import msgspec
import structlog
import trio
from msgspec import structs

from gbs_actor.concurrency import Backoff, Service, background
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.observability import AUDIT_LOGGER
from gbs_actor.store.audit import AuditEntry
from gbs_actor.store.protocol import CommitRefused, Store, StoreError

MAX_QUEUED: Final = 1_000
"""Entries that wait for the store; further ones are in the log only."""
FLUSH_TIMEOUT: Final = 2.0
"""Seconds in which the last entries are written at the end of the server."""

_BATCH: Final = 100
_BACKOFF: Final = Backoff(initial=0.2, maximum=10.0, jitter=0.5)

logger = logging.getLogger(__name__)
_audit = structlog.get_logger(AUDIT_LOGGER)


class AuditTrailStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """An audit trail at one moment. Counters run since it was made."""

    queued: int
    """Entries that are logged, but not stored yet."""
    stored: int
    lost: int
    """Entries that are logged only: too many waited, or the store refused them."""


class AuditTrail:
    """Logs entries, and passes them on to the store, for which nobody waits.

    While the store cannot be reached, entries are queued, at most :data:`MAX_QUEUED`.

    :param environment: where their keys and jitter come from.
    """

    def __init__(self, store: Store, environment: Environment = SYSTEM) -> None:
        self._store = store
        self._environment = environment
        self._queue: dict[UUID, AuditEntry] = {}
        """By keys for the store, the oldest first."""
        self._added = trio.lowlevel.ParkingLot()
        self._emptied = trio.lowlevel.ParkingLot()
        self._stored = self._lost = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write to the store within the block; at its end, what is queued still, if that is quick.

        Cancelled, it ends at once.
        """
        service = Service("audit trail", self._run, environment=self._environment)
        async with background(service.run):
            yield
            with trio.move_on_after(FLUSH_TIMEOUT) as flushing:
                while self._queue:
                    await self._emptied.park()
            if flushing.cancelled_caught:
                logger.error("%d audit records are in the log only", len(self._queue))

    def add(self, entry: AuditEntry) -> None:
        """Log an entry, and queue it for the store. Never blocks."""
        _audit.info(
            "audit",
            **{name: value for name, value in structs.asdict(entry).items() if name != "at"},
        )
        if len(self._queue) >= MAX_QUEUED:
            self._lose(1, "too many wait for the database")
            return
        self._queue[self._environment.uuid()] = entry
        self._added.unpark_all()

    def statistics(self) -> AuditTrailStatistics:
        """Return counters; never blocks."""
        return AuditTrailStatistics(len(self._queue), self._stored, self._lost)

    async def _run(self) -> None:
        while True:
            while not self._queue:
                await self._added.park()
            await self._write(dict(islice(self._queue.items(), _BATCH)))

    async def _write(self, entries: dict[UUID, AuditEntry]) -> None:
        """Write entries, however often that takes; those that the store refuses are lost."""
        delays = _BACKOFF.delays(self._environment.chance)
        while True:
            try:
                await self._store.append_audit(entries)
            except CommitRefused as refused:
                if refused.data_error:
                    await self._write_refused(entries, refused)
                    return
                problem: StoreError = refused
            except StoreError as error:
                problem = error
            else:
                self._stored += len(entries)
                self._remove(entries)
                return
            logger.warning("%d audit records wait for the database: %s", len(self._queue), problem)
            await trio.sleep(next(delays))

    async def _write_refused(self, entries: dict[UUID, AuditEntry], refused: CommitRefused) -> None:
        """Write one by one what was refused together: one of them cannot be stored."""
        if len(entries) > 1:
            for key, entry in entries.items():
                await self._write({key: entry})
        else:
            self._lose(1, str(refused))
            self._remove(entries)

    def _remove(self, entries: dict[UUID, AuditEntry]) -> None:
        for key in entries:
            del self._queue[key]
        if not self._queue:
            self._emptied.unpark_all()

    def _lose(self, count: int, why: str) -> None:
        self._lost += count
        logger.error("an audit record is in the log only: %s", why)
