"""How a store gets at its database: its connections, its lock, its time limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import trio

from gbs_actor.store.postgres import queries
from gbs_actor.store.postgres.bridge import (
    Bridge,
    ConnectionLost,
    NotConnected,
    Row,
    ServerRefused,
    Session,
)
from gbs_actor.store.postgres.lease import Lease
from gbs_actor.store.postgres.pool import Pool
from gbs_actor.store.protocol import StoreUnavailable

T = TypeVar("T")

_CLOSING_TIME = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store waits for its database, in seconds."""

    commit: float
    read: float
    connect: float


class Sessions:
    """The connections of one store, lent one call at a time.

    :param bridge: what they are made on.
    :param dsn: the database's address; it appears in no message.
    :param patience: the time limits.
    :param pool_size: connections at most, besides the one that holds the lock.
    """

    def __init__(self, bridge: Bridge, dsn: str, *, patience: Patience, pool_size: int) -> None:
        self._bridge = bridge
        self._dsn = dsn
        self._patience = patience
        self.pool = Pool(self._connect, size=pool_size, connect_timeout=patience.connect)
        self.lease = Lease(self.connect_plainly, timeout=patience.connect)
        self.reachable = True
        """Whether the last contact succeeded."""

    async def connect_plainly(self, deadline: float) -> Session:
        """Make a session that no time limits of the server apply to.

        But the server has to notice soon that we are gone without a word (a network that
        was cut, a machine that lost power): until then the session holds its locks.
        """
        settings = {
            "application_name": "gbs_actor",
            "timezone": "UTC",
            # A role or a database may have its own.
            "statement_timeout": "0",
            "lock_timeout": "0",
            "idle_session_timeout": "0",
            # Without effect on a Unix socket.
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
            "tcp_user_timeout": _milliseconds(20.0),
        }
        return await self._bridge.connect(self._dsn, deadline=deadline, settings=settings)

    async def _connect(self, deadline: float) -> Session:
        """Make a session of the pool, with the commit prepared."""
        longest = max(self._patience.commit, self._patience.read)
        settings = {
            "application_name": "gbs_actor",
            "timezone": "UTC",
            "jit": "off",
            # So that the server gives a definite answer before we stop waiting for one…
            "lock_timeout": _milliseconds(0.8 * self._patience.commit),
            # …and does not go on for long with what nobody waits for any more.
            "statement_timeout": _milliseconds(longest),
            "idle_in_transaction_session_timeout": _milliseconds(longest),
            "client_connection_check_interval": _milliseconds(1.0),
        }
        session = await self._bridge.connect(self._dsn, deadline=deadline, settings=settings)
        try:
            await session.prepare(queries.COMMIT, deadline=deadline)
        except (ConnectionLost, ServerRefused) as error:
            session.terminate()
            raise NotConnected(str(error)) from None
        except BaseException:
            session.terminate()
            raise
        return session

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run one statement that may be run twice, and return its rows.

        :raises StoreUnavailable: there is no answer in time.
        """
        return await self.read(
            lambda session, deadline: session.fetch(sql, *arguments, deadline=deadline)
        )

    async def read(self, ask: Callable[[Session, float], Awaitable[T]]) -> T:
        """Ask, and if the connection was a dead one, ask again on a fresh one.

        :param ask: gets a session and a deadline; it must do no harm twice.
        :raises StoreUnavailable: there is no answer in time.
        """
        deadline = trio.current_time() + self._patience.read
        for fresh in (False, True):
            try:
                async with self.lend(deadline, fresh=fresh) as session:
                    return await ask(session, deadline)
            except ServerRefused as error:
                raise StoreUnavailable(f"the database refuses to answer: {error}") from None
            except ConnectionLost as error:
                reason = str(error)
        raise StoreUnavailable(f"the database does not answer: {reason}")

    @asynccontextmanager
    async def lend(self, deadline: float, *, fresh: bool = False) -> AsyncIterator[Session]:
        """Lend a session and note whether the database could be reached.

        :raises StoreUnavailable: there is none in time. Nothing was sent.
        """
        try:
            async with self.pool.session(deadline, fresh=fresh) as session:
                yield session
        except (StoreUnavailable, ConnectionLost):
            self.reachable = False
            # What cut one connection off has probably cut off the idle ones, too.
            self.pool.drop_idle()
            raise
        except ServerRefused:
            self.reachable = True
            raise
        self.reachable = True

    async def wait_for_lease(self, deadline: float) -> None:
        """Wait until we are the only server of the database.

        :raises StoreUnavailable: until the deadline, or for too long, we are not.
        """
        if not self.lease.held:
            limit = trio.current_time() + self._patience.connect
            await self.lease.wait_held(min(deadline, limit))

    async def aclose(self) -> None:
        """Close every connection, in two seconds at most and not to be cancelled."""
        deadline = trio.current_time() + _CLOSING_TIME
        with trio.CancelScope(shield=True):
            await self.pool.aclose(deadline=deadline)
            await self.lease.release(deadline=deadline)


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(1_000 * seconds)))
