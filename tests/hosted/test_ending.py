"""How connections end under stock Hypercorn: all of them soon, and each with a word of why."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

GRACEFUL_TIMEOUT = 30
"""Seconds after which Hypercorn cuts its connections; nobody should have to wait for it."""
SOON = 10.0
POLLING = "/socket.io/?EIO=4&transport=polling"
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"
PLAIN = f"/ws/retreats/{RETREAT}"
CONNECT = f"40/gbs-lineup,{json.dumps({'token': token()})}"
TOO_LARGE = 17_000_000
"""Bytes; Hypercorn's own limit is 16 MiB."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    options = ("--graceful-timeout", str(GRACEFUL_TIMEOUT))
    with running_server(hosted=True, options=options) as running:
        yield running


@asynccontextmanager
async def websocket(server: ServerProcess, path: str) -> AsyncIterator[WebSocketConnection]:
    """Connect, and be in the room or its namespace."""
    url = server.url.replace("http", "ws", 1) + path
    bearer = [(b"Authorization", f"Bearer {token()}".encode())]
    async with open_websocket_url(url, extra_headers=bearer, disconnect_timeout=1) as connection:
        if path == SOCKET_IO:
            await connection.get_message()
            await connection.send_message(CONNECT)
        await connection.get_message()
        yield connection


async def close_code(connection: WebSocketConnection) -> int | None:
    """Return the code it is closed with, past whatever comes before."""
    try:
        while True:
            await connection.get_message()
    except ConnectionClosed as closed:
        return closed.reason.code if closed.reason is not None else None


async def last_packet(http: httpx.AsyncClient, target: str, sent: trio.Event) -> str:
    """Poll once; return the last packet.

    :param sent: set when the request has been sent.
    """

    async def trace(event: str, _info: object) -> None:
        if event == "http11.send_request_body.complete":
            sent.set()

    return (await http.get(target, extensions={"trace": trace})).text.split("\x1e")[-1]


async def test_at_the_end_everybody_is_told_at_once(server: ServerProcess) -> None:
    ends: list[object] = []
    sent = trio.Event()

    async def note(end: Callable[[], Awaitable[object]]) -> None:
        ends.append(await end())

    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
        websocket(server, SOCKET_IO) as socket_io,
        websocket(server, PLAIN) as plain,
    ):
        opening = (await http.get(POLLING)).text
        target = f"{POLLING}&sid={json.loads(opening[1:])['sid']}"
        await http.post(target, content=CONNECT.encode())
        assert (await http.get(target)).text.startswith("40/gbs-lineup,")
        began = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, lambda: close_code(socket_io))
            nursery.start_soon(note, lambda: close_code(plain))
            nursery.start_soon(note, lambda: last_packet(http, target, sent))
            # Hypercorn drops a connection without a request: the poll has to be there before. It
            # is, when a request that was sent later has its response.
            await sent.wait()
            await http.get("/healthz")
            exit_code = await trio.to_thread.run_sync(server.stop)
    assert sorted(map(str, ends)) == ["1", "1001", "1001"]
    assert exit_code == 0
    assert time.monotonic() - began < SOON
    server.start_again()


def upgraded(server: ServerProcess, path: str) -> socket.socket:
    """Return a connection behind the opening handshake of a WebSocket."""
    connection = socket.create_connection((server.host, server.port), timeout=SOON)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token()}\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1024)
    assert head.startswith(b"HTTP/1.1 101 ")
    return connection


@pytest.mark.parametrize("path", [SOCKET_IO, PLAIN])
def test_who_sends_too_much_and_does_not_close_is_gone_soon(
    server: ServerProcess, path: str
) -> None:
    with upgraded(server, path) as connection:
        frame = b"\x81\xff" + TOO_LARGE.to_bytes(8) + bytes(4) + bytes(TOO_LARGE)
        connection.sendall(frame)
        received = b""
        while data := connection.recv(1 << 16):
            received += data
    assert received.endswith(b"\x88\x02" + (1009).to_bytes(2))
    assert server.alive()
