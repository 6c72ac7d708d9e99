from __future__ import annotations

import pytest
import trio

from tests.gateway.composing import SLUG
from tests.server.running import answer, everything, running, settings, token

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(
    "target", ["/socket.io/?EIO=4&transport=websocket", f"/ws/retreats/{SLUG}"]
)
async def test_who_sends_too_much_and_does_not_close_is_gone_soon(target: str) -> None:
    size = settings().socketio.max_payload + 1
    async with running() as server:
        stream = await server.stream()
        await answer(stream, HEALTH)  # now Hypercorn has the connection, and keeps it
        await stream.send_all(
            f"GET {target} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {token()}\r\n\r\n".encode()
        )
        with trio.fail_after(10):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await stream.send_all(b"\x81\xff" + size.to_bytes(8) + bytes(4) + bytes(size))
        with trio.fail_after(10):
            received = await everything(stream)
    assert received.endswith(b"\x88\x02" + (1009).to_bytes(2))
