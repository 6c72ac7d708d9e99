"""An independent client: wsproto's WebSocket over any Trio stream, and nothing of ours.

Says exactly what a test tells it to, right or wrong.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
import trio.testing
import wsproto
from wsproto import events
from wsproto.connection import ConnectionState
from wsproto.extensions import Extension

from gbs_actor.socketio import FrontDoor, HttpStream, SocketServer

TARGET = "/socket.io/?EIO=4&transport=websocket"

Duplex = trio.abc.HalfCloseableStream


@dataclass(frozen=True)
class Close:
    """The server's close frame, or 1006 where the stream just ended."""

    code: int
    reason: str = ""


@dataclass(frozen=True)
class Refused:
    """An HTTP answer in place of the upgrade."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Incoming = str | bytes | Close | Refused


class Peer:
    """One client connection."""

    def __init__(self, stream: Duplex) -> None:
        self.stream = stream
        self.pongs: list[bytes] = []
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._incoming: deque[Incoming] = deque()
        self._text = ""
        self._bytes = b""
        self._status = 0
        self._body = b""
        self.upgraded = False
        self.subprotocol: str | None = None
        self.received_bytes = 0

    async def upgrade(
        self,
        target: str = TARGET,
        headers: Sequence[tuple[str, str]] = (),
        extensions: Sequence[Extension] = (),
        subprotocols: Sequence[str] = (),
    ) -> None:
        """Ask for a WebSocket; the answer comes with :meth:`receive` if it is a refusal."""
        extra = [(name.encode(), value.encode()) for name, value in headers]
        request = events.Request(
            host="server.test",
            target=target,
            extra_headers=extra,
            extensions=list(extensions),
            subprotocols=list(subprotocols),
        )
        await self.stream.send_all(self._protocol.send(request))
        while not (self.upgraded or self._incoming):
            await self._pump()

    async def send(self, payload: str | bytes) -> None:
        """Send one whole message."""
        message = (
            events.TextMessage(payload)
            if isinstance(payload, str)
            else events.BytesMessage(payload)
        )
        await self.stream.send_all(self._protocol.send(message))

    async def send_many(self, *payloads: str) -> None:
        """Send several messages in one write."""
        frames = [self._protocol.send(events.TextMessage(payload)) for payload in payloads]
        await self.stream.send_all(b"".join(frames))

    async def send_fragments(self, *pieces: str) -> None:
        """Send one text message in several frames."""
        for piece in pieces:
            message = events.TextMessage(piece, message_finished=piece is pieces[-1])
            await self.stream.send_all(self._protocol.send(message))

    async def ping(self, payload: bytes) -> None:
        """Send a WebSocket ping."""
        await self.stream.send_all(self._protocol.send(events.Ping(payload)))

    async def close(self, code: int = 1000) -> Close:
        """Close the WebSocket and wait for the server's close frame."""
        await self.stream.send_all(self._protocol.send(events.CloseConnection(code)))
        while True:
            received = await self.receive()
            if isinstance(received, Close):
                return received

    async def receive(self) -> Incoming:
        """Return the next message, or how the connection has ended."""
        while not self._incoming:
            await self._pump()
        return self._incoming.popleft()

    async def receive_text(self) -> str:
        """Return the next message, which has to be text."""
        received = await self.receive()
        assert isinstance(received, str), received
        return received

    async def receive_event(self) -> list[Any]:
        """Return the name and arguments of the next packet, which has to be an event."""
        text = await self.receive_text()
        assert text.startswith("42"), text
        decoded: list[Any] = json.loads(text[text.index("[") :])
        return decoded

    async def receive_close(self) -> Close:
        """Return how the connection ends, whatever comes before."""
        while True:
            received = await self.receive()
            if isinstance(received, Close):
                return received

    async def open(self) -> dict[str, Any]:
        """Upgrade, and return the payload of the open packet."""
        await self.upgrade()
        text = await self.receive_text()
        assert text.startswith("0")
        payload: dict[str, Any] = json.loads(text[1:])
        return payload

    async def join(self, namespace: str = "/", auth: str = "") -> str:
        """Open and join a namespace; return the socket's id."""
        await self.open()
        return await self.connect(namespace, auth)

    async def connect(self, namespace: str = "/", auth: str = "") -> str:
        """Join a namespace; return the socket's id."""
        prefix = "" if namespace == "/" else f"{namespace},"
        await self.send(f"40{prefix}{auth}")
        text = await self.receive_text()
        assert text.startswith(f"40{prefix}"), text
        sid: str = json.loads(text.removeprefix(f"40{prefix}"))["sid"]
        return sid

    async def finish_close(self) -> None:
        """Answer the server's close frame and end the stream, as a browser does."""
        closing = self._protocol.state is ConnectionState.REMOTE_CLOSING
        if closing:
            await self.stream.send_all(self._protocol.send(events.CloseConnection(1000)))
        await self.stream.aclose()

    async def _pump(self) -> None:
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            data = b""
        self.received_bytes += len(data)
        if not data:
            if self._status:
                self._incoming.append(Refused(self._status, self._body))
            self._incoming.append(Close(1006))
            return
        self._protocol.receive_data(bytes(data))
        for event in self._protocol.events():
            self._take(event)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.AcceptConnection():
                self.upgraded = True
                self.subprotocol = event.subprotocol
            case events.RejectConnection():
                self._status = event.status_code
            case events.RejectData():
                self._body += bytes(event.data)
                if event.body_finished:
                    self._incoming.append(Refused(self._status, self._body))
            case events.TextMessage():
                self._text += event.data
                if event.message_finished:
                    self._incoming.append(self._text)
                    self._text = ""
            case events.BytesMessage():
                self._bytes += bytes(event.data)
                if event.message_finished:
                    self._incoming.append(self._bytes)
                    self._bytes = b""
            case events.Pong():
                self.pongs.append(bytes(event.payload))
            case events.CloseConnection():
                self._incoming.append(Close(event.code, event.reason or ""))
            case _:
                raise AssertionError(event)


class MemoryListener(trio.abc.Listener[Duplex]):
    """Accepts the server ends of memory streams, or of sockets; see the fixture ``drivers``."""

    over_sockets = False

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Duplex](1_000)
        self._dialed: list[Duplex] = []
        """Sockets; one that a test does not use any more would be closed."""

    def dial(self, *, lockstep: bool = False) -> Duplex:
        """Return the client end of a new connection.

        :param lockstep: whether a write returns only once it has been read.
        """
        if self.over_sockets and not lockstep:
            return self.dial_socket()
        make = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
        client, server = make()
        self._send.send_nowait(server)
        return client

    def dial_socket(self) -> trio.SocketStream:
        """Return the client end of a new connection over sockets."""
        client, server = map(trio.SocketStream, trio.socket.socketpair())
        self._send.send_nowait(server)
        self._dialed.append(client)
        return client

    async def accept(self) -> Duplex:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


class Service:
    """A served server, and the way to it."""

    def __init__(self, server: SocketServer, door: FrontDoor, listener: MemoryListener) -> None:
        self.server = server
        self.door = door
        self._listener = listener

    def dial(self, *, lockstep: bool = False) -> Peer:
        """Return a client that has not said anything yet."""
        return Peer(self._listener.dial(lockstep=lockstep))

    async def joined(self, namespace: str = "/", auth: str = "") -> Peer:
        """Return a client that has joined a namespace."""
        peer = self.dial()
        await peer.join(namespace, auth)
        return peer


async def no_fallback(stream: HttpStream) -> None:
    raise AssertionError("nothing but WebSocket upgrades is expected here")


async def ignore(stream: HttpStream) -> None:
    """Serve HTTP by closing the connection."""


@asynccontextmanager
async def serving(
    server: SocketServer, *, fallback_allowed: bool = False
) -> AsyncIterator[Service]:
    """Serve on memory streams within the block, front door included."""
    listener = MemoryListener()
    fallback = ignore if fallback_allowed else no_fallback
    door = FrontDoor({server.path: server.serve_websocket}, fallback)
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        yield Service(server, door, listener)
        await server.shutdown()
        nursery.cancel_scope.cancel()
