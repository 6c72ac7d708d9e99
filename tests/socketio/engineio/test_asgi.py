"""The server as an ASGI application, told apart by what ASGI says and by what it leaves open."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import (
    EngineApp,
    Handshake,
    SocketServer,
    encode_event,
    with_lifespan,
)
from gbs_actor.socketio.net.asgi import App
from tests.apps import echo_engineio
from tests.apps.echo_socketio import echo_server
from tests.socketio.peer import Close, Refused
from tests.socketio.polls import POLLING, WEBSOCKET, AsgiSocket, site

HTTP: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "2",
    "method": "GET",
    "scheme": "https",
    "path": "/socket.io/",
    "query_string": POLLING.encode(),
    "headers": [],
}
SOCKET: dict[str, Any] = {
    "type": "websocket",
    "asgi": {"version": "3.0"},
    "scheme": "wss",
    "path": "/socket.io/",
    "query_string": WEBSOCKET.encode(),
    "headers": [],
}


async def called(app: App, scope: dict[str, Any], *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Call an app and return what it has sent; after ``events`` nothing comes."""
    left = list(events)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not left:
            await trio.sleep_forever()
        return left.pop(0)

    async def send(message: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("not for the other app")


# What is for whom


async def test_what_is_elsewhere_goes_to_the_other_app(clock: MockClock) -> None:
    asked: list[str] = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["type"])

    server = echo_server()
    app = EngineApp(server, other)
    async with server.serving():
        for scope in (
            HTTP | {"path": "/"},
            HTTP | {"path": "/socket.io"},
            SOCKET | {"path": "/engine.io/"},
            {"type": "lifespan"},
        ):
            assert await called(app, scope) == []
    assert asked == ["http", "http", "websocket", "lifespan"]


async def test_without_another_app_there_is_nothing_elsewhere(clock: MockClock) -> None:
    app = EngineApp(echo_server())
    start, body = await called(app, HTTP | {"path": "/"})
    assert start["status"] == 404
    assert body["body"].startswith(b'{"code":"NOT_FOUND"')
    sent = await called(app, SOCKET | {"path": "/"}, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_without_another_app_the_lifespan_is_followed(clock: MockClock) -> None:
    sent = await called(
        EngineApp(echo_server()),
        {"type": "lifespan"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    )
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


async def test_a_protocol_that_is_not_known_is_refused(clock: MockClock) -> None:
    with pytest.raises(NotImplementedError, match="mqtt"):
        await called(EngineApp(echo_server()), {"type": "mqtt"})


async def test_before_it_is_served_a_server_asks_to_come_back(clock: MockClock) -> None:
    app = EngineApp(echo_server(), nowhere)
    start, _ = await called(app, HTTP, {"type": "http.request"})
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]


# What a request tells


async def seen(changes: dict[str, Any], **options: Any) -> Handshake:
    """Return what a handler sees of a request."""
    server = SocketServer(**options)
    handshakes: list[Handshake] = []
    server.namespace("/").on_connect(lambda socket, auth: handshakes.append(socket.handshake))
    async with server.serving():
        await called(
            EngineApp(server),
            SOCKET | changes,
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "40"},
            {"type": "websocket.disconnect", "code": 1001},
        )
    return handshakes[0]


async def test_the_address_and_the_scheme_are_those_of_the_connection(clock: MockClock) -> None:
    handshake = await seen({"client": ("192.0.2.7", 1234)})
    assert (handshake.remote_address, handshake.secure) == ("192.0.2.7", True)


async def test_behind_a_trusted_proxy_they_are_those_it_tells(clock: MockClock) -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.9"), (b"x-forwarded-proto", b"https")]
    handshake = await seen(
        {"client": ("192.0.2.7", 1234), "scheme": "ws", "headers": headers},
        trusted_proxies=["192.0.2.0/24"],
    )
    assert (handshake.remote_address, handshake.secure) == ("198.51.100.9", True)


async def test_a_connection_may_have_no_address(clock: MockClock) -> None:
    assert (await seen({"client": None})).remote_address is None
    assert (await seen({})).remote_address is None


async def test_header_names_are_told_in_lower_case(clock: MockClock) -> None:
    handshake = await seen({"headers": [(b"X-Room", b"a"), (b"x-room", b"b")]})
    assert handshake.headers["x-room"] == "a, b"


# Bodies


async def test_a_body_may_come_in_parts(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        post = polls.tell()
        for part in (b"4he", b"", b"llo\x1e4", b"you"):
            post.body(part, more=True)
        post.body(b"")
        assert (await post.answered()).body == b"ok"
        assert (await polls.get()).packets == ["4hello", "4you"]


async def test_of_a_body_that_is_too_large_no_more_is_read(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server(max_payload=10)) as clients:
        polls = await clients.polls()
        post = polls.tell()
        post.body(b"4" * 11, more=True)
        assert (await post.answered()).status == 413
        assert trio.current_time() == 0.0


async def test_of_a_refused_request_the_body_is_read_nevertheless(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        post = clients.ask("POST", f"{POLLING}&sid=abc")
        post.body(b"4", more=True)
        await trio.sleep(0.5)
        assert not post.ended.is_set()
        post.body(b"hello")
        assert (await post.answered()).status == 400
        assert trio.current_time() == 0.5


@pytest.mark.parametrize(("part", "at"), [(b"", 1.0), (b"x" * 65_536, 0.0)])
async def test_but_not_if_that_takes_long(clock: MockClock, part: bytes, at: float) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        post = clients.ask("POST", f"{POLLING}&sid=abc")
        post.body(part, more=True)
        assert (await post.answered()).status == 400
        assert trio.current_time() == at


async def test_the_body_of_a_get_means_nothing(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server()) as clients:
        polls = await clients.polls()
        waiting = polls.site.ask("GET", polls.query)
        waiting.body(b"4not this", more=True)
        waiting.body(b"nor that")
        await wait_all_tasks_blocked()
        await polls.send("4this")
        assert (await waiting.answered()).text == "4this"


# WebSockets


async def test_a_refused_websocket_is_answered_by_http_where_that_can_be(
    clock: MockClock,
) -> None:
    async with site(echo_server()) as clients:
        refusal = await (await clients.websocket("EIO=3&transport=websocket")).receive()
        assert isinstance(refusal, Refused)
        assert refusal.status == 400
        assert refusal.json() == {"code": 5, "message": "Unsupported protocol version"}


async def test_a_refused_websocket_is_closed_where_it_cannot(clock: MockClock) -> None:
    server = echo_server()
    async with server.serving():
        sent = await called(
            EngineApp(server),
            SOCKET | {"query_string": b"transport=websocket"},
            {"type": "websocket.connect"},
        )
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("payload", ["4" + "x" * 10, "4" + "한" * 4, b"x" * 11])
async def test_a_message_that_is_too_large_closes_the_websocket(
    clock: MockClock, payload: str | bytes
) -> None:
    async with site(echo_engineio.echo_server(max_payload=10)) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        await websocket.send(payload)
        assert await websocket.receive_close() == Close(1009, "message too large")


async def test_a_message_of_exactly_max_payload_is_taken(clock: MockClock) -> None:
    async with site(echo_engineio.echo_server(max_payload=10)) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        await websocket.receive()
        await websocket.send("4" + "한" * 3)
        assert await websocket.receive() == "4" + "한" * 3


async def test_absent_and_empty_payloads_are_told_apart(clock: MockClock) -> None:
    server = echo_engineio.echo_server()
    async with server.serving():
        sent = await called(
            EngineApp(server),
            SOCKET | {"path": "/engine.io/"},
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": None, "bytes": b""},
            {"type": "websocket.receive", "text": "4", "bytes": None},
            {"type": "websocket.receive", "text": "1"},
        )
    assert [message["type"] for message in sent] == [
        "websocket.accept",
        *["websocket.send"] * 3,
        "websocket.close",
    ]
    assert [sent[2].get("bytes"), sent[3].get("text")] == [b"", "4"]


async def test_a_close_says_why(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with site(server) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        await websocket.send("40")
        await wait_all_tasks_blocked()
        (socket,) = server.namespace("/").sockets
        socket.close_transport(1012, "the server restarts; 다시 오세요")
        closed = await websocket.receive_close()
        assert closed == Close(1012, "the server restarts; 다시 오세요")
        await websocket.ended.wait()


async def test_the_reason_of_a_close_is_cut_where_it_would_not_fit(clock: MockClock) -> None:
    server = SocketServer()
    server.namespace("/")
    async with site(server) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        await websocket.send("40")
        await wait_all_tasks_blocked()
        (socket,) = server.namespace("/").sockets
        socket.close_transport(1012, "다" * 100)
        closed = await websocket.receive_close()
        assert closed == Close(1012, "다" * 41), "a control frame holds 123 bytes of it"


async def test_a_close_frame_of_the_client_is_waited_for(clock: MockClock) -> None:
    server = echo_engineio.echo_server(close_timeout=5)
    async with site(server) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        websocket.polite = False
        await websocket.send("abc")
        assert (await websocket.receive_close()).code == 1002
        await trio.sleep(3)
        assert not websocket.ended.is_set()
        await websocket.send("4late")
        await websocket.leave()
        await websocket.ended.wait()
        assert trio.current_time() == 3.0


async def test_but_no_longer_than_a_close_may_take(clock: MockClock) -> None:
    server = echo_engineio.echo_server(close_timeout=5)
    async with site(server) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        websocket.polite = False
        await websocket.send("abc")
        await websocket.ended.wait()
        assert trio.current_time() == 5.0


async def test_a_client_that_leaves_ends_its_session(clock: MockClock) -> None:
    server = SocketServer()
    gone: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: gone.append(reason))
    async with site(server) as clients:
        websocket = await clients.websocket(WEBSOCKET)
        await websocket.send("40")
        await wait_all_tasks_blocked()
        await websocket.leave()
        await websocket.ended.wait()
        assert gone == ["transport close"]
        assert server.statistics().connections == 0


async def test_a_server_that_makes_us_wait_conflates_what_waits(clock: MockClock) -> None:
    server = SocketServer()
    space = server.namespace("/")
    sent: list[Any] = []
    says, hears = trio.open_memory_channel[dict[str, Any]](math.inf)
    room = trio.CapacityLimiter(1)

    async def send(message: dict[str, Any]) -> None:
        async with room:
            sent.append(message.get("text"))

    async with server.serving(), trio.open_nursery() as nursery:
        nursery.start_soon(EngineApp(server), SOCKET, hears.receive, send)
        says.send_nowait({"type": "websocket.connect"})
        says.send_nowait({"type": "websocket.receive", "text": "40"})
        await wait_all_tasks_blocked()
        (socket,) = space.sockets
        sent.clear()
        async with room:
            for number in range(100):
                socket.deliver(encode_event("/", "state", number, key="state"))
                await wait_all_tasks_blocked()
            assert socket.statistics().conflated == 98
        await wait_all_tasks_blocked()
        assert sent == ['42["state",0]', '42["state",99]']
        nursery.cancel_scope.cancel()


async def test_a_client_that_takes_nothing_is_cut_off(clock: MockClock) -> None:
    server = SocketServer(ping_interval=25, ping_timeout=60, close_timeout=5)
    gone: list[tuple[str, float]] = []
    server.namespace("/").on_disconnect(
        lambda socket, reason: gone.append((reason, trio.current_time()))
    )
    says, hears = trio.open_memory_channel[dict[str, Any]](math.inf)
    stuck = trio.Event()

    async def send(message: dict[str, Any]) -> None:
        if stuck.is_set():
            await trio.sleep_forever()

    async with server.serving(), trio.open_nursery() as nursery:
        nursery.start_soon(EngineApp(server), SOCKET, hears.receive, send)
        says.send_nowait({"type": "websocket.connect"})
        says.send_nowait({"type": "websocket.receive", "text": "40"})
        await wait_all_tasks_blocked()
        stuck.set()
    assert gone == [("ping timeout", 85.0)]
    assert trio.current_time() == 90.0


async def test_a_host_that_ends_lets_the_client_know(clock: MockClock) -> None:
    server = SocketServer()
    gone: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: gone.append(reason))
    websocket = AsgiSocket()
    async with server.serving():
        async with trio.open_nursery() as host:
            host.start_soon(websocket.run, EngineApp(server), SOCKET)
            await websocket.decided.wait()
            await websocket.send("40")
            await wait_all_tasks_blocked()
            host.cancel_scope.cancel()
        assert await websocket.receive_close() == Close(1001)
        assert gone == ["server shutting down"]


async def test_a_host_that_ends_ends_a_session_that_has_upgraded(clock: MockClock) -> None:
    server = SocketServer()
    gone: list[str] = []
    server.namespace("/").on_disconnect(lambda socket, reason: gone.append(reason))
    websocket = AsgiSocket()
    async with site(server) as clients:
        polls = await clients.joined()
        async with trio.open_nursery() as host:
            query = f"{WEBSOCKET}&sid={polls.sid}".encode()
            host.start_soon(websocket.run, EngineApp(server), SOCKET | {"query_string": query})
            await websocket.decided.wait()
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
            await websocket.send("5")
            await wait_all_tasks_blocked()
            host.cancel_scope.cancel()
        assert (await websocket.receive_close()).code == 1001
        assert gone == ["server shutting down"]


async def test_a_client_that_takes_no_farewell_gets_a_second(clock: MockClock) -> None:
    server = SocketServer()
    accepted = trio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            accepted.set()
        elif message["type"] == "websocket.close":
            await trio.sleep_forever()

    async def receive() -> dict[str, Any]:
        if accepted.is_set():
            await trio.sleep_forever()
        return {"type": "websocket.connect"}

    async with server.serving():
        async with trio.open_nursery() as host:
            host.start_soon(EngineApp(server), SOCKET, receive, send)
            await wait_all_tasks_blocked()
            host.cancel_scope.cancel()
        assert trio.current_time() == 1.0


# The lifespan


async def test_a_server_is_served_for_as_long_as_the_lifespan_lasts(clock: MockClock) -> None:
    server = echo_server()
    app = with_lifespan(EngineApp(server), server.serving)
    says, hears = trio.open_memory_channel[dict[str, Any]](math.inf)
    answers, answered = trio.open_memory_channel[dict[str, Any]](math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, {"type": "lifespan"}, hears.receive, answers.send)
        assert (await called(app, HTTP, {"type": "http.request"}))[0]["status"] == 503
        says.send_nowait({"type": "lifespan.startup"})
        assert await answered.receive() == {"type": "lifespan.startup.complete"}
        assert (await called(app, HTTP, {"type": "http.request"}))[0]["status"] == 200
        says.send_nowait({"type": "lifespan.shutdown"})
        assert await answered.receive() == {"type": "lifespan.shutdown.complete"}
        assert (await called(app, HTTP, {"type": "http.request"}))[0]["status"] == 503
        assert server.statistics().connections == 0


async def test_what_cannot_start_tells_the_server_why(clock: MockClock) -> None:
    there = False

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        if not there:
            raise OSError("the database is not there")
        yield

    sent = await called(
        with_lifespan(nowhere, broken), {"type": "lifespan"}, {"type": "lifespan.startup"}
    )
    assert sent == [{"type": "lifespan.startup.failed", "message": "the database is not there"}]


async def test_what_fails_at_the_end_is_not_kept_from_the_server(clock: MockClock) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        yield
        raise OSError("the database went away")

    with pytest.raises(OSError, match="went away"):
        await called(
            with_lifespan(nowhere, broken),
            {"type": "lifespan"},
            {"type": "lifespan.startup"},
            {"type": "lifespan.shutdown"},
        )
