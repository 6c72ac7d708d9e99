"""Sessions whose client has not joined a namespace are limited, and make room."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import SocketServer
from tests.socketio.peer import Close, Peer, Refused
from tests.socketio.polls import POLLING, WEBSOCKET, Site, site


def server_of(**options: Any) -> SocketServer:
    server = SocketServer(**{"max_unauthenticated": 2, "connect_timeout": 600.0, **options})
    server.namespace("/")
    return server


async def refused(clients: Site, transport: str) -> bool:
    """Begin a session by one of the transports; return whether there was no room for it."""
    if transport == "polling":
        response = await clients.request("GET", POLLING)
        assert response.status == 200 or response.headers["retry-after"] == "1"
        return response.status == 503
    peer = await clients.dial(WEBSOCKET)
    first = await peer.receive()
    return isinstance(first, Refused) and first.status == 503


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_sessions_without_a_namespace_are_limited(clock: MockClock, transport: str) -> None:
    async with site(server_of()) as clients:
        assert [await refused(clients, transport) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_session_with_a_namespace_does_not_count(clock: MockClock, transport: str) -> None:
    server = server_of(max_unauthenticated=1)
    async with site(server) as clients:
        for _ in range(5):
            if transport == "polling":
                await clients.joined()
            else:
                peer = await clients.dial(WEBSOCKET)
                await peer.receive()
                await peer.send("40")
                await peer.receive()
        assert len(server.unauthenticated) == 0
        assert not await refused(clients, transport)


async def test_a_session_that_is_refused_a_namespace_counts_on(clock: MockClock) -> None:
    server = server_of()
    async with site(server) as clients:
        polls = await clients.polls()
        await polls.send("40/unknown,")
        assert (await polls.receive()).startswith("44/unknown,")
        assert len(server.unauthenticated) == 1


async def test_a_polling_session_of_more_than_two_seconds_makes_room(clock: MockClock) -> None:
    async with site(server_of()) as clients:
        oldest = await clients.polls()
        await trio.sleep(1)
        second = await clients.polls()
        assert await refused(clients, "polling")
        await trio.sleep(1)
        assert not await refused(clients, "polling")
        assert await oldest.gone()
        assert (await second.post("40")).status == 200


async def test_a_websocket_of_more_than_two_seconds_makes_room(clock: MockClock) -> None:
    server = server_of(max_unauthenticated=1)
    async with site(server) as clients:
        oldest = await clients.dial(WEBSOCKET)
        await oldest.receive()
        await trio.sleep(2)
        assert not await refused(clients, "websocket")
        assert await ending(oldest) == Close(1006)
        await wait_all_tasks_blocked()
        assert len(server.unauthenticated) == 1


async def test_an_upgrade_that_is_not_finished_counts_besides_its_session(
    clock: MockClock,
) -> None:
    server = server_of(max_unauthenticated=2)
    async with site(server) as clients:
        polls = await clients.polls()
        probe = await clients.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await probe.send("2probe")
        assert await probe.receive() == "3probe"
        assert await refused(clients, "polling")
        await probe.send("5")
        await wait_all_tasks_blocked()
        assert len(server.unauthenticated) == 1
        await probe.send("40")
        await probe.receive()
        assert len(server.unauthenticated) == 0


async def test_a_session_that_ends_makes_room_at_once(clock: MockClock) -> None:
    server = server_of(max_unauthenticated=1)
    async with site(server) as clients:
        polls = await clients.polls()
        await polls.send("1")
        assert not await refused(clients, "polling")


async def test_only_so_many_of_an_address_are_let_in(clock: MockClock) -> None:
    server = server_of(max_unauthenticated=10, max_unauthenticated_per_address=1)
    async with site(server) as clients:
        await clients.polls()
        response = await clients.request("GET", POLLING)
        assert response.status == 503
        assert response.json()["message"] == "Too many connections from this address"


async def test_behind_a_trusted_proxy_the_clients_address_counts(clock: MockClock) -> None:
    server = server_of(
        max_unauthenticated=10,
        max_unauthenticated_per_address=1,
        trusted_proxies=("192.0.2.1",),
    )
    async with site(server) as clients:
        for client in ("198.51.100.1", "198.51.100.2"):
            await clients.polls(headers=[("X-Forwarded-For", client)])
        again = await clients.request("GET", POLLING, headers=[("X-Forwarded-For", "198.51.100.1")])
        assert again.status == 503


async def ending(peer: Peer) -> object:
    """Return how a connection ends, whatever comes before."""
    while isinstance(received := await peer.receive(), str):
        pass
    return received
