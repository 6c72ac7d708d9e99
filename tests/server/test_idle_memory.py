"""What a client that waits costs: the whole server, from the listener to the room."""

from __future__ import annotations

import gc
import os
import select
import tracemalloc

import pytest
import trio
import trio.testing

from tests.gateway.serving import SLUG
from tests.server.running import Running, running, token
from tests.socketio.frames import TEXT, frame

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no plane here")

MOST = 6_000
"""Bytes of one connection in Python's objects. Node takes 14 KB."""
CLIENTS = 100

UPGRADE = b"".join(
    line + b"\r\n"
    for line in (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        b"Host: here",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"",
    )
)


async def joined(server: Running) -> int:
    """Return the descriptor of a client that has joined; it takes no memory of Python's."""
    stream = await server.stream_below()
    buffer = bytearray()

    async def receive(until: bytes) -> None:
        while until not in buffer:
            buffer.extend(await stream.receive_some())

    await stream.send_all(UPGRADE)
    await receive(b'"sid"')
    await stream.send_all(text(f'40/gbs-lineup,{{"token":"{token()}"}}'))
    await receive(b"40/gbs-lineup")
    await stream.send_all(text(f'42/gbs-lineup,0["join-retreat","{SLUG}"]'))
    await receive(b"43/gbs-lineup,0[")
    return stream.socket.detach()


def traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def text(packet: str) -> bytes:
    return frame(TEXT, packet.encode())


async def test_a_client_that_has_joined_and_waits_takes_little_memory() -> None:
    async with running() as server:
        descriptors = [await joined(server) for _ in range(10)]
        tracemalloc.start()
        try:
            before = traced_bytes()
            descriptors += [await joined(server) for _ in range(CLIENTS)]
            await trio.testing.wait_all_tasks_blocked()
            taken = (traced_bytes() - before) / CLIENTS
        finally:
            tracemalloc.stop()
            for descriptor in descriptors:
                os.close(descriptor)
    assert taken < MOST
