from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
import trio
import trio.testing
from hypercorn.trio.tcp_server import TCPServer
from pydantic import SecretStr

from gbs_actor.auth import Role
from gbs_actor.server import serve, serve_on
from gbs_actor.settings import ServerSettings, Settings, SettingsError, StoreSettings
from gbs_actor.socketio.net.front_door.http_stream import HttpStream
from gbs_actor.store.postgres.migrate import SchemaMismatch
from tests.freeing import freed
from tests.gateway.serving import SLUG
from tests.server.running import (
    Running,
    answer,
    everything,
    running,
    running_demo,
    settings,
    small_store,
    token,
)
from tests.store.fixtures import PostgresCluster, public_temporary_folder

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nHost: here\r\n\r\n"
UPLOAD = (
    b"POST /nothing HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
)
LINEUPS = f"/api/v1/retreat/{SLUG}/line-up/user-lineups"
BEARER = {"Authorization": f"Bearer {token()}"}
EDIT = {"lineupId": 2, "gbsNumber": 3}


async def serves_the_next_client(server: Running) -> bool:
    async with server.connect() as peer:
        joined = await peer.call("join-retreat", SLUG)
    async with await server.stream() as stream:
        healthy = await answer(stream, HEALTH)
    return joined["status"] == "OK" and healthy.startswith(b"HTTP/1.1 200")


# Both protocols on one port


async def test_sockets_and_http_share_port_and_rooms() -> None:
    async with running() as server, server.connect() as peer, httpx.AsyncClient() as http:
        await peer.call("join-retreat", SLUG)
        await peer.call("update-gbs-number", EDIT)
        lineups = (await http.get(server.url + LINEUPS, headers=BEARER)).json()
        assert lineups["revision"] == 1
        row = next(row for row in lineups["userRetreatGbsLineups"] if row["id"] == 2)
        assert row["gbsNumber"] == 3


async def test_an_operator_sees_the_subscribers_of_a_room() -> None:
    operator = {"Authorization": f"Bearer {token(Role.ADMIN_MINISTER)}"}
    async with running() as server, server.connect() as peer, httpx.AsyncClient() as http:
        await peer.call("join-retreat", SLUG)
        room = (await http.get(f"{server.url}/admin/rooms/{SLUG}", headers=operator)).json()
        (subscriber,) = room["subscribers"]
        assert subscriber["userId"] == 7
        assert subscriber["sink"]["queued"] == 0


async def test_a_connection_carries_one_request_after_another() -> None:
    async with running() as server, await server.stream() as stream:
        for _ in range(3):
            assert (await answer(stream, HEALTH)).startswith(b"HTTP/1.1 200")


async def test_a_connection_of_http_is_freed_when_it_has_ended() -> None:
    async with running() as server:
        with freed(TCPServer, HttpStream):
            async with await server.stream() as stream:
                assert (await answer(stream, HEALTH)).startswith(b"HTTP/1.1 200")
            await trio.testing.wait_all_tasks_blocked(0.1)


async def test_connections_of_http_have_room_beside_the_sockets_and_no_more() -> None:
    narrow = settings()
    narrow = narrow.model_copy(
        update={
            "socketio": narrow.socketio.model_copy(update={"max_connections": 1}),
            "http": narrow.http.model_copy(update={"http_connections": 1}),
        }
    )
    async with running(using=narrow) as server, server.connect(), await server.stream() as http:
        assert (await answer(http, HEALTH)).startswith(b"HTTP/1.1 200")
        assert (await server.ask(HEALTH)).startswith(b"HTTP/1.1 503")


async def test_an_answer_that_does_not_wait_for_the_body_is_not_lost_over_it() -> None:
    """A connection closed with something unread is reset, and the answer with it."""
    async with running() as server:
        for _ in range(20):
            async with await server.stream() as stream:
                received = await answer(stream, UPLOAD)
                assert received.startswith(b"HTTP/1.1 404 ")


# What must harm nobody else


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: malformed\r\n\r\n" + b"x" * 30,
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
        + b"x"
        * 30,
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
    ids=[
        "upgrade with a malformed key",
        "socket upgrade with a malformed key",
        "chunked garbage",
        "negative length",
        "http/2 garbage",
        "tls",
        "version",
    ],
)
async def test_bytes_that_are_no_request_end_their_own_connection_only(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as server:
        async with await server.stream_below() as stream:
            await stream.send_all(request_bytes)
            await stream.send_eof()
            received = await everything(stream)
        assert b"Traceback" not in received
        assert await serves_the_next_client(server)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_reset_in_the_middle_of_a_request_harms_nobody() -> None:
    async with running() as server:
        for cut in (1, len(HEALTH) // 2, len(HEALTH)):
            stream = await server.stream_below()
            await stream.send_all(HEALTH[:cut])
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0" + bytes(4))
            await stream.aclose()
        assert await serves_the_next_client(server)


# The end


async def test_a_command_under_way_is_answered_before_the_socket_is_closed() -> None:
    store = await small_store()
    async with running(store) as server, server.connect() as peer:
        await peer.call("join-retreat", SLUG)
        store.commits_may_go_on = trio.Event()
        edit = await peer.begin("update-gbs-number", EDIT)
        await store.commit_waits.wait()
        server.scope.cancel()
        # The server gets as far as it can while the command is under way.
        await trio.testing.wait_all_tasks_blocked(0.05)
        store.commits_may_go_on.set()
        assert (await peer.reply(edit))["status"] == "OK"
        with trio.fail_after(5):
            await peer.closed.wait()
            await server.ended.wait()
        assert peer.close_code == 1001
        assert peer.named("disconnect") == []


async def test_an_edit_that_comes_while_it_ends_gets_no_reply_but_the_close() -> None:
    """It is sent again with its command id when the client is back: an error would be shown."""
    store = await small_store()
    async with running(store) as server, server.connect() as peer:
        await peer.call("join-retreat", SLUG)
        store.commits_may_go_on = trio.Event()
        edit = await peer.begin("update-gbs-number", EDIT)
        await store.commit_waits.wait()
        server.scope.cancel()
        await trio.testing.wait_all_tasks_blocked(0.05)
        late = await peer.begin("update-gbs-number", {**EDIT, "gbsNumber": 4})
        await trio.testing.wait_all_tasks_blocked(0.05)
        store.commits_may_go_on.set()
        assert (await peer.reply(edit))["status"] == "OK"
        with trio.fail_after(5):
            await peer.closed.wait()
        assert peer.close_code == 1001
        assert all(got.ack_id != late for got in peer.received)


async def test_while_ending_readyz_says_so_and_new_connections_are_refused() -> None:
    store = await small_store()
    async with running(store) as server, server.connect() as peer, await server.stream() as http:
        await peer.call("join-retreat", SLUG)
        assert (await answer(http, READY)).startswith(b"HTTP/1.1 200")
        store.commits_may_go_on = trio.Event()
        await peer.begin("update-gbs-number", EDIT)
        await store.commit_waits.wait()
        server.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        ready = await answer(http, READY)
        assert ready.startswith(b"HTTP/1.1 503")
        assert b"shutting down" in ready
        with pytest.raises(OSError, match="connect"):
            await server.stream()
        store.commits_may_go_on.set()


@pytest.mark.parametrize("used_before", [False, True])
async def test_requests_that_have_arrived_are_answered_before_the_end(used_before: bool) -> None:
    async with running() as server, AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(await server.stream()) for _ in range(30)]
        for each in connections:
            if used_before:
                await answer(each, HEALTH)
        for each in connections:
            await each.send_all(HEALTH)
        server.scope.cancel()
        answers = [await everything(each) for each in connections]
        assert [each[9:12] for each in answers] == [b"200"] * 30
        await server.ended.wait()


async def test_an_idle_http_connection_does_not_hold_up_the_end() -> None:
    async with running() as server, await server.stream() as stream:
        await answer(stream, HEALTH)
        server.scope.cancel()
        with trio.fail_after(3):
            assert await everything(stream) == b""
            await server.ended.wait()


async def test_half_a_request_does_not_hold_up_the_end() -> None:
    async with running() as server, await server.stream() as stream:
        await stream.send_all(HEALTH[:10])
        server.scope.cancel()
        with trio.fail_after(3):
            await server.ended.wait()


async def test_a_store_that_hangs_does_not_hold_up_the_end_beyond_the_grace_period() -> None:
    store = await small_store()
    impatient = settings(grace=0.5, commit_timeout=0.1)
    async with running(store, using=impatient) as server, server.connect() as peer:
        await peer.call("join-retreat", SLUG)
        store.commits_may_go_on = trio.Event()
        await peer.begin("update-gbs-number", EDIT)
        await store.commit_waits.wait()
        server.scope.cancel()
        # A room gives a commit, and then the fence after it, commit_timeout and a second.
        with trio.fail_after(0.5 + 2 * 1.1 + 2):
            await server.ended.wait()


# What stops the start


async def test_a_port_in_use_is_named() -> None:
    async with running() as server:
        taken = Settings(server=ServerSettings(port=server.address.port), auth=settings().auth)
        with pytest.raises(ExceptionGroup) as caught:
            await serve_on(await small_store(), taken)
        (error,) = _leaves(caught.value)
        assert isinstance(error, OSError)
        assert error.errno == errno.EADDRINUSE
        assert error.filename == f"127.0.0.1:{server.address.port}"


async def test_without_a_key_the_server_does_not_start() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await serve_on(await small_store(), Settings(server=ServerSettings(port=0)))
    (error,) = _leaves(caught.value)
    assert isinstance(error, SettingsError)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


# With PostgreSQL


async def test_an_edit_is_there_after_a_restart(database_url: str) -> None:
    store = StoreSettings(database_url=SecretStr(database_url))
    using = settings().model_copy(update={"store": store})
    async with running_demo(using) as server, server.connect() as peer:
        joined = await peer.call("join-retreat", "2024-winter")
        person = next(row["id"] for row in joined["data"] if not row["isLeader"])
        edit = {"lineupId": person, "gbsNumber": 77}
        assert (await peer.call("update-gbs-number", edit))["status"] == "OK"
    async with running_demo(using) as server, server.connect() as peer:
        joined = await peer.call("join-retreat", "2024-winter")
        assert joined["revision"] == 1
        assert [row["id"] for row in joined["data"] if row["gbsNumber"] == 77] == [person]


@pytest.fixture
def empty_database_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    with postgres_cluster.fresh_database(migrated=False) as url:
        yield url


async def test_a_database_that_is_not_migrated_is_refused_outside_the_demo(
    empty_database_url: str,
) -> None:
    store = StoreSettings(database_url=SecretStr(empty_database_url))
    with pytest.raises(ExceptionGroup) as caught:
        await serve(settings().model_copy(update={"store": store}))
    (error,) = _leaves(caught.value)
    assert isinstance(error, SchemaMismatch)


async def test_without_a_database_the_server_brings_its_own() -> None:
    with public_temporary_folder() as folder:
        store = StoreSettings(data_dir=folder / "data")
        using = settings().model_copy(update={"store": store})
        async with running_demo(using) as server, server.connect() as peer:
            joined = await peer.call("join-retreat", "2024-winter")
            assert len(joined["data"]) == 80
