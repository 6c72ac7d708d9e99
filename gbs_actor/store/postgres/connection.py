"""A connection to PostgreSQL: asyncpg's, with deadlines.

Every call has a deadline. A call that is late or cancelled ends at once, by terminating its
connection. asyncpg's own timeouts are not enough: they send a cancel request and wait for the
response, which a frozen server does not send.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg
import trio
from asyncpg.connect_utils import _connect

from gbs_actor.store.postgres.event_loop import ConnectionLoop

T = TypeVar("T")
Row = Mapping[str, Any]
"""One row of a result, by column name."""

_CONNECT_OPTIONS: Final = {
    **dict.fromkeys(
        ("host", "port", "user", "password", "passfile", "database", "service", "servicefile")
    ),
    **dict.fromkeys(("ssl", "direct_tls", "target_session_attrs", "krbsrvname", "gsslib")),
    "command_timeout": None,
    "statement_cache_size": 100,
    "max_cacheable_statement_size": 15 * 1024,
    "max_cached_statement_lifetime": 0,
}
"""Of asyncpg: all from the DSN or the environment, and nothing that would need a timer."""
_TERMINATE: Final = b"X\x00\x00\x00\x04"
"""The message Terminate, see "Message Formats" in PostgreSQL's documentation."""


class ServerRefused(Exception):
    """The server returned an error; the transaction has been rolled back."""

    def __init__(self, sqlstate: str, message: str, constraint: str | None = None) -> None:
        super().__init__(f"{message} ({sqlstate})")
        self.sqlstate = sqlstate
        self.constraint = constraint


class ConnectionLost(Exception):
    """The connection has ended, by itself or at the deadline.

    ``sent``: whether the server may have received the statement.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class NotConnected(Exception):
    """No connection could be opened; ``final`` if a retry would not help."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(slots=True)
class ConnectionCounters:
    """Counters of the connections of one store."""

    terminated: int = 0
    """Connections that ended without an orderly close from our side."""


async def connect(
    dsn: str,
    *,
    deadline: float,
    settings: Mapping[str, str] | None = None,
    counters: ConnectionCounters | None = None,
) -> DbConnection:
    """Open a connection.

    :param deadline: in Trio's time.
    :param settings: of the server, for this connection.
    :param counters: count its end.
    :raises NotConnected: none was opened in time; the reason contains no password.
    """
    loop = ConnectionLoop()
    opened = False
    try:
        with trio.CancelScope(deadline=deadline):
            driver = await _connect(
                loop=loop,
                connection_class=asyncpg.Connection,
                record_class=asyncpg.Record,
                dsn=dsn,
                server_settings=dict(settings or {}),
                **_CONNECT_OPTIONS,
            )
            connection = DbConnection(driver, loop, counters or ConnectionCounters())
            opened = True
            return connection
    except asyncpg.PostgresError as error:
        # Wrong credentials (28), no such database (3D), unknown settings (42):
        # these are permanent. Starting up, shutting down, too many clients are not.
        final = (error.sqlstate or "")[:2] in {"28", "3D", "42"}
        raise NotConnected(_describe(error), final=final) from None
    except OSError as error:
        raise NotConnected(_describe(error)) from None
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError) as error:
        # The address itself may be at fault, and the message then quote parts of it.
        raise NotConnected(
            f"the database's address cannot be used ({type(error).__name__})", final=True
        ) from None
    finally:
        if not opened:
            loop.close()
    raise NotConnected("the database does not answer")


class DbConnection:
    """One connection to PostgreSQL; made by :func:`connect`.

    Every method takes the deadline in Trio's time, and raises :exc:`ServerRefused`, or
    :exc:`ConnectionLost` after which the connection is closed. A cancelled call closes
    the connection too, before the cancellation continues.

    Nothing reads from an idle connection: that it has ended is noticed by :meth:`is_usable`,
    :meth:`wait_closed` and the next call.
    """

    def __init__(self, driver: Any, loop: ConnectionLoop, counters: ConnectionCounters) -> None:
        self._driver = driver
        self._transport = loop.transport
        self._counters = counters
        self._prepared: dict[str, Any] = {}
        self._end_counted = False
        self.cluster = ""
        """Which copy of which database it is to; "": not known."""

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, as far as was noticed."""
        return bool(self._driver.is_closed())

    @property
    def pid(self) -> int:
        """The process of the server that serves it."""
        return int(self._driver.get_server_pid())

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun that has not ended."""
        return not self.closed and bool(self._driver.is_in_transaction())

    def is_usable(self) -> bool:
        """Return whether it is open, in no transaction, and nothing arrived while it was idle.

        What arrives from an idle connection is nearly always its end.
        """
        return not (self.closed or self.in_transaction or self._transport.receive())

    async def prepare(self, sql: str, *, deadline: float) -> None:
        """Prepare a statement, so that :meth:`fetch` runs it in one round trip.

        Also reads the types of its parameters, which the driver caches until the connection
        ends.
        """
        self._prepared[sql] = await self._call(lambda: self._driver.prepare(sql), deadline)

    async def fetch(self, sql: str, *arguments: object, deadline: float) -> Sequence[Row]:
        """Run one statement and return its rows."""
        if (prepared := self._prepared.get(sql)) is not None:
            return await self._call(lambda: prepared.fetch(*arguments), deadline)
        return await self._call(lambda: self._driver.fetch(sql, *arguments), deadline)

    async def execute(self, script: str, *, deadline: float) -> None:
        """Run statements that take no arguments."""
        await self._call(lambda: self._driver.execute(script), deadline)

    async def copy(
        self,
        table: str,
        columns: Sequence[str],
        records: Sequence[tuple[object, ...]],
        *,
        deadline: float,
    ) -> None:
        """Add records to a table. An invalid record closes the connection."""
        await self._call(
            lambda: self._driver.copy_records_to_table(table, columns=columns, records=records),
            deadline,
        )

    @asynccontextmanager
    async def transaction(
        self, mode: str = "", *, deadline: float, commit_timeout: float | None = None
    ) -> AsyncIterator[None]:
        """Run a block in a transaction; an exception of any kind rolls it back.

        :param mode: such as ``ISOLATION LEVEL REPEATABLE READ READ ONLY``.
        :param commit_timeout: seconds for the commit, for blocks that may outlast
            ``deadline``; by default ``deadline`` bounds the commit, too.
        """
        await self.execute(f"BEGIN {mode}", deadline=deadline)
        try:
            yield
        except BaseException:
            if not self.closed:
                with trio.CancelScope(shield=True), suppress(ServerRefused, ConnectionLost):
                    # One second: this may run after the deadline, to tidy up.
                    await self.execute("ROLLBACK", deadline=trio.current_time() + 1.0)
            raise
        if commit_timeout is not None:
            deadline = trio.current_time() + commit_timeout
        await self.execute("COMMIT", deadline=deadline)

    async def listen(
        self, channel: str, received: Callable[[str], None], *, deadline: float
    ) -> None:
        """Listen to a channel.

        :param received: called with the payload of each notification, while a method of this
            connection receives; must not raise.
        """

        def pass_on(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            received(payload)

        await self._call(lambda: self._driver.add_listener(channel, pass_on), deadline)

    async def receive(self) -> None:
        """Wait until something has arrived; no call may be made meanwhile.

        Cancelling it has no other effect.

        :raises ConnectionLost: the connection has ended.
        """
        if not self.closed:
            try:
                await self._transport.wait_received()
            except (OSError, trio.ClosedResourceError) as error:
                self.terminate()
                raise ConnectionLost(_describe(error), sent=False) from None
        if self.closed:
            self.terminate()
            raise ConnectionLost("the connection was closed", sent=False)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended; no call may be made meanwhile."""
        with suppress(OSError, trio.ClosedResourceError):
            while not self.closed:
                await self._transport.wait_received()
        self.terminate()

    def terminate(self) -> None:
        """End the connection at once."""
        if not self._end_counted:
            self._end_counted = True
            self._counters.terminated += 1
        self._driver.terminate()

    async def close(self, *, deadline: float) -> None:
        """Close the connection, and wait until the server has, but not beyond the deadline."""
        self._end_counted = self._end_counted or not self.closed
        try:
            with trio.CancelScope(deadline=deadline):
                self._transport.write(_TERMINATE)
                await self.wait_closed()
        finally:
            self.terminate()

    async def _call(self, operation: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        if trio.current_time() >= deadline:
            raise ConnectionLost("there was no time left", sent=False)
        if self.closed:
            self.terminate()
            raise ConnectionLost("the connection had been closed", sent=False)
        try:
            with trio.CancelScope(deadline=deadline):
                return await operation()
        except (asyncpg.DataError, asyncpg.exceptions._base.DataError) as error:
            # Of the server, or of the driver while encoding arguments: nothing sent then.
            sqlstate = getattr(error, "sqlstate", None) or "22000"
            raise ServerRefused(sqlstate, _describe(error)) from None
        except asyncpg.PostgresError as error:
            if error.sqlstate is not None and (error.severity_en or error.severity) == "ERROR":
                raise ServerRefused(
                    error.sqlstate, _describe(error), error.constraint_name
                ) from None
            self.terminate()
            raise ConnectionLost(_describe(error), sent=True) from None
        except (
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
            trio.ClosedResourceError,
        ) as error:
            self.terminate()
            raise ConnectionLost(_describe(error), sent=True) from None
        except BaseException:
            self.terminate()
            raise
        self.terminate()
        raise ConnectionLost("the database did not answer in time", sent=True)


def _describe(error: BaseException) -> str:
    """Return what went wrong, without the server's DETAIL, which may quote personal data."""
    if isinstance(error, asyncpg.PostgresError) and error.args:
        return str(error.args[0])
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
