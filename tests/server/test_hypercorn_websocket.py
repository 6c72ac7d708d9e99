"""WebSockets that Hypercorn serves: messages that are too large, and extensions."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypercorn.protocol.ws_stream import FrameTooLargeError
from trio.testing import wait_all_tasks_blocked
from wsproto.events import BytesMessage, TextMessage

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.server.hypercorn.websocket import BoundedBuffer
from gbs_actor.socketio import FrontDoor
from tests.gateway.serving import SLUG
from tests.server.running import answer, everything, running, settings, token

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Authorization: Bearer %b\r\n\r\n"
)


@pytest.mark.parametrize("fragment", [TextMessage("x" * 40), BytesMessage(b"x" * 40)])
def test_of_a_message_that_is_too_large_nothing_is_kept(
    fragment: TextMessage | BytesMessage,
) -> None:
    buffer = BoundedBuffer(100)
    for _ in range(2):
        buffer.extend(fragment)
    for _ in range(3):
        with pytest.raises(FrameTooLargeError):
            buffer.extend(fragment)
        assert buffer.value is None


def test_a_message_may_be_as_large_as_the_limit() -> None:
    buffer = BoundedBuffer(100)
    buffer.extend(TextMessage("x" * 60))
    buffer.extend(TextMessage("y" * 40))
    assert buffer.to_message()["text"] == "x" * 60 + "y" * 40


@pytest.mark.parametrize(
    "target", ["/socket.io/?EIO=4&transport=websocket", f"/ws/retreats/{SLUG}"]
)
async def test_who_sends_too_much_and_does_not_close_is_gone_soon(target: str) -> None:
    size = settings().socketio.max_payload + 1
    async with running() as server:
        stream = await server.stream()
        await answer(stream, HEALTH)  # now Hypercorn has the connection, and keeps it
        await stream.send_all(UPGRADE % (target.encode(), token().encode()))
        with trio.fail_after(10):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await stream.send_all(b"\x81\xff" + size.to_bytes(8) + bytes(4) + bytes(size))
        with trio.fail_after(10):
            received = await everything(stream)
    assert received.endswith(b"\x88\x02" + (1009).to_bytes(2))


async def test_one_whose_client_sends_before_it_is_accepted_is_refused_and_the_app_informed() -> (
    None
):
    informed: list[str] = []

    async def undecided(_scope: Any, receive: Any, _send: Any) -> None:
        while (event := (await receive())["type"]) != "websocket.disconnect":
            informed.append(event)
        informed.append(event)

    http = HttpServer(undecided, head_limit=16_384, max_payload=1_000, http_idle_timeout=60)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(FrontDoor({}, http.serve).serve, listeners)
        far = await trio.open_tcp_stream(*listeners[0].socket.getsockname())
        await far.send_all(UPGRADE % (b"/", b"x"))
        await wait_all_tasks_blocked(0.05)
        await far.send_all(b"\x88\x80\0\0\0\0")
        with trio.fail_after(10):
            assert (await far.receive_some()).startswith(b"HTTP/1.1 400 ")
            await everything(far)
        nursery.cancel_scope.cancel()
    assert informed == ["websocket.connect", "websocket.disconnect"]
