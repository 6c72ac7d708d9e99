"""asyncpg, which needs asyncio, for callers in Trio: the only module that uses either.

Every call has a deadline. A call that is late or cancelled ends at once, by terminating its
connection. asyncpg's own timeouts are not enough: they send a cancel request and wait for the
response, which a frozen server does not send.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import structlog
import trio
import trio_asyncio

T = TypeVar("T")
Row = Mapping[str, Any]
"""One row of a result, by column name."""

_log = structlog.get_logger(__name__)


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
class BridgeCounters:
    """Counters of a bridge."""

    terminated: int = 0
    """Connections that ended without an orderly close from either side."""
    background_errors: int = 0
    """Errors of the driver that belonged to no call."""


class Bridge:
    """An asyncio event loop within Trio, and the connections made on it."""

    def __init__(self, loop: trio_asyncio.TrioEventLoop) -> None:
        self._loop = loop
        self.counters = BridgeCounters()
        loop.set_exception_handler(self._note_background_error)
        # The loop's own name look-up cannot be cancelled, and would block its caller far
        # beyond the deadline; Trio's abandons its thread.
        loop.getaddrinfo = trio_asyncio.trio_as_aio(trio.socket.getaddrinfo)

    async def connect(
        self, dsn: str, *, deadline: float, settings: Mapping[str, str] | None = None
    ) -> DbConnection:
        """Open a connection.

        :param deadline: in Trio's time.
        :param settings: of the server, for this connection.
        :raises NotConnected: none was opened in time; the reason contains no password.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        connecting: Coroutine[Any, Any, Any] = asyncpg.connect(
            dsn, loop=self._loop, server_settings=dict(settings or {}), timeout=None
        )
        try:
            driver = await self._settle(connecting, deadline, on_abort=lambda: None)
        except _Late:
            raise NotConnected("the database does not answer") from None
        except asyncpg.PostgresError as error:
            # Wrong credentials (28), no such database (3D), unknown settings (42):
            # these are permanent. Starting up, shutting down, too many clients are not.
            final = (error.sqlstate or "")[:2] in {"28", "3D", "42"}
            raise NotConnected(_describe(error), final=final) from None
        except (OSError, EOFError, asyncio.CancelledError) as error:
            raise NotConnected(_describe(error)) from None
        except (asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError) as error:
            # The address itself may be at fault, and the message then quote parts of it.
            raise NotConnected(
                f"the database's address cannot be used ({type(error).__name__})", final=True
            ) from None
        return DbConnection(self, driver)

    async def _settle(
        self, coroutine: Coroutine[Any, Any, T], deadline: float, on_abort: Callable[[], None]
    ) -> T:
        """Run a coroutine of asyncio; at the deadline or when cancelled, abort it.

        :raises _Late: the deadline has passed.
        :raises trio.Cancelled: after ``on_abort`` was called and the coroutine has ended.
        """
        future = asyncio.ensure_future(coroutine, loop=self._loop)
        task = trio.lowlevel.current_task()
        raise_cancel: Callable[[], Any] | None = None

        def resume(_: asyncio.Future[T]) -> None:
            trio.lowlevel.reschedule(task)

        def abort(raise_: Callable[[], Any]) -> trio.lowlevel.Abort:
            nonlocal raise_cancel
            if not future.done():
                raise_cancel = raise_
                on_abort()
                future.cancel()
            return trio.lowlevel.Abort.FAILED  # the future resumes us, within a tick

        future.add_done_callback(resume)
        with trio.CancelScope(deadline=deadline):
            await trio.lowlevel.wait_task_rescheduled(abort)
            if raise_cancel is not None and (future.cancelled() or future.exception()):
                raise_cancel()
            return future.result()
        raise _Late

    def _note_background_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count and log what asyncio would otherwise raise into the nursery."""
        self.counters.background_errors += 1
        error = context.get("exception")
        _log.warning(
            "an error of the database driver",
            message=context.get("message"),
            error=None if error is None else _describe(error),
        )


class DbConnection:
    """One connection to PostgreSQL, to be used from Trio.

    Every method takes the deadline in Trio's time, and raises :exc:`ServerRefused`, or
    :exc:`ConnectionLost` after which the connection is closed. A cancelled call closes
    the connection too, before the cancellation continues.
    """

    def __init__(self, bridge: Bridge, driver: Any) -> None:
        self._bridge = bridge
        self._driver = driver
        self._prepared: dict[str, Any] = {}
        self.lost = trio.Event()
        """Set when the connection has ended."""
        self._ending = False
        driver.add_termination_listener(self._note_end)

    @property
    def usable(self) -> bool:
        """Whether it is open, in no transaction, and has nothing to read.

        An idle connection with something to read has been closed, or is about to be,
        even if the event loop has not noticed it yet.
        """
        driver = self._driver
        if driver.is_closed() or driver.is_in_transaction():
            return False
        poll = select.poll()
        poll.register(driver._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

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
        """Add records to a table."""
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
            if not self._driver.is_closed():
                with trio.CancelScope(shield=True), suppress(ServerRefused, ConnectionLost):
                    # One second: this may run after the deadline, to tidy up.
                    await self.execute("ROLLBACK", deadline=trio.current_time() + 1.0)
            raise
        if commit_timeout is not None:
            deadline = trio.current_time() + commit_timeout
        await self.execute("COMMIT", deadline=deadline)

    def terminate(self) -> None:
        """End the connection at once, without notice to the server."""
        if not self.lost.is_set():
            self._driver.terminate()
            self._note_end()

    async def close(self, *, deadline: float) -> None:
        """Close the connection orderly; if that takes too long, terminate it."""
        if self._driver.is_closed():
            return
        self._ending = True
        with suppress(ServerRefused, ConnectionLost):
            await self._call(self._driver.close, deadline)

    def _note_end(self, _: object = None) -> None:
        """Set :attr:`lost`, and count an end that was no orderly close."""
        if not self.lost.is_set():
            self.lost.set()
            self._bridge.counters.terminated += not self._ending

    async def _call(self, operation: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        if trio.current_time() >= deadline:
            raise ConnectionLost("there was no time left", sent=False)
        try:
            return await self._bridge._settle(
                self._if_open(operation), deadline, on_abort=self.terminate
            )
        except _Late:
            raise ConnectionLost("the database did not answer in time", sent=True) from None
        except _NotSent:
            self.terminate()
            raise ConnectionLost("the connection had been closed", sent=False) from None
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
            EOFError,
            asyncio.CancelledError,
        ) as error:
            self.terminate()
            raise ConnectionLost(_describe(error), sent=True) from None

    async def _if_open(self, operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Check right before sending: asyncpg does not yield between here and the send."""
        if self._driver.is_closed():
            raise _NotSent
        return await operation()


class _Late(Exception):
    """The deadline has passed."""


class _NotSent(Exception):
    """The connection was closed before anything was sent."""


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """Run an asyncio event loop within the block.

    Exceptions of the block are raised ungrouped, unless background tasks fail, too.
    """
    failure: Exception | None = None
    async with trio_asyncio.open_loop() as loop:
        try:
            yield Bridge(loop)
        except Exception as error:  # noqa: BLE001  (raised below, not as a group)
            failure = error
    if failure is not None:
        raise failure


def _describe(error: BaseException) -> str:
    """Return what went wrong, without the server's DETAIL, which may quote personal data."""
    if isinstance(error, asyncpg.PostgresError) and error.args:
        return str(error.args[0])
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
