"""A client that stops reading costs the others nothing, and ends on the right rows."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from gbs_actor.client import connect
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

EDITS = 1_000
ROOM = 20 * 1024 * 1024
"""Bytes by which the server may grow over all of it."""


class ReluctantStream(trio.abc.Stream):
    """A TCP stream with a tiny receive buffer, whose reading can be held up."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._may_read = trio.Event()
        self._may_read.set()

    def hold(self) -> None:
        self._may_read = trio.Event()

    def release(self) -> None:
        self._may_read.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        await self._may_read.wait()
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(
        environment={"GBS_EVENT_RATE": "100000", "GBS_EVENT_BURST": "100000"}
    ) as running:
        yield running


def _sink(server: ServerProcess, user_id: int) -> dict[str, Any]:
    sink: dict[str, Any] = next(
        it["sink"] for it in server.room()["subscribers"] if it["userId"] == user_id
    )
    return sink


async def test_a_client_that_stops_reading_is_conflated_and_catches_up(
    server: ServerProcess,
) -> None:
    streams: list[ReluctantStream] = []

    async def reluctantly(host: str, port: int) -> trio.abc.Stream:
        raw = trio.socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await raw.connect((host, port))
        streams.append(ReluctantStream(trio.SocketStream(raw)))
        return streams[-1]

    async with (
        connect(server.url, token(7)) as author,
        connect(server.url, token(8)) as prompt,
        connect(server.url, token(9), connect_stream=reluctantly) as slow,
    ):
        people = [row.id for row in await author.join(RETREAT) if not row.is_leader]
        await prompt.join(RETREAT)
        await slow.join(RETREAT)
        streams[0].hold()
        before = await trio.to_thread.run_sync(server.memory)

        async def edit(offset: int) -> None:
            for at in range(offset, EDITS, 20):
                await author.assign(people[at % len(people)], at % 30 + 1)

        async with trio.open_nursery() as nursery:
            for offset in range(20):
                nursery.start_soon(edit, offset)

        with trio.fail_after(30):
            await prompt.until(lambda prompt: prompt.rows == author.rows)

        sink = await trio.to_thread.run_sync(_sink, server, 9)
        assert sink["conflated"] > 0
        assert sink["queued"] > 0
        after = await trio.to_thread.run_sync(server.memory)
        assert after - before < ROOM

        streams[0].release()
        with trio.fail_after(30):
            await slow.until(lambda slow: slow.rows == author.rows)
        # One connection, so every frame was read, by wsproto; and in order.
        assert slow.statistics().connections == 1
        assert slow.statistics().backward_merges == 0
