"""A store's access to its database: connections, the lease, timeouts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import trio

from gbs_actor.store.postgres.connection import (
    ConnectionCounters,
    ConnectionLost,
    DbConnection,
    NotConnected,
    Row,
    ServerRefused,
    connect,
)
from gbs_actor.store.postgres.lease import Lease
from gbs_actor.store.postgres.pool import Pool
from gbs_actor.store.protocol import CommitRefused, LockLost, OutcomeUnknown, StoreUnavailable

T = TypeVar("T")

CLOSE_TIMEOUT = 2.0
"""Seconds that an orderly close of connections may take."""

_CLUSTER = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN format('%s:%s:%s',
       (SELECT system_identifier FROM pg_control_system()),
       left(pg_walfile_name(pg_current_wal_lsn()), 8),
       (SELECT oid FROM pg_database WHERE datname = current_database()))
       END AS cluster
"""
"""The cluster, its timeline and the database. As long as a connection lasts, they stay the same."""

_OWN = {"gbs.own": "on"}
"""Tells the triggers that note other programs' changes to leave a session alone. That holds for all
that a store does: rooms know their commits, and nobody knows a retreat that is being imported. Set
once when a connection is opened, it costs a commit nothing."""

_DATA_ERRORS = ("21", "22", "23", "44", "54")
"""Classes of errors that a retry with the same values would get again."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a store waits for its database, in seconds."""

    commit: float
    read: float
    connect: float


class Database:
    """The connections of one store, each checked out for one call at a time.

    :param dsn: the database's address; it appears in no message.
    :param prepare: statements that each connection prepares when it is opened.
    :param pool_size: connections at most, besides the one that holds the lease.
    :param schema_version, check, node: see :class:`~gbs_actor.store.postgres.lease.Lease`.
    """

    def __init__(
        self,
        dsn: str,
        *,
        timeouts: Timeouts,
        pool_size: int,
        schema_version: int,
        check: Callable[[DbConnection, float], Awaitable[None]],
        prepare: Sequence[str] = (),
        node: str | None = None,
    ) -> None:
        self._dsn = dsn
        self._timeouts = timeouts
        self._prepare = prepare
        self.pool = Pool(self._connect, size=pool_size, connect_timeout=timeouts.connect)
        self.lease = Lease(
            self.connect_without_limits,
            timeout=timeouts.connect,
            schema_version=schema_version,
            check=check,
            node=node,
        )
        self.reachable = True
        """Whether the last contact succeeded."""
        self.counters = ConnectionCounters()

    async def connect_without_limits(self, deadline: float) -> DbConnection:
        """Open a connection without the server's time limits.

        But the server has to notice soon that this process has vanished (a broken network, a
        machine without power): until then the connection holds its locks.
        """
        settings = {
            "application_name": "gbs_actor",
            "timezone": "UTC",
            # A role or a database may have its own.
            "statement_timeout": "0",
            "lock_timeout": "0",
            "idle_session_timeout": "0",
            # Also while a statement waits for a lock.
            "client_connection_check_interval": _milliseconds(1.0),
            # Without effect on a Unix socket.
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
            "tcp_user_timeout": _milliseconds(20.0),
        }
        return await self._connect_with(settings, deadline)

    async def _connect(self, deadline: float) -> DbConnection:
        """Open a connection of the pool."""
        longest = max(self._timeouts.commit, self._timeouts.read)
        settings = {
            "application_name": "gbs_actor",
            "timezone": "UTC",
            "jit": "off",
            # So that the server returns a definite outcome before we stop waiting for one…
            "lock_timeout": _milliseconds(0.8 * self._timeouts.commit),
            # …and does not run long statements that no caller waits for.
            "statement_timeout": _milliseconds(longest),
            "idle_in_transaction_session_timeout": _milliseconds(longest),
            "client_connection_check_interval": _milliseconds(1.0),
        }
        connection = await self._connect_with(settings, deadline)
        try:
            for sql in self._prepare:
                await connection.prepare(sql, deadline=deadline)
        except (ConnectionLost, ServerRefused) as error:
            connection.terminate()
            raise NotConnected(str(error)) from None
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _connect_with(self, settings: Mapping[str, str], deadline: float) -> DbConnection:
        connection = await connect(
            self._dsn, deadline=deadline, settings={**_OWN, **settings}, counters=self.counters
        )
        try:
            (row,) = await connection.fetch(_CLUSTER, deadline=deadline)
        except (ConnectionLost, ServerRefused) as error:
            connection.terminate()
            raise NotConnected(str(error)) from None
        except BaseException:
            connection.terminate()
            raise
        if row["cluster"] is None:
            connection.terminate()
            raise NotConnected("it is a standby; name the primary", final=True)
        connection.cluster = row["cluster"]
        return connection

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run one statement that may be run twice, and return its rows.

        :raises StoreUnavailable: there is no reply in time.
        """
        return await self.read(
            lambda connection, deadline: connection.fetch(sql, *arguments, deadline=deadline)
        )

    async def read(self, query: Callable[[DbConnection, float], Awaitable[T]]) -> T:
        """Run a query; if its connection was broken, retry on a new one.

        :param query: called with a connection and a deadline; must be idempotent.
        :raises StoreUnavailable: there is no reply in time.
        """
        deadline = trio.current_time() + self._timeouts.read
        for fresh in (False, True):
            try:
                async with self.connection(deadline, fresh=fresh) as connection:
                    return await query(connection, deadline)
            except ServerRefused as error:
                raise StoreUnavailable(f"the database refuses to answer: {error}") from None
            except ConnectionLost as error:
                reason = str(error)
        raise StoreUnavailable(f"the database does not answer: {reason}")

    async def write(self, change: Callable[[DbConnection], Awaitable[T]]) -> T:
        """Run a transaction that is no commit of a room.

        :raises StoreUnavailable: nothing was sent: there is no connection, or no lease.
        :raises CommitRefused: the database refused; nothing has changed.
        :raises OutcomeUnknown: connection lost, or timeout, after it was sent.
        """
        deadline = trio.current_time() + self._timeouts.connect
        await self.wait_for_lease(deadline)
        try:
            async with self.connection(deadline) as connection:
                return await change(connection)
        except ServerRefused as error:
            raise refused(error) from None
        except ConnectionLost as error:
            if error.sent:
                raise OutcomeUnknown(f"the answer of the database was lost: {error}") from None
            raise StoreUnavailable(f"the database cannot be reached: {error}") from None

    @asynccontextmanager
    async def connection(
        self, deadline: float, *, fresh: bool = False
    ) -> AsyncIterator[DbConnection]:
        """Check out a connection and record whether the database could be reached.

        :raises StoreUnavailable: there is none in time. Nothing was sent.
        """
        try:
            async with self.pool.connection(deadline, fresh=fresh) as connection:
                yield connection
        except LockLost:
            raise  # what ended its session need not have ended others
        except (StoreUnavailable, ConnectionLost):
            self.reachable = False
            # What broke one connection has probably broken the idle ones, too.
            self.pool.end_idle()
            raise
        except ServerRefused:
            self.reachable = True
            raise
        self.reachable = True

    async def wait_for_lease(self, deadline: float) -> None:
        """Wait until we may serve the database.

        :raises StoreUnavailable: we may not until the deadline, or for too long.
        """
        if not self.lease.held:
            limit = trio.current_time() + self._timeouts.connect
            await self.lease.wait_held(min(deadline, limit))

    async def aclose(self) -> None:
        """Close every connection, within two seconds, shielded from cancellation."""
        deadline = trio.current_time() + CLOSE_TIMEOUT
        with trio.CancelScope(shield=True):
            await self.pool.aclose(deadline=deadline)
            await self.lease.release(deadline=deadline)


def refused(error: ServerRefused) -> CommitRefused:
    """Return the exception for a server's error."""
    return CommitRefused(str(error), data_error=error.sqlstate.startswith(_DATA_ERRORS))


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(1_000 * seconds)))
