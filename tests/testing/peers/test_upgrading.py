"""A peer that begins with polling and moves to a WebSocket, as stock clients do."""

from __future__ import annotations

from random import Random

import trio
from trio.testing import MockClock

from gbs_actor.socketio import Socket, SocketServer
from gbs_actor.testing import Conditions, SimStream, SocketHarness, SocketPeer, socket_server
from gbs_actor.testing.peers import Dial
from gbs_actor.testing.peers.upgrading import UpgradingTransport


def echo() -> SocketServer:
    server = SocketServer()
    space = server.namespace("/")

    @space.on("echo")
    async def reply(socket: Socket, number: int) -> int:
        socket.emit("echoed", number)
        return number

    return server


def has_moved(peer: SocketPeer) -> bool:
    transport = peer._transport
    assert isinstance(transport, UpgradingTransport)
    return transport.upgraded


async def test_it_moves_and_its_polls_end(autojump_clock: MockClock) -> None:
    async with socket_server(echo()) as harness:
        peer = await harness.connect(transport="upgraded")
        await harness.settle()
        assert has_moved(peer)
        statistics = harness.server.statistics()
        assert (statistics.upgrades, statistics.polling) == (1, 0)
        assert await peer.call("echo", 1) == (1,)
        await trio.sleep(100)  # heartbeats
        assert not peer.closed.is_set()


async def moves_under(conditions: Conditions) -> int:
    """Return how much was sent before it moved."""
    async with socket_server(echo(), conditions=conditions) as harness:
        peer = await harness.connect(transport="upgraded")
        polled = 0
        for number in range(60):
            polled += not has_moved(peer)
            await peer.begin("echo", number)
            await trio.sleep(0.01)
        echoed = [await peer.event("echoed") for _ in range(60)]
        assert echoed == list(range(60))
        await peer.no_event("echoed", within=1)
        replies = [each.payload for each in peer.received if each.kind == "reply"]
        assert replies == list(range(60))
        assert has_moved(peer)
        return polled


async def test_what_is_sent_meanwhile_arrives_once_and_in_order(autojump_clock: MockClock) -> None:
    polled = {
        await moves_under(
            Conditions(random=Random(seed), latency=0.1, splits=0.3, partial_sends=0.3)
        )
        for seed in range(30)
    }
    assert len(polled) > 2  # before, in the middle


async def upgrading_peer(
    nursery: trio.Nursery, harness: SocketHarness, dial_second: Dial
) -> SocketPeer:
    """Connect a peer whose probe uses another stream."""
    dials = iter((harness.open_stream, dial_second))

    async def dial() -> SimStream:
        return await next(dials, harness.open_stream)()

    peer = SocketPeer(
        nursery,
        dial,
        namespace="/",
        path=harness.server.path,
        carrier="upgraded",
        auth=None,
        headers={},
    )
    await peer.connect()
    return peer


async def test_without_a_websocket_it_stays_with_polling(autojump_clock: MockClock) -> None:
    async with socket_server(echo()) as harness, trio.open_nursery() as nursery:

        async def broken() -> SimStream:
            stream = await harness.open_stream()
            stream.cut()
            return stream

        peer = await upgrading_peer(nursery, harness, broken)
        assert await peer.call("echo", 1) == (1,)
        await trio.sleep(100)
        assert not has_moved(peer)
        assert await peer.call("echo", 2) == (2,)
        await peer.close()


async def test_a_close_meanwhile_ends_the_probe_as_well(autojump_clock: MockClock) -> None:
    async with socket_server(echo()) as harness, trio.open_nursery() as nursery:
        peer = await upgrading_peer(nursery, harness, trio.sleep_forever)
        assert await peer.call("echo", 1) == (1,)
        await peer.close()
        await harness.settle()
        assert harness.server.statistics().sockets == {"/": 0}
