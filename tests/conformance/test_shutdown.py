"""What clients hear when the process that serves them is asked to end."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.conformance.clients import WebSocketClient
from tests.conformance.processes import mortal
from tests.socketio.peer import Close

GRACE = 5.0
"""Seconds; Hypercorn lets connections be for a while before it ends them."""


async def read_close(client: WebSocketClient) -> Close:
    """Answer pings until the close frame, finish the closing handshake, and return the frame."""
    with trio.fail_after(GRACE):
        while not isinstance(received := await client.peer.receive(), Close):
            assert received == "2"
            await client.send("3")
    await client.peer.finish_close()
    return received


async def test_a_websocket_is_closed_with_1001(host: str, tmp_path: Path) -> None:
    codes: list[int] = []

    async def record_code(client: WebSocketClient) -> None:
        codes.append((await read_close(client)).code)

    async with mortal(host, tmp_path / "log") as (site, end), trio.open_nursery() as nursery:
        for transport in ("websocket", "upgraded"):
            client = await site.open(transport)
            assert isinstance(client, WebSocketClient)
            nursery.start_soon(record_code, client)
        end()
    assert codes == [1001, 1001]


async def test_a_waiting_get_is_answered_by_a_close_packet(tmp_path: Path) -> None:
    async with mortal("own", tmp_path / "log") as (site, end):
        polls = await site.polls()
        await polls.gets.send("GET", polls.target)
        await site.settle()
        end()
        answer = await polls.gets.answer()
        assert (answer.status, answer.text) == (200, "1")
