"""Clients that ask for list after list and read none cost no memory to speak of."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from wsproto import ConnectionType, WSConnection, events

from gbs_actor.client import connect
from tests.e2e.server_process import ServerProcess, running_server, token

LARGE_RETREAT = "2024-summer"
GREEDY = 40
JOINS = 20
EDITS = 50
ROOM = 120 * 1024 * 1024
"""Bytes by which the server may grow: the lists that are asked for have three times as many."""


@asynccontextmanager
async def unread_joins(server: ServerProcess, number: int) -> AsyncIterator[trio.SocketStream]:
    """A connection that joins many times in one write, under ack ids of its own."""
    raw = trio.socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await raw.connect((server.host, server.port))
    async with trio.SocketStream(raw) as stream:
        protocol = WSConnection(ConnectionType.CLIENT)
        target = "/socket.io/?EIO=4&transport=websocket"
        await stream.send_all(protocol.send(events.Request(server.host, target)))
        while not any(isinstance(event, events.AcceptConnection) for event in protocol.events()):
            protocol.receive_data(bytes(await stream.receive_some()))
        auth = json.dumps({"token": token(1_000 + number)})
        packets = [f"40/gbs-lineup,{auth}"]
        for ack_id in range(number * JOINS, (number + 1) * JOINS):
            packets.append(f'42/gbs-lineup,{ack_id}["join-retreat","{LARGE_RETREAT}"]')
        frames = [protocol.send(events.TextMessage(packet)) for packet in packets]
        await stream.send_all(b"".join(frames))
        yield stream


async def test_lists_that_nobody_reads_are_bounded_and_others_go_on() -> None:
    with running_server() as server:
        async with connect(server.url, token(7)) as editor, AsyncExitStack() as stack:
            people = [row.id for row in await editor.join(LARGE_RETREAT) if not row.is_leader]
            before = await trio.to_thread.run_sync(server.memory)
            for number in range(GREEDY):
                await stack.enter_async_context(unread_joins(server, number))
            for number in range(EDITS):
                await editor.assign(people[number], number % 30 + 1)
            after = await trio.to_thread.run_sync(server.memory)
            assert after - before < ROOM
