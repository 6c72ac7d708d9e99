from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.socketio import ConnectError, Socket, SocketServer
from gbs_actor.testing import PeerRefused, socket_server
from gbs_actor.testing.peers import Carrier

CARRIERS: tuple[Carrier, ...] = ("websocket", "polling")


def chat() -> SocketServer:
    server = SocketServer()
    space = server.namespace("/chat")

    @space.on_connect
    def connect(socket: Socket, auth: Any) -> None:
        if auth == {"name": "Eve"}:
            raise ConnectError("not you", {"code": "FORBIDDEN"})
        socket.emit("welcome", auth)

    @space.on("say")
    async def say(socket: Socket, *words: Any) -> tuple[Any, ...]:
        space.emit("said", *words)
        return words

    return server


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_handlers_are_called_and_answer(autojump_clock: MockClock, carrier: Carrier) -> None:
    async with socket_server(chat()) as harness:
        mina = await harness.connect("/chat", auth={"name": "Mina"}, transport=carrier)
        joon = await harness.connect("/chat", transport=carrier)
        assert await mina.event("welcome") == {"name": "Mina"}
        assert await joon.event("welcome") is None
        assert await mina.call("say", "hello", 2) == ("hello", 2)
        assert await joon.event("said") == "hello"
        assert joon.received[-1].arguments == ("hello", 2)
        await joon.disconnect()
        await mina.emit("say", "again")
        assert await mina.event("said") == "hello"
        assert await mina.event("said") == "again"
        await joon.no_event("said")


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_bytes_go_both_ways(autojump_clock: MockClock, carrier: Carrier) -> None:
    async with socket_server(chat()) as harness:
        peer = await harness.connect("/chat", transport=carrier)
        sent = {"file": b"\x00\x01", "parts": [b"a", {"b": b"c"}]}
        assert await peer.call("say", sent, b"") == (sent, b"")


async def test_a_call_of_the_server_is_acknowledged(autojump_clock: MockClock) -> None:
    server = SocketServer()
    answers = []

    @server.namespace("/").on("begin")
    async def begin(socket: Socket) -> None:
        answers.append(await socket.call("ask", "how many?", timeout=5))

    async with socket_server(server) as harness:
        peer = await harness.connect()
        await peer.emit("begin")
        assert await peer.event("ask") == "how many?"
        ack_id = peer.received[-1].ack_id
        assert ack_id is not None
        await peer.acknowledge(ack_id, 3)
        await harness.settle()
    assert answers == [3]


async def test_an_exception_of_the_block_is_raised_as_itself(autojump_clock: MockClock) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with socket_server(chat()) as harness:
            await harness.connect("/chat")
            raise ZeroDivisionError


async def test_refusals_are_raised(autojump_clock: MockClock) -> None:
    async with socket_server(chat()) as harness:
        with pytest.raises(PeerRefused) as refused:
            await harness.connect("/chat", auth={"name": "Eve"})
        assert (refused.value.code, refused.value.message) == ("FORBIDDEN", "not you")
        with pytest.raises(PeerRefused, match="Invalid namespace"):
            await harness.connect("/nowhere")
        with pytest.raises(ValueError, match="no transport 'pigeon'; there are 'websocket'"):
            await harness.connect(transport="pigeon")  # type: ignore[arg-type]


async def test_timeouts_are_those_of_the_clock(autojump_clock: MockClock) -> None:
    async with socket_server(SocketServer(ping_interval=25.0, ping_timeout=60.0)) as harness:
        harness.server.namespace("/")
        peer = await harness.connect()
        await trio.sleep(3600)
        assert not peer.closed.is_set()  # pings are answered
        peer.stream.pause()
        before = trio.current_time()
        await trio.sleep(25 + 60 + 25)
        peer.stream.resume()
        await peer.closed.wait()
        assert trio.current_time() == before + 110
