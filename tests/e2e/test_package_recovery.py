"""Connection state recovery of the Socket.IO package by itself, with the stock client in Node."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from gbs_actor.socketio import MemoryRecovery, Socket, SocketServer
from tests.apps.command import serve
from tests.e2e.drivers import TRANSPORTS, Drivers
from tests.e2e.in_room import COMES_BACK
from tests.e2e.stock_client import StockClient, stock_client

pytestmark = [pytest.mark.node, pytest.mark.parametrize("transports", TRANSPORTS)]


class Service:
    """A server whose namespace ``/`` lets clients come back."""

    def __init__(self, url: str, server: SocketServer) -> None:
        self.url = url
        self.space = server.namespace("/")

    @property
    def socket(self) -> Socket:
        (socket,) = self.space.sockets
        return socket


@asynccontextmanager
async def served() -> AsyncIterator[Service]:
    server = SocketServer()
    server.namespace("/").recovery = MemoryRecovery()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, server, listeners)
        yield Service(f"http://127.0.0.1:{port}", server)
        await server.shutdown()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def begun(drivers: Drivers, transports: str) -> AsyncIterator[tuple[Service, StockClient]]:
    """A client that has received one event, on the transport it stays on."""
    async with served() as service, stock_client(drivers[transports]) as client:
        await client.connect(service.url, namespace="/", options=COMES_BACK)
        if transports == "upgrade":
            await client.event("upgrade")
        service.space.emit("news", 0)
        await client.event("news", lambda value: value == 0)
        yield service, client


def news(client: StockClient) -> list[object]:
    return [happened.value for happened in client.happened if happened.name == "news"]


async def test_a_client_is_recovered_with_all_it_missed_and_nothing_twice(
    node_drivers: Drivers, transports: str
) -> None:
    async with begun(node_drivers, transports) as (service, client):
        before = (await client.facts()).id
        for round_ in range(3):
            mark = len(client.happened)
            service.socket.abort()
            for number in range(1, 4):
                service.space.emit("news", 3 * round_ + number)
            assert (await client.event("connect", since=mark))["recovered"]
            await client.event("news", partial(operator.eq, 3 * round_ + 3))
        service.socket.emit("news", 10)
        await client.event("news", lambda value: value == 10)
        assert news(client) == list(range(11))
        assert (await client.facts()).id == before == service.socket.id
        assert service.socket.recovered


async def test_a_client_that_closes_its_connection_is_recovered(
    node_drivers: Drivers, transports: str
) -> None:
    async with begun(node_drivers, transports) as (_, client):
        mark = len(client.happened)
        await client.drop()
        assert (await client.event("connect", since=mark))["recovered"]


async def test_a_client_that_left_is_not_recovered(node_drivers: Drivers, transports: str) -> None:
    async with begun(node_drivers, transports) as (service, client):
        mark = len(client.happened)
        await client.disconnect()
        await client.reconnect()
        assert not (await client.event("connect", since=mark))["recovered"]
        service.space.emit("news", 1)
        await client.event("news", lambda value: value == 1)
        assert news(client) == [0, 1]
