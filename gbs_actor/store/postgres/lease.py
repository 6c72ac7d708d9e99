"""The right to serve a database: one server alone, or several nodes, by advisory locks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from gbs_actor.concurrency import Backoff
from gbs_actor.store.postgres.connection import (
    ConnectionLost,
    DbConnection,
    NotConnected,
    ServerRefused,
)
from gbs_actor.store.postgres.pool import Connect, connect_with_retries
from gbs_actor.store.postgres.running_servers import (
    LOCK_KEY,
    DatabaseInUse,
    node_lock_key,
    schema_lock_key,
)
from gbs_actor.store.protocol import StoreError, StoreUnavailable

_POLL: Final = 0.1
_HEARTBEAT: Final = 10.0
_RETAKE: Final = Backoff(initial=0.02, maximum=1.0)
_TRY = """
WITH tried AS MATERIALIZED (SELECT {locks})
SELECT supported, free, is_unique,
       -- At once: a migration that waits for some of them would else give up, and this server, too.
       CASE WHEN NOT (supported AND free AND is_unique) THEN pg_advisory_unlock_all()::text END
    FROM tried
"""
_TRY_ALONE = _TRY.format(
    locks="""
    pg_try_advisory_lock_shared($1) AS supported, pg_try_advisory_lock($2) AS free,
    true AS is_unique
"""
)
_TRY_SHARED = _TRY.format(
    locks="""
    pg_try_advisory_lock_shared($1) AS supported, pg_try_advisory_lock_shared($2) AS free,
    pg_try_advisory_lock($3) AS is_unique
"""
)

_log = structlog.get_logger(__name__)


class Lease:
    """An advisory lock on a connection of its own.

    Nodes share it, and each has a second one, of its name. A third one is of the schema's version.
    The locks end with their connection, so that they never outlive the server. If the connection is
    lost while the server runs, :meth:`keep` takes the locks again.

    :param timeout: seconds that one query may take.
    :param schema_version: the one that this server was written for.
    :param check: called with the connection and a deadline each time the locks were taken; raises
        :exc:`StoreError` if this server cannot serve what the database is now.
    :param node: the name of this server among several; ``None``: it is to be the only one.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        timeout: float,
        schema_version: int,
        check: Callable[[DbConnection, float], Awaitable[None]],
        node: str | None = None,
    ) -> None:
        self._connect = connect
        self._schema_version = schema_version
        self._check = check
        self._node = node
        self._timeout = timeout
        self._connection: DbConnection | None = None
        self._identity = ""
        self._taken = trio.Event()
        self._name_taken = False
        self._retaken = 0
        self._retaken_changed = trio.lowlevel.ParkingLot()

    @property
    def held(self) -> bool:
        """Whether the lock is held, as far as is known."""
        return self._connection is not None and not self._connection.closed

    @property
    def identity(self) -> str:
        """The cluster and the database, whichever timeline it is on; "" before :meth:`take`."""
        return self._identity

    @property
    def name_taken(self) -> bool:
        """Whether another process had this one's name when the locks were last tried for."""
        return self._name_taken

    async def wait_held(self, deadline: float) -> None:
        """Wait until the lock is held.

        :param deadline: in Trio's time.
        :raises StoreUnavailable: it is not held in time.
        """
        while not self.held:
            with trio.CancelScope(deadline=deadline) as scope:
                await self._taken.wait()
            if scope.cancelled_caught:
                raise StoreUnavailable("the database is not reachable, or another server has it")
            await trio.lowlevel.checkpoint()

    async def wait_retaken(self, seen: int) -> int:
        """Wait until the lock was lost and taken again more than ``seen`` times.

        :returns: how often it was.
        """
        while self._retaken <= seen:
            await self._retaken_changed.park()
        return self._retaken

    async def take(self, longest_wait: float) -> None:
        """Take the lock for the first time.

        :param longest_wait: seconds to wait for another holder: the connection of a server that
            was just killed may stay open a moment longer.
        :raises DatabaseInUse: another server holds it, or has the same name.
        :raises StoreUnavailable: the database cannot be reached.
        :raises StoreError: of the check.
        """
        deadline = trio.current_time() + self._timeout
        connection = await connect_with_retries(self._connect, deadline)
        try:
            refusal = await self._try_lock(connection, trio.current_time() + longest_wait)
            if refusal is not None:
                raise DatabaseInUse(refusal)
            await self._check(connection, trio.current_time() + self._timeout)
            self._adopt(connection)
        except (ConnectionLost, ServerRefused) as error:
            raise StoreUnavailable(f"the database cannot be used: {error}") from None
        finally:
            if self._connection is not connection:
                connection.terminate()

    async def keep(self) -> None:
        """Watch the lock's connection, and take the lock again whenever it was lost.

        Runs until cancelled.
        """
        while True:
            if (connection := self._connection) is not None:
                await self._watch(connection)
                connection.terminate()
                self._connection = None
                self._taken = trio.Event()
                _log.warning("the lock on the database is lost; taking it again")
            await self._retake()

    async def release(self, *, deadline: float) -> None:
        """Close the connection, which frees the lock for the next server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(deadline=deadline)

    def _adopt(self, connection: DbConnection) -> None:
        self._connection = connection
        cluster, _, database = connection.cluster.split(":")
        self._identity = f"{cluster}-{database}"
        self._taken.set()

    async def _watch(self, connection: DbConnection) -> None:
        """Return when the connection has ended, or no longer responds."""
        while not connection.closed:
            with trio.move_on_after(_HEARTBEAT):
                await connection.wait_closed()
                return
            try:
                await connection.fetch("SELECT 1", deadline=trio.current_time() + self._timeout)
            except (ConnectionLost, ServerRefused):
                return

    async def _retake(self) -> None:
        for pause in _RETAKE.delays():
            connection = None
            try:
                connection = await self._connect(trio.current_time() + self._timeout)
                refusal = await self._try_lock(connection, trio.current_time() + self._timeout)
                if refusal is None:
                    # It may have been migrated meanwhile.
                    await self._check(connection, trio.current_time() + self._timeout)
                    self._adopt(connection)
                    self._retaken += 1
                    self._retaken_changed.unpark_all()
                    _log.info("the lock on the database is held again")
                    return
                _log.error("the lock on the database cannot be taken", reason=refusal)
            except (NotConnected, ConnectionLost, ServerRefused):
                pass  # reported by the calls that fail meanwhile
            except StoreError as error:
                _log.error("the database can no longer be served", reason=str(error))
            finally:
                if connection is not None and self._connection is not connection:
                    connection.terminate()
            await trio.sleep(pause)

    async def _try_lock(self, connection: DbConnection, deadline: float) -> str | None:
        """Try until the deadline, at least once; return why the lock is not ours, if it is not.

        None is held then, nor between the tries.
        """
        keys = [schema_lock_key(self._schema_version), LOCK_KEY]
        if self._node is not None:
            keys.append(node_lock_key(self._node))
        sql = _TRY_ALONE if self._node is None else _TRY_SHARED
        while True:
            query_deadline = trio.current_time() + self._timeout
            (row,) = await connection.fetch(sql, *keys, deadline=query_deadline)
            self._name_taken = not row["is_unique"]
            if row["supported"] and row["free"] and row["is_unique"]:
                return None
            if trio.current_time() + _POLL > deadline:
                return self._refusal(supported=row["supported"], free=row["free"])
            await trio.sleep(_POLL)

    def _refusal(self, *, supported: bool, free: bool) -> str:
        if not supported:
            return (
                "the database is being migrated to a version that is not compatible with this "
                "server; start the new version once that is done"
            )
        if free:
            return (
                f"a server with the node name {self._node} is already serving this database; "
                "give this one another name"
            )
        if self._node is not None:
            return (
                "a server without a node name is already serving this database, alone; stop it "
                "first"
            )
        return "another server is already serving this database; stop it first"
