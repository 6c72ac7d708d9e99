from __future__ import annotations

from typing import Any, cast

import hypercorn.protocol
import pytest
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol import ws_stream
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.ws_stream import FrameTooLargeError
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from wsproto.events import BytesMessage, TextMessage

from gbs_actor.server.hypercorn.http2 import BoundedHttp2
from gbs_actor.server.hypercorn.limits import BoundedBuffer, limit_hypercorn


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
    ("owner", "name"),
    [
        (ws_stream, "WebsocketBuffer"),
        (ws_stream, "server_extensions_handshake"),
        (hypercorn.protocol, "H2Protocol"),
        (TCPServer, "protocol_send"),
    ],
)
def test_a_version_of_hypercorn_that_cannot_be_limited_is_not_run(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    limit_hypercorn()
    monkeypatch.delattr(owner, name)
    with pytest.raises(RuntimeError, match=rf"Hypercorn has no [\w.]*{name} any more"):
        limit_hypercorn()


@pytest.mark.parametrize("name", ["_handle_events", "_send_data", "_close_stream", "_flush"])
def test_nor_is_one_whose_http2_is_built_in_another_way(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delattr(H2Protocol, name)
    with pytest.raises(RuntimeError, match=f"Hypercorn has no H2Protocol.{name} any more"):
        limit_hypercorn()


def made(send: Any) -> BoundedHttp2:
    """Return a protocol whose events go to ``send``."""
    group = TaskGroup()
    context = WorkerContext(None)
    app = cast(Any, ASGIWrapper(cast(Any, None)))
    state = ConnectionState(cast(Any, {}))
    return BoundedHttp2(app, Config(), context, group, state, False, None, None, send)


async def test_others_get_their_turn_while_much_is_read_at_once() -> None:
    said: list[Event] = []

    async def send(event: Event) -> None:
        said.append(event)

    protocol = made(send)
    protocol.connection.initiate_connection()
    turns, pings = 0, b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
    flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0" + pings * 900

    async def wait_for_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_turns)
        await trio.lowlevel.checkpoint()
        turns = 0
        await protocol.handle(RawData(data=flood))
        nursery.cancel_scope.cancel()
    assert turns >= 5
    acknowledged = b"".join(event.data for event in said if isinstance(event, RawData))
    assert acknowledged.count(b"\0\0\x08\x06\x01") == 900
    assert not any(isinstance(event, Closed) for event in said)


async def test_what_a_cancelled_task_has_to_send_is_sent_in_its_turn() -> None:
    limit_hypercorn()
    near, far = memory_stream_pair()
    allowed, pass_on = trio.Event(), near.send_stream.send_all_hook
    assert pass_on is not None

    async def hold() -> None:
        await allowed.wait()
        await pass_on()

    near.send_stream.send_all_hook = hold
    server = TCPServer(
        cast(Any, None), Config(), WorkerContext(None), cast(Any, {}), cast(Any, near)
    )
    late = trio.CancelScope()

    async def send_late() -> None:
        with late:
            await server.protocol_send(RawData(data=b"second "))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.protocol_send, RawData(data=b"first "))
        await wait_all_tasks_blocked()
        nursery.start_soon(send_late)
        await wait_all_tasks_blocked()
        late.cancel()
        await wait_all_tasks_blocked()
        allowed.set()
    await server.protocol_send(RawData(data=b"third"))
    assert await far.receive_some() == b"first second third"
