"""Whether the store can keep a change: found out by a small write every few seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio

from gbs_actor.concurrency import Backoff, Service, background
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.observability import OperatorEvents
from gbs_actor.store.protocol import CommitRefused, OutcomeUnknown, Store, StoreError

TIMEOUT: Final = 2.0
"""Seconds that a write may take."""
RETRY: Final = 0.25
"""Seconds between a failed write and the next one; twice as long after each further one."""
MAX_RETRY: Final = 1.0
"""The same, at most: so long, and the time of a write, the end of an outage may be unknown."""

_NOT_CONFIRMED: Final = "The database did not confirm a write in time."
_REFUSED: Final = "The database refuses to write."
_NO_REPLY: Final = "The database does not answer."
_NO_LEASE: Final = "This server does not hold the lock on its database."


class WriteCheckStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A write check at one moment. Counters run since it was made."""

    ready: bool
    """Whether the last write succeeded, not too long ago."""
    writes: int
    """Writes that succeeded."""
    failures: int
    """Writes that failed or took too long."""
    age: float
    """Seconds since the last write succeeded; infinite if none has."""


class WriteCheck:
    """Writes to the store every few seconds, so that a probe need not.

    So a store that is full, read-only, frozen or unreachable is noticed without traffic, and
    so is its return, within about a second.

    :param interval: seconds between two writes, as long as they succeed.
    :param events: what operators are notified of.
    :param environment: where jitter comes from.
    """

    def __init__(
        self,
        store: Store,
        interval: float,
        events: OperatorEvents,
        environment: Environment = SYSTEM,
    ) -> None:
        self._events = events
        self._service = Service("write check", self._run, environment=environment)
        self._store = store
        self._interval = interval
        self._retry = Backoff(min(RETRY, interval), min(MAX_RETRY, interval), jitter=0.0)
        self._failure: str | None = None
        self._written_at = float("-inf")
        self._writes = 0
        self._failures = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write once, whatever the outcome, and then go on within the block."""
        await self._write()
        async with background(self._service.run):
            yield

    def failure(self) -> str | None:
        """Return in one sentence why no change could be stored; ``None``: it could.

        A lost lock is known at once, everything else by the last write.
        """
        if not self._store.statistics().lease_held:
            return _NO_LEASE
        if self._failure is None and self._age() > self._interval + 2 * TIMEOUT:
            return _NOT_CONFIRMED
        return self._failure

    def statistics(self) -> WriteCheckStatistics:
        """Return the last outcome and counters; never blocks."""
        return WriteCheckStatistics(
            ready=self.failure() is None,
            writes=self._writes,
            failures=self._failures,
            age=self._age(),
        )

    async def _run(self) -> None:
        delays = self._retry.delays()
        while True:
            if self._failure is None:
                delays = self._retry.delays()
                await trio.sleep(self._interval)
            else:
                await trio.sleep(next(delays))
            await self._write()

    async def _write(self) -> None:
        """Write once and keep the outcome; takes at most :data:`TIMEOUT`."""
        failure, detail = _NOT_CONFIRMED, f"a write took longer than {TIMEOUT:g} s"
        with trio.move_on_after(TIMEOUT):
            try:
                await self._store.check_write()
            except StoreError as error:
                failure, detail = _sentence(error), str(error)
            else:
                self._succeeded()
                return
        self._failures += 1
        if self._failure != failure:
            self._events.publish(
                "store.unavailable", f"not ready: {failure} {detail}", severity="error"
            )
        self._failure = failure

    def _succeeded(self) -> None:
        self._writes += 1
        self._written_at = trio.current_time()
        if self._failure is not None:
            self._events.publish("store.available", "ready: the database stores changes")
        self._failure = None

    def _age(self) -> float:
        return trio.current_time() - self._written_at


def _sentence(error: StoreError) -> str:
    """Return the reason for anybody who asks; the database's own words may name its files."""
    match error:
        case CommitRefused():
            return _REFUSED
        case OutcomeUnknown():
            return _NOT_CONFIRMED
        case _:
            return _NO_REPLY
