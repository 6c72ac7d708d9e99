"""Requests that the front door serves itself get the responses that the HTTP server gives."""

from __future__ import annotations

import re
from typing import Any, cast

import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import EngineApp, FrontDoor, HttpResponse
from gbs_actor.socketio.net.http_exchange import BodyTooLarge, HttpExchange
from tests.socketio.peer import MemoryListener

PATH = "/socket.io/"
HEAD_LIMIT = 2_000

METHODS = st.sampled_from(["GET", "POST", "OPTIONS", "PUT"])
TARGETS = st.sampled_from(
    [PATH, f"{PATH}?a=1", f"{PATH}unread", "/other", f"http://here{PATH}", "/socket%2eio/"]
)
BODIES = st.sampled_from([None, b"", b"abc", b"GET / HTTP/1.1\r\n\r\n", "chunked"])
FIELDS = st.lists(
    st.sampled_from(["Connection: keep-alive", "Expect: 100-continue", "Upgrade: h2c", "A: b"]),
    max_size=2,
)
LAST_FIELDS = st.sampled_from(
    [
        *("Connection: close", "Connection: x,  Close", "Broken", f"Long: {'x' * 2_100}"),
        *("Host: other", "Content-Length: 1", "Content-Length: +1", "Transfer-Encoding: x"),
    ]
)
LAST_LINES = st.sampled_from(
    [
        *("GET /socket.io/ HTTP/1.0", "GET /socket.io/ HTTP/1.2", "GET /socket.io/ HTTP/2.0"),
        *("GET /socket.io/%zz HTTP/1.1", "POST socket.io HTTP/1.1", "get /socket.io/ HTTP/1.1"),
        *("", "\x16", "GET /socket.io/"),
    ]
)


@st.composite
def requests(draw: st.DrawFn, *, last: bool = False) -> bytes:
    """Draw a request.

    :param last: it may be malformed, or end the connection: what follows such a one may be lost.
    """
    line = f"{draw(METHODS)} {draw(TARGETS)} HTTP/1.1"
    fields = ["Host: here", *draw(FIELDS)]
    body = b"too large for it" * 2 if last and draw(st.booleans()) else draw(BODIES)
    if isinstance(body, str):
        fields, content = [*fields, "Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n"
    else:
        content = body or b""
        fields = fields if body is None else [*fields, f"Content-Length: {len(body)}"]
    ends = ["", ""]
    if last:
        match draw(st.integers(0, 3)):
            case 0:
                fields.append(draw(LAST_FIELDS))
            case 1:
                line = draw(LAST_LINES)
            case 2:
                content = content[: len(content) // 2]
            case _:
                ends = [""]
    empty = draw(st.sampled_from(["", "", "", "\r\n"]))
    return (empty + "\r\n".join([line, *fields, *ends])).encode() + content


class Responder:
    """Stands in for an Engine.IO server."""

    path = PATH

    async def serve_http(self, exchange: HttpExchange) -> HttpResponse:
        request = exchange.request
        if request.path.endswith("unread"):
            await trio.lowlevel.checkpoint()
            return HttpResponse(200, b"unread", headers=(("X", "y"),))
        try:
            body = await exchange.read_body(20)
        except BodyTooLarge:
            return HttpResponse(413, b"too large")
        if request.method == "OPTIONS":
            return HttpResponse(204, b"")
        return HttpResponse(200, f"{request.method} {request.target} {body!r}".encode())


async def converse(pieces: list[bytes], *, direct: bool) -> bytes:
    """Return all that is received for some bytes, which are followed by a FIN."""
    responder, listener = Responder(), MemoryListener()
    http = HttpServer(
        EngineApp(cast(Any, responder)),
        head_limit=HEAD_LIMIT,
        max_payload=1_000,
        http_idle_timeout=60,
    )
    handlers = {PATH: responder.serve_http} if direct else {}
    door = FrontDoor({}, http.serve, requests=handlers, head_limit=HEAD_LIMIT)
    received = bytearray()

    async def receive() -> None:
        try:
            async for data in client:
                received.extend(data)
        except trio.BrokenResourceError:
            pass
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        client = listener.dial_socket()
        nursery.start_soon(receive)
        try:
            for piece in pieces:
                await client.send_all(piece)
                await wait_all_tasks_blocked()
            await client.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        with trio.move_on_after(100) as ended:
            await trio.sleep_forever()
        assert not ended.cancelled_caught, "the connection does not end"
    assert door.statistics().failures == 0
    return bytes(received)


def responses(received: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each."""
    found = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        status = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", head)
        assert status, head
        length = re.search(rb"(?i)\ncontent-length: ([0-9]+)", head)
        size = int(length[1]) if length else 0
        found.append((int(status[1]), received[:size]))
        received = received[size:]
    return found


def split(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@given(
    st.lists(requests(), max_size=3), requests(last=True), st.lists(st.integers(1, 150), max_size=5)
)
@example([b"POST /socket.io/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"] * 3, b"", [60])
def test_the_responses_are_the_same_with_and_without_the_http_server(
    sent: list[bytes], last: bytes, sizes: list[int]
) -> None:
    pieces = split(b"".join(sent) + last, sizes)

    async def both() -> list[list[tuple[int, bytes]]]:
        return [responses(await converse(pieces, direct=direct)) for direct in (True, False)]

    direct, by_server = trio.run(both, clock=MockClock(autojump_threshold=0))
    assert direct == by_server
