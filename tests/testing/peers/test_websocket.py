"""The peers' WebSocket, against the server's half of another implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gbs_actor.testing.network import Address, SimStream, connection
from gbs_actor.testing.peers.messages import PeerRefused
from gbs_actor.testing.peers.transport import TransportClosed
from gbs_actor.testing.peers.websocket import WebSocketTransport

CLIENT, SERVER = Address("198.18.0.1", 50_000), Address("198.51.100.1", 80)


class Server:
    """Answers a handshake, and receives and sends frames."""

    def __init__(self, stream: SimStream) -> None:
        self.stream = stream
        self.protocol = ServerProtocol(max_size=None)
        self.bytes = b""
        """All that was received."""

    async def receive(self) -> list[Frame | Request]:
        data = await self.stream.receive_some()
        self.bytes += data
        self.protocol.receive_data(data)
        return [e for e in self.protocol.events_received() if isinstance(e, (Frame, Request))]

    async def accept(self) -> Request:
        (request,) = await self.receive()
        assert isinstance(request, Request)
        self.protocol.send_response(self.protocol.accept(request))
        await self.flush()
        return request

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            self.protocol.send_frame(frame)
        await self.flush()

    async def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                await self.stream.send_all(data)


@asynccontextmanager
async def opened(client: Address = CLIENT) -> AsyncIterator[tuple[WebSocketTransport, Server]]:
    ours, theirs = connection(client, SERVER)
    server = Server(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.accept)
        websocket = await WebSocketTransport.open(ours, "/a?b=1", headers={"Cookie": "c=d"})
    yield websocket, server


async def test_the_handshake_has_path_query_and_headers() -> None:
    ours, theirs = connection(CLIENT, SERVER)

    async def accept() -> None:
        request = await Server(theirs).accept()
        assert request.path == "/a?b=1"
        assert request.headers["Cookie"] == "c=d"
        assert request.headers["Host"] == "lineup.test"
        assert "Sec-WebSocket-Extensions" not in request.headers

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await WebSocketTransport.open(ours, "/a?b=1", headers={"Cookie": "c=d"})


async def test_another_status_refuses_and_closes_the_stream() -> None:
    ours, theirs = connection(CLIENT, SERVER)
    await theirs.send_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    with pytest.raises(PeerRefused, match="refused with 403: no"):
        await WebSocketTransport.open(ours, "/", headers={})
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()


async def test_an_end_in_the_handshake_refuses() -> None:
    ours, theirs = connection(CLIENT, SERVER)
    await theirs.aclose()
    with pytest.raises(PeerRefused, match="broke in the handshake"):
        await WebSocketTransport.open(ours, "/", headers={})


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
async def test_messages_of_all_lengths_arrive_unmasked_at_the_server(size: int) -> None:
    async with opened() as (websocket, server), trio.open_nursery() as nursery:
        nursery.start_soon(websocket.send, b"x" * size, "é")
        received: list[Frame | Request] = []
        while len(received) < 2:
            received += await server.receive()
        assert received == [Frame(Opcode.BINARY, b"x" * size), Frame(Opcode.TEXT, "é".encode())]


async def test_fragments_are_joined_and_pings_are_answered_in_between() -> None:
    async with opened() as (websocket, server):
        await server.send(
            Frame(Opcode.TEXT, b"a", fin=False),
            Frame(Opcode.PING, b"p"),
            Frame(Opcode.CONT, b"b"),
            Frame(Opcode.BINARY, b"c"),
        )
        assert await websocket.receive() == ["ab", b"c"]
        assert await server.receive() == [Frame(Opcode.PONG, b"p")]


async def test_frames_behind_the_handshake_in_one_piece_are_kept() -> None:
    ours, theirs = connection(CLIENT, SERVER)
    server = Server(theirs)

    async def accept() -> None:
        (request,) = await server.receive()
        assert isinstance(request, Request)
        server.protocol.send_response(server.protocol.accept(request))
        server.protocol.send_text(b"first")
        await theirs.send_all(b"".join(server.protocol.data_to_send()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        websocket = await WebSocketTransport.open(ours, "/", headers={})
    assert await websocket.receive() == ["first"]


async def test_a_close_frame_gives_its_code_and_reason_and_a_cut_none() -> None:
    async with opened() as (websocket, server):
        server.protocol.send_close(4401, "expired")
        await server.flush()
        await server.stream.send_eof()
        with pytest.raises(TransportClosed) as closed:
            await websocket.receive()
        assert (closed.value.code, closed.value.reason) == (4401, "expired")
    async with opened() as (websocket, server):
        server.stream.cut()
        with pytest.raises(TransportClosed) as closed:
            await websocket.receive()
        assert closed.value.code is None


async def test_a_server_that_breaks_the_protocol_fails_the_test() -> None:
    async with opened() as (websocket, server):
        await server.stream.send_all(b"\x83\x00")  # a reserved opcode
        with pytest.raises(AssertionError, match="breaks RFC 6455"):
            await websocket.receive()


async def test_bytes_depend_on_the_address_alone() -> None:
    async def sent(client: Address) -> bytes:
        async with opened(client) as (websocket, server):
            await websocket.send("same", b"bytes")
            await websocket.aclose()
            while b"\x88" not in server.bytes[-8:]:
                await server.receive()
            return server.bytes

    first, second = await sent(CLIENT), await sent(CLIENT)
    assert first == second
    assert await sent(Address("198.18.0.1", 50_001)) != first
    masks = {first[index + 2 : index + 6] for index in (-8, -8 - 11, -8 - 11 - 10)}
    assert len(masks) == 3
