"""HTTP over the simulated network, by the servers that run over sockets."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import FrontDoor, SocketServer
from gbs_actor.testing.network import Address, SimListener, SimStream

CLIENT = Address("192.0.2.7", 40_000)


async def show_addresses(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = f"{scope['client']} {scope['server']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def exchange(stream: SimStream, request: bytes) -> bytes:
    await stream.send_all(request)
    response = b""
    while data := await stream.receive_some():
        response += data
    return response


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", b"('192.0.2.7', 40000) ('198.51.100.1', 80)"),
        ("/socket.io/?EIO=4&transport=polling", b'"upgrades":["websocket"]'),
    ],
)
async def test_http_and_polling_know_the_address_of_the_client(
    autojump_clock: object, path: str, expected: bytes
) -> None:
    listener = SimListener()
    server = SocketServer(max_connections_per_address=1)
    http = HttpServer(show_addresses, head_limit=16_384, max_payload=1, http_idle_timeout=75.0)  # type: ignore[arg-type]
    door = FrontDoor({}, http.serve, requests={server.path: server.serve_http})
    request = f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode()
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        assert expected in await exchange(listener.connect(CLIENT), request)
        nursery.cancel_scope.cancel()


async def test_connections_are_limited_by_address(autojump_clock: object) -> None:
    listener = SimListener()
    door = FrontDoor({}, _keep, connections_per_address=1)
    request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        first = listener.connect(CLIENT)
        await first.send_all(request)
        assert await first.receive_some() == b"served"
        for host, expected in (("192.0.2.7", b"HTTP/1.1 503"), ("192.0.2.8", b"served")):
            client = listener.connect(Address(host, 40_001))
            await client.send_all(request)
            assert (await client.receive_some()).startswith(expected)
        nursery.cancel_scope.cancel()


async def test_a_drained_door_closes_connections_below_tasks_that_use_them(
    autojump_clock: object,
) -> None:
    listener = SimListener()
    door = FrontDoor({}, _keep)
    async with trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        client = listener.connect(CLIENT)
        await client.send_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert await client.receive_some() == b"served"
        door.stop_accepting()
        await door.drain(3.0)
        assert await client.receive_some() == b""


async def _keep(stream: Any) -> None:
    with stream.answering():
        await stream.receive_some()
        await stream.send_all(b"served")
        with trio.CancelScope(shield=True):
            await stream.receive_some()
