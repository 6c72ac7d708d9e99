"""Clients that end their side of the connection after a request, and still read (RFC 9112 §9.6)."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from gbs_actor.server.hypercorn import answering_half_closed
from gbs_actor.store.protocol import Store
from tests.certificates import Authority
from tests.gateway.serving import SLUG
from tests.server.running import (
    Running,
    answer,
    everything,
    running,
    running_hosted,
    secured,
    small_store,
    token,
)

LINEUPS = f"/api/v1/retreat/{SLUG}/line-up/user-lineups"
POLLING = "/socket.io/?EIO=4&transport=polling"

Serving = Callable[[Store], AbstractAsyncContextManager[Running]]


@pytest.fixture(params=["own listener", "own listener with TLS", "stock Hypercorn"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Serving:
    """Every way in."""
    if request.param == "own listener":
        return running
    if request.param == "stock Hypercorn":
        return running_hosted
    authority = Authority()
    using = secured(authority.issue(tmp_path))
    return partial(running, using=using, tls=authority.client_context())


@pytest.fixture(autouse=True)
def nothing_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def request(method: str, path: str, body: str = "", length: int | None = None) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token()}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n{body}"
    ).encode()


async def end_side(stream: trio.abc.Stream) -> None:
    """Send a FIN, below TLS after the ``close_notify`` of this side."""
    if isinstance(stream, trio.SSLStream):
        ssl_object = stream._ssl_object
        with pytest.raises(ssl.SSLWantReadError):
            ssl_object.unwrap()
        below = stream.transport_stream
        await below.send_all(stream._outgoing.read())
    else:
        below = stream
    assert isinstance(below, trio.SocketStream)
    await below.send_eof()


@asynccontextmanager
async def asked(server: Running, data: bytes) -> AsyncIterator[trio.abc.Stream]:
    """Send a request, and end this side right behind it."""
    async with await server.stream() as stream:
        await stream.send_all(data)
        await end_side(stream)
        yield stream


def status(received: bytes) -> int:
    assert received.startswith(b"HTTP/1.1 "), received[:100]
    return int(received.split(b" ", 2)[1])


async def test_lists_and_writes_are_carried_out_and_answered(serving: Serving) -> None:
    store = await small_store()
    retreat = await store.load(SLUG)
    assert retreat is not None
    person = retreat.registrations[1].id  # the first one leads a group
    async with serving(store) as server:
        for turn in range(10):
            async with asked(server, request("GET", LINEUPS)) as stream:
                received = await everything(stream)
            assert status(received) == 200
            assert len(json.loads(received.partition(b"\r\n\r\n")[2])["userRetreatGbsLineups"]) == 6
            edit = json.dumps({"gbsNumber": turn + 2})
            async with asked(server, request("PUT", f"{LINEUPS}/{person}", edit)) as stream:
                received = await everything(stream)
            assert status(received) == 200
            assert json.loads(received.partition(b"\r\n\r\n")[2])["revision"] == turn + 1


async def test_a_request_whose_role_is_being_looked_up_is_answered(serving: Serving) -> None:
    store = await small_store()
    store.roles_may_go_on = trio.Event()
    async with serving(store) as server, asked(server, request("GET", LINEUPS)) as stream:
        with trio.fail_after(5):
            await store.role_waits.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        store.roles_may_go_on.set()
        assert status(await everything(stream)) == 200


async def test_requests_sent_one_behind_the_other_are_all_answered(serving: Serving) -> None:
    five = request("GET", LINEUPS) * 5
    async with serving(await small_store()) as server, asked(server, five) as stream:
        received = await everything(stream)
    assert received.count(b"HTTP/1.1 200 ") == 5


async def test_between_requests_it_is_an_ordinary_end(serving: Serving) -> None:
    async with serving(await small_store()) as server, await server.stream() as stream:
        assert status(await answer(stream, request("GET", "/healthz"))) == 200
        await end_side(stream)
        assert await everything(stream) == b""


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(request("PUT", f"{LINEUPS}/1", '{"gbs', 100), id="half a body"),
        pytest.param(
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            id="half a chunk",
        ),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHo", id="half a head"),
    ],
)
async def test_half_a_request_is_refused_and_carries_out_nothing(
    serving: Serving, part: bytes, kept: bool
) -> None:
    store = await small_store()
    async with serving(store) as server, await server.stream() as stream:
        if kept:
            await answer(stream, request("GET", "/healthz"))
        await stream.send_all(part)
        await end_side(stream)
        assert status(await everything(stream)) == 400
    assert (await store.version(SLUG)).revision == 0  # type: ignore[union-attr]


async def test_a_polling_client_gets_what_is_ready(serving: Serving) -> None:
    async with serving(await small_store()) as server:
        async with asked(server, request("GET", POLLING)) as stream:
            opened = await everything(stream)
        assert status(opened) == 200
        sid = json.loads(opened.partition(b"\r\n\r\n0")[2])["sid"]
        auth = json.dumps({"token": token()})
        connect = request("POST", f"{POLLING}&sid={sid}", f"40/gbs-lineup,{auth}")
        async with asked(server, connect) as stream:
            assert (await everything(stream)).endswith(b"\r\n\r\nok")
        async with asked(server, request("GET", f"{POLLING}&sid={sid}")) as stream:
            assert b'40/gbs-lineup,{"sid":' in await everything(stream)
        # A poll that waits counts as cancelled.
        async with asked(server, request("GET", f"{POLLING}&sid={sid}")) as stream:
            assert await everything(stream) == b""
        async with asked(server, request("GET", f"{POLLING}&sid={sid}")) as stream:
            assert status(await everything(stream)) == 400


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/event-stream; charset=utf-8"])
async def test_a_stream_of_events_ends(content_type: str) -> None:
    told = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        field = (b"Content-Type", content_type.encode())
        await send({"type": "http.response.start", "status": 200, "headers": [field]})
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    await called(app)
    assert told.is_set()


async def test_any_other_response_is_completed() -> None:
    told = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with trio.move_on_after(0.05):
            await receive()
            told.set()

    await called(app)
    assert not told.is_set()


async def called(app: Any) -> None:
    """Call an app with a request whose client has ended its side."""
    events = [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        await trio.lowlevel.checkpoint()

    await answering_half_closed(app)({"type": "http"}, receive, send)  # type: ignore[arg-type]


async def test_after_its_response_an_app_is_told_of_the_disconnect() -> None:
    received: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        received.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        received.append((await receive())["type"])

    events = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        await trio.lowlevel.checkpoint()
        return next(events)

    async def send(_event: Any) -> None:
        await trio.lowlevel.checkpoint()

    scope: Any = {"type": "http"}
    with trio.fail_after(5):
        await answering_half_closed(app)(scope, receive, send)
    assert received == ["http.request", "http.disconnect"]
