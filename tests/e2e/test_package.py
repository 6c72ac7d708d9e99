"""The Socket.IO package alone, with the stock JavaScript client over every transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from gbs_actor.socketio import Socket, SocketServer
from tests.apps.command import serve
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import COMES_BACK
from tests.e2e.stock_client import StockClient, stock_clients

NAMESPACE = "/quiz"
RESTART = 1012
BYTES = b"\x00\xff{"


@asynccontextmanager
async def quiz(page: str) -> AsyncIterator[str]:
    """A server that puts questions to its clients, and ends them in two ways; its address."""
    server = SocketServer(allowed_origins=[page])
    space = server.namespace(NAMESPACE)

    @space.on("ask-me")
    async def ask(socket: Socket, question: object) -> None:
        socket.emit("answered", await socket.call("question", question, timeout=20))

    @space.on("ask-bytes")
    async def ask_bytes(socket: Socket) -> None:
        socket.emit("the-same", await socket.call("question", BYTES, timeout=20) == BYTES)

    @space.on("leave-me")
    def leave(socket: Socket) -> None:
        socket.disconnect()

    @space.on("restart")
    def restart(socket: Socket) -> None:
        socket.close_transport(RESTART)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, server, listeners)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def players(
    drivers: Drivers, url: str, **options: object
) -> AsyncIterator[list[StockClient]]:
    """Clients in the namespace, one for each driver."""
    async with stock_clients(drivers.values()) as clients:
        for client in clients:
            await client.connect(url, namespace=NAMESPACE, options={**COMES_BACK, **options})
        yield clients


async def test_a_client_acknowledges_what_the_server_asks(drivers: Drivers, page: str) -> None:
    question = {"what": "어느 조?", "choices": [1, 2, None]}
    async with quiz(page) as url, players(drivers, url) as clients:
        for client in clients:
            await client.emit("ask-me", question)
            assert await client.event("answered") == question


@pytest.mark.parametrize("options", [{}, {"forceBase64": True}, {"protocols": ["x"]}], ids=str)
async def test_bytes_go_there_and_back(
    drivers: Drivers, page: str, options: dict[str, object]
) -> None:
    async with quiz(page) as url, players(drivers, url, **options) as clients:
        for client in clients:
            await client.emit("ask-bytes")
            assert await client.event("the-same") is True


async def test_a_client_whose_namespace_was_disconnected_does_not_come_back(
    drivers: Drivers, page: str
) -> None:
    async with quiz(page) as url, players(drivers, url) as clients:
        for client in clients:
            await client.emit("leave-me")
            assert await client.event("disconnect") == "io server disconnect"
            assert not (await client.facts()).connected


async def test_a_client_whose_connection_was_closed_comes_back(drivers: Drivers, page: str) -> None:
    async with quiz(page) as url, players(drivers, url) as clients:
        for client in clients:
            mark = len(client.happened)
            await client.emit("restart")
            assert await client.event("disconnect") == "transport close"
            await client.event("connect", since=mark)
