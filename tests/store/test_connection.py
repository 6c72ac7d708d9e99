"""asyncpg over sockets of Trio: nothing hangs, nothing is left open, nothing else runs."""

from __future__ import annotations

import asyncio
import inspect
import random
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest
import trio
import trio.testing
from asyncpg.connect_utils import _parse_connect_arguments

from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.connection import (
    _CONNECT_OPTIONS,
    ConnectionCounters,
    ConnectionLost,
    DbConnection,
    NotConnected,
    ServerRefused,
    connect,
)
from gbs_actor.store.postgres.event_loop import ConnectionLoop, Future, Transport
from gbs_actor.store.postgres.store import PostgresStore
from tests.certificates import Authority
from tests.store.other_clients import ask, soon, terminate_others
from tests.store.proxy import Proxy, listening, receive_exactly

BIG = "z" * 3_000_000
"""More than the buffers of a connection take."""


class TaskSteps(trio.abc.Instrument):
    """Counts how often tasks run."""

    def __init__(self) -> None:
        self.steps: list[trio.lowlevel.Task] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps.append(task)


async def steps_of(call: Callable[[], Awaitable[object]]) -> list[trio.lowlevel.Task]:
    """Make a call twice, and return which tasks ran during the second."""
    await call()
    await trio.testing.wait_all_tasks_blocked()
    steps = TaskSteps()
    trio.lowlevel.add_instrument(steps)
    await call()
    trio.lowlevel.remove_instrument(steps)
    return steps.steps


class TestQueries:
    async def test_a_query_takes_one_step_of_one_task(self, outside: DbConnection) -> None:
        steps = await steps_of(lambda: ask(outside, "SELECT 1"))
        assert steps == [trio.lowlevel.current_task()]

    async def test_a_call_of_the_store_takes_one_step_of_one_task(
        self, postgres: PostgresStore
    ) -> None:
        assert await steps_of(postgres.retreats) == [trio.lowlevel.current_task()]

    async def test_no_event_loop_of_asyncio_runs(self, outside: DbConnection) -> None:
        await ask(outside, "SELECT 1")
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()

    async def test_a_big_argument_and_a_big_result(self, outside: DbConnection) -> None:
        (row,) = await ask(outside, "SELECT length($1) AS size, $1 AS same", BIG)
        assert row["size"] == len(BIG)
        assert row["same"] == BIG

    async def test_many_rows(self, outside: DbConnection) -> None:
        rows = await ask(outside, "SELECT i, repeat('x', 100) FROM generate_series(1, 30000) AS i")
        assert [row["i"] for row in rows] == [*range(1, 30_001)]

    async def test_rows_of_types_that_a_connection_has_to_look_up(
        self, outside: DbConnection
    ) -> None:
        await outside.execute("CREATE TYPE pair AS (a int, b text)", deadline=soon())
        pairs = [(1, "x"), (2, None)]
        (row,) = await ask(outside, "SELECT $1::pair[] AS same", pairs)
        assert [tuple(pair) for pair in row["same"]] == pairs

    async def test_an_error_leaves_the_connection_usable(self, outside: DbConnection) -> None:
        with pytest.raises(ServerRefused, match="division by zero"):
            await ask(outside, "SELECT 1 / 0")
        with pytest.raises(ServerRefused, match="22000"):
            await ask(outside, "SELECT $1::int", "not a number")
        assert outside.is_usable()
        assert len(await ask(outside, "SELECT 1")) == 1

    async def test_notices_and_notifications_between_results(self, outside: DbConnection) -> None:
        await outside.execute("LISTEN news", deadline=soon())
        await outside.execute(
            "DO $$ BEGIN RAISE NOTICE 'by the way'; NOTIFY news; END $$", deadline=soon()
        )
        assert len(await ask(outside, "SELECT 1")) == 1

    async def test_a_second_call_at_the_same_time_is_refused(self, outside: DbConnection) -> None:
        async def sleep() -> None:
            with pytest.raises(ConnectionLost):
                await ask(outside, "SELECT pg_sleep(30)")

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sleep)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(ConnectionLost, match="another operation"):
                    await ask(outside, "SELECT 1")


class TestCopies:
    async def test_a_server_that_sends_before_it_has_received_all(
        self, outside: DbConnection
    ) -> None:
        """Both would wait for the other to read, if we did not read while we send."""
        await outside.execute(
            """
            CREATE TABLE noted (id int, text text);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE NOTICE '%', repeat('x', 8000);
                RETURN NEW;
            END $$;
            CREATE TRIGGER note BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note();
            """,
            deadline=soon(),
        )
        records = [(number, "y" * 1_000) for number in range(3_000)]
        await outside.copy("noted", ("id", "text"), records, deadline=soon())
        assert (await ask(outside, "SELECT count(*) FROM noted"))[0]["count"] == 3_000

    async def test_no_cancel_request_is_sent_for_an_invalid_record(
        self, outside: DbConnection
    ) -> None:
        await ask(outside, "CREATE TABLE numbers (number int)")
        copy = outside._driver.copy_records_to_table
        with pytest.raises(TypeError):
            await copy("numbers", columns=["number"], records=[(1,), ("two",)])
        assert outside.closed

    async def test_an_invalid_record_closes_the_connection_which_ends_the_transaction(
        self, outside: DbConnection, database_url: str
    ) -> None:
        other = await connect(database_url, deadline=soon())
        await ask(outside, "CREATE TABLE numbers (number int)")

        async def fail() -> None:
            async with other.transaction(deadline=soon()):
                await other.copy("numbers", ("number",), [(1,)], deadline=soon())
                await other.copy("numbers", ("number",), [("two",)], deadline=soon())

        with pytest.raises(TypeError):
            await fail()
        assert other.closed
        assert await ask(outside, "SELECT FROM numbers") == []


async def until_arrived(connection: DbConnection) -> None:
    """Wait until a connection can be read from, and leave it there."""
    with trio.fail_after(10):
        await trio.lowlevel.wait_readable(connection._transport._socket)


async def cancelled(delay: float, call: Callable[[], Awaitable[object]]) -> type:
    """Cancel a call after ``delay`` seconds and return the type of what it raises then."""
    with trio.move_on_after(delay):
        try:
            await call()
        except BaseException as error:
            raised = type(error)
            raise
    return raised


class TestEnds:
    async def test_the_end_of_an_idle_connection_is_noticed_before_it_is_used(
        self, outside: DbConnection, database_url: str
    ) -> None:
        other = await connect(database_url, deadline=soon())
        assert other.is_usable()
        await terminate_others(outside)
        await until_arrived(other)
        assert not other.is_usable()
        other.terminate()
        with pytest.raises(ConnectionLost) as lost:
            await ask(other, "SELECT 1")
        assert not lost.value.sent

    async def test_the_end_of_an_idle_connection_ends_the_next_call(
        self, outside: DbConnection, database_url: str
    ) -> None:
        other = await connect(database_url, deadline=soon())
        await terminate_others(outside)
        with pytest.raises(ConnectionLost, match="administrator command"):
            await ask(other, "SELECT 1")
        assert other.closed

    async def test_the_end_is_waited_for_past_other_messages(
        self, outside: DbConnection, database_url: str
    ) -> None:
        counters = ConnectionCounters()
        other = await connect(database_url, deadline=soon(), counters=counters)
        await other.execute("LISTEN news", deadline=soon())
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(other.wait_closed)
                for _ in range(3):
                    await ask(outside, "NOTIFY news")
                await ask(outside, "SELECT pg_sleep(0.05)")
                ended = other.closed
                await terminate_others(outside)
        assert (ended, other.closed) == (False, True)
        assert counters.terminated == 1

    async def test_a_cancelled_call_closes_the_connection_and_raises_no_group(
        self, outside: DbConnection
    ) -> None:
        assert await cancelled(0, lambda: ask(outside, "SELECT 1")) is trio.Cancelled
        assert outside.is_usable()  # nothing was sent
        assert await cancelled(0.1, lambda: ask(outside, "SELECT pg_sleep(30)")) is trio.Cancelled
        assert outside.closed

    async def test_an_orderly_close_waits_until_the_server_has_closed(
        self, outside: DbConnection, database_url: str
    ) -> None:
        counters = ConnectionCounters()
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"  # not a vacuum that happens to run
        )
        for _ in range(10):
            other = await connect(database_url, deadline=soon(), counters=counters)
            await other.close(deadline=soon())
            assert other.closed
            (row,) = await ask(outside, others)
            assert row["count"] == 1
        assert counters.terminated == 0


async def test_what_is_unsent_goes_before_what_is_written_later() -> None:
    ours, theirs = trio.socket.socketpair()
    transport = Transport([], trio.SocketStream(ours))
    transport.write(BIG.encode())
    received = await theirs.recv(len(BIG))  # there is room now
    transport.write(b"the end")

    async def receive() -> None:
        nonlocal received
        while len(received) < len(BIG) + len(b"the end"):
            received += await theirs.recv(len(BIG))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await transport.wait_received()
    assert received == BIG.encode() + b"the end"
    transport.close()
    theirs.close()


async def test_an_error_while_much_is_sent_is_raised_as_it_is() -> None:
    class Broken:
        def connection_made(self, transport: Transport) -> None:
            transport.write(BIG.encode())

        def data_received(self, data: bytes) -> None:
            raise asyncpg.InternalClientError("a bug")

        def connection_lost(self, error: Exception | None) -> None:
            raise AssertionError

    ours, theirs = trio.socket.socketpair()
    transport = Transport([], trio.SocketStream(ours))
    transport.connect(Broken())
    with theirs:
        await theirs.send(b"x")
        with pytest.raises(asyncpg.InternalClientError, match="a bug"):
            await transport.wait_received()
    transport.close()


class SilentServer:
    """Accepts connections, and then does what a frozen PostgreSQL does: nothing.

    :param greeting: what it sends at first, such as the end of a successful login.
    """

    def __init__(self, greeting: bytes = b"") -> None:
        self._greeting = greeting
        self.streams: list[trio.SocketStream] = []
        self.reading = trio.Event()
        """Set it to make the server read until the end."""
        self.accepted = trio.Event()
        self.ended = trio.Event()
        """A client has closed its connection."""

    async def serve(self, stream: trio.SocketStream) -> None:
        self.streams.append(stream)
        await stream.send_all(self._greeting)
        self.accepted.set()
        await self.reading.wait()
        try:
            while await stream.receive_some():
                pass
        finally:
            self.ended.set()


def message(kind: bytes, body: bytes) -> bytes:
    """Return a message of a server."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


LOGIN = (
    message(b"R", bytes(4))
    + message(b"S", b"server_version\x0016.0\x00")
    + message(b"K", bytes(8))
    + message(b"Z", b"I")
)


class TestSilentServers:
    async def test_connecting_ends_at_the_deadline_and_leaves_nothing_open(self) -> None:
        server = SilentServer()
        server.reading.set()
        async with listening(server.serve) as port:
            for mode in ("disable", "require"):
                started = trio.current_time()
                with pytest.raises(NotConnected, match="does not answer"):
                    await connect(
                        f"postgresql://x@127.0.0.1:{port}/x?sslmode={mode}",
                        deadline=trio.current_time() + 0.2,
                    )
                assert trio.current_time() - started < 2
                with trio.fail_after(5):
                    await server.ended.wait()
                server.ended = trio.Event()

    async def test_cancelled_connecting_leaves_nothing_open(self) -> None:
        server = SilentServer()
        server.reading.set()
        async with listening(server.serve) as port:
            async with trio.open_nursery() as nursery:
                dsn = f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable"
                nursery.start_soon(lambda: connect(dsn, deadline=soon()))
                await server.accepted.wait()
                nursery.cancel_scope.cancel()
            with trio.fail_after(5):
                await server.ended.wait()

    async def test_a_deadline_holds_while_much_is_sent(self) -> None:
        async with logged_in() as (_, connection):
            started = trio.current_time()
            with pytest.raises(ConnectionLost, match="in time"):
                await connection.execute(f"SELECT '{BIG}'", deadline=started + 0.2)
            assert trio.current_time() - started < 2

    async def test_cancellation_while_much_is_sent_raises_no_group(self) -> None:
        async with logged_in() as (server, connection):
            sending = partial(connection.execute, f"SELECT '{BIG}'", deadline=soon())
            assert await cancelled(0.2, sending) is trio.Cancelled
            assert connection.closed
            server.reading.set()
            with trio.fail_after(5):
                await server.ended.wait()

    async def test_the_end_while_much_is_sent(self) -> None:
        async with logged_in() as (server, connection):

            async def end() -> None:
                await trio.testing.wait_all_tasks_blocked()
                server.streams[0].socket.shutdown(socket.SHUT_RDWR)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(end)
                with pytest.raises(ConnectionLost, match="closed in the middle"):
                    await connection.execute(f"SELECT '{BIG}'", deadline=soon())

    async def test_an_orderly_close_ends_at_its_deadline(self) -> None:
        async with logged_in() as (_, connection):
            started = trio.current_time()
            await connection.close(deadline=started + 0.2)
            assert connection.closed
            assert trio.current_time() - started < 2

    async def test_a_cancelled_close_closes(self) -> None:
        async with logged_in() as (server, connection):
            with trio.move_on_after(0.1):
                await connection.close(deadline=soon())
            assert connection.closed
            server.reading.set()
            with trio.fail_after(5):
                await server.ended.wait()


@asynccontextmanager
async def logged_in() -> AsyncIterator[tuple[SilentServer, DbConnection]]:
    """Connect to a server that is silent after the login."""
    server = SilentServer(LOGIN)
    async with listening(server.serve) as port:
        connection = await connect(
            f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable", deadline=soon()
        )
        yield server, connection
        connection.terminate()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority; its certificate is in ``root.pem``."""
    authority = Authority()
    (tmp_path / "root.pem").write_text(authority.pem)
    return authority


@pytest.fixture
def server_context(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    """What a server of TLS uses."""
    issued = authority.issue(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


def over(port: int, dsn: str, **query: str) -> str:
    """Return the DSN of a server's database by TCP."""
    path = urlsplit(dsn).path
    return f"postgresql://gbs_actor@localhost:{port}{path}?{urlencode(query)}"


class TestTLS:
    async def test_certificates_are_verified(
        self,
        database_url: str,
        server_context: ssl.SSLContext,
        authority: Authority,
        tmp_path: Path,
    ) -> None:
        proxy = Proxy(database_url, server_context)
        root = str(tmp_path / "root.pem")
        async with listening(proxy.serve) as port:
            for mode in ("verify-full", "verify-ca"):
                dsn = over(port, database_url, sslmode=mode, sslrootcert=root)
                connection = await connect(dsn, deadline=soon())
                await exchange(connection)
            assert (proxy.encrypted, proxy.plain) == (2, 0)
            (tmp_path / "root.pem").write_text(Authority().pem)
            with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
                await connect(dsn, deadline=soon())

    async def test_an_unverified_certificate_will_do(
        self, database_url: str, server_context: ssl.SSLContext
    ) -> None:
        proxy = Proxy(database_url, server_context)
        async with listening(proxy.serve) as port:
            for mode in ("require", "prefer"):
                connection = await connect(over(port, database_url, sslmode=mode), deadline=soon())
                await exchange(connection)
        assert (proxy.encrypted, proxy.plain) == (2, 0)

    async def test_a_server_without_tls(self, database_url: str) -> None:
        proxy = Proxy(database_url)
        async with listening(proxy.serve) as port:
            for mode in ("disable", "allow", "prefer"):
                connection = await connect(over(port, database_url, sslmode=mode), deadline=soon())
                await exchange(connection)
            assert (proxy.encrypted, proxy.plain) == (0, 3)
            with pytest.raises(NotConnected, match="rejected SSL"):
                await connect(over(port, database_url, sslmode="require"), deadline=soon())

    async def test_tls_from_the_first_byte(
        self, database_url: str, server_context: ssl.SSLContext
    ) -> None:
        proxy = Proxy(database_url, server_context, direct=True)
        async with listening(proxy.serve) as port:
            dsn = over(port, database_url, sslmode="require", sslnegotiation="direct")
            connection = await connect(dsn, deadline=soon())
            assert connection._driver._protocol.is_ssl
            await exchange(connection)
        assert proxy.encrypted == 1

    async def test_a_broken_handshake(self) -> None:
        async def serve(stream: trio.SocketStream) -> None:
            await receive_exactly(stream, 8)
            await stream.send_all(b"S")
            await receive_exactly(stream, 1)
            await stream.send_all(b"no TLS at all")

        async with listening(serve) as port:
            with pytest.raises(NotConnected, match="SSLError"):
                await connect(f"postgresql://x@127.0.0.1:{port}/x?sslmode=require", deadline=soon())

    async def test_a_host_with_a_broken_handshake_is_left(
        self, database_url: str, server_context: ssl.SSLContext
    ) -> None:
        left = trio.Event()

        async def serve(stream: trio.SocketStream) -> None:
            await receive_exactly(stream, 1)
            await stream.send_all(b"no TLS at all")
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            left.set()

        proxy = Proxy(database_url, server_context, direct=True)
        async with listening(serve) as broken, listening(proxy.serve) as port:
            dsn = over(port, database_url, sslmode="require", sslnegotiation="direct")
            both = dsn.replace("@localhost", f"@127.0.0.1:{broken},localhost")
            connection = await connect(both, deadline=soon())
            with trio.fail_after(5):
                await left.wait()
            await exchange(connection)

    async def test_the_end_of_an_idle_connection(
        self, database_url: str, server_context: ssl.SSLContext, outside: DbConnection
    ) -> None:
        async with listening(Proxy(database_url, server_context).serve) as port:
            dsn = over(port, database_url, sslmode="require")
            connection = await connect(dsn, deadline=soon())
            assert connection.is_usable()
            await terminate_others(outside)
            await until_arrived(connection)
            assert not connection.is_usable()


async def exchange(connection: DbConnection) -> None:
    """Send and receive much, and pieces about as long as a record of TLS, and close."""
    for size in (len(BIG), 6_000, 8_000, 16_300, 20_000):
        (row,) = await ask(connection, "SELECT $1 AS same", BIG[:size])
        assert row["same"] == BIG[:size]
    assert connection.is_usable()
    await connection.close(deadline=soon())


class TestAddresses:
    async def test_a_refused_connection_has_its_reason(self) -> None:
        with pytest.raises(NotConnected, match="Connection refused") as refused:
            await connect("postgresql://x@127.0.0.1:1/x", deadline=soon())
        assert not refused.value.final

    async def test_the_next_host_is_tried(self, database_url: str) -> None:
        async with listening(Proxy(database_url).serve) as port:
            path = urlsplit(database_url).path
            hosts = f"127.0.0.1:1,localhost:{port}"
            connection = await connect(f"postgresql://gbs_actor@{hosts}{path}", deadline=soon())
            await exchange(connection)

    @pytest.mark.parametrize("chosen", [0, 1])
    async def test_a_standby_is_preferred_and_there_is_none(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch, chosen: int
    ) -> None:
        monkeypatch.setattr(random, "choice", lambda candidates: candidates[chosen])
        connection = await connect(twice(database_url, "prefer-standby"), deadline=soon())
        (row,) = await ask(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND state = 'active'"
            " AND backend_type = 'client backend'",  # not a vacuum that happens to run
        )
        assert row["count"] == 0
        await exchange(connection)

    async def test_a_host_in_the_wrong_state_is_left(
        self, database_url: str, outside: DbConnection
    ) -> None:
        with pytest.raises(NotConnected, match="TargetServerAttributeNotMatched"):
            await connect(twice(database_url, "standby"), deadline=soon())
        others = "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        with trio.fail_after(5):
            # The server does not report when it has noticed.
            while len(await ask(outside, others)) > 1:  # noqa: ASYNC110
                await trio.sleep(0.005)

    async def test_a_password_is_proved_by_scram(self, base: Path) -> None:
        async with EmbeddedPostgres(base).running() as dsn:
            administrator = await connect(dsn, deadline=soon())
            await administrator.execute(
                "CREATE ROLE reader LOGIN PASSWORD 'right'", deadline=soon()
            )
            rules = base / "pg_hba.conf"
            rules.write_text("local all reader scram-sha-256\n" + rules.read_text())
            await ask(administrator, "SELECT pg_reload_conf()")
            with_password = dsn.replace("//gbs_actor@", "//reader:right@")
            with trio.fail_after(10):
                while True:
                    try:
                        connection = await connect(with_password, deadline=soon())
                        break
                    except NotConnected:  # not loaded yet
                        await trio.sleep(0.01)
            assert (await ask(connection, "SELECT current_user AS name"))[0]["name"] == "reader"
            with pytest.raises(NotConnected, match="password") as refused:
                await connect(with_password.replace("right", "wrong"), deadline=soon())
            assert refused.value.final
            await connection.close(deadline=soon())
            await administrator.close(deadline=soon())


def twice(dsn: str, state: str) -> str:
    """Return a DSN that names the host of another twice."""
    (folder,) = parse_qs(urlsplit(dsn).query)["host"]
    query = urlencode({"host": f"{folder},{folder}", "target_session_attrs": state})
    return f"postgresql://gbs_actor@{urlsplit(dsn).path}?{query}"


class TestInsideOfAsyncpg:
    """What :mod:`gbs_actor.store.postgres.event_loop` relies on, by asyncpg's own sources."""

    SOURCES = "".join(
        path.read_text()
        for path in sorted(Path(asyncpg.__file__).parent.rglob("*"))
        if path.suffix in {".py", ".pyx"}
        and path.name not in {"cluster.py", "pool.py", "_asyncio_compat.py"}
        and "_testbase" not in path.parts
    )

    def used(self, pattern: str) -> set[str]:
        return set(re.findall(pattern, self.SOURCES))

    def test_what_it_calls_of_its_event_loop(self) -> None:
        assert self.used(r"\b_?loop\.([a-z_]+)") == members(ConnectionLoop) - {
            "transport",  # ours
            "close",
        } | {
            "call_later",  # for timeouts and the age of cached statements: both off
            "call_soon",  # for listeners: there are none
            "time",  # after a cancel request: none is sent
            "call_exception_handler",  # for resets and cancel requests
            "run_in_executor",  # for COPY from and to files
        }

    def test_what_it_calls_of_its_transports(self) -> None:
        assert self.used(r"\b(?:\w+_)?(?:transport|tr)\.([a-z_]+)\(") - {
            "rollback",  # of a transaction
            "start",
        } == members(Transport) - {
            "connect",  # ours
            "end",
            "receive",
            "start_tls",
            "wait_received",
        } | {
            "pause_reading",  # for COPY TO
            "resume_reading",
        }

    def test_what_it_calls_of_its_futures(self) -> None:
        futures = r"\b(?:\w*waiter|fut|connected|on_data)\.([a-z_]+)\("
        assert self.used(futures) == members(Future) - {"result"}

    def test_what_it_calls_of_asyncio(self) -> None:
        """Some of it needs an event loop that runs."""
        assert self.used(r"\b(?:asyncio|compat)\.([a-z_]+)\(") == {
            "current_task",  # with the loop as its argument, which is sound
            "get_event_loop",  # where none is passed
            "get_pg_home_directory",
            "run",  # in examples
            "shield",  # after a cancel request: none is sent
            "sleep",  # in executemany
            "timeout",  # in connect(), close() and reset(), which are not used
            "wait_for",  # in executemany and COPY from iterators
        }

    def test_the_options_of_a_connection(self) -> None:
        parameters = set(inspect.signature(_parse_connect_arguments).parameters)
        assert parameters == {"dsn", "server_settings", *_CONNECT_OPTIONS}


def members(cls: type) -> set[str]:
    """Return the names of the public methods and properties of a class."""
    return {name for name in vars(cls) if not name.startswith("_")}
