"""The client's side of a WebSocket: frames made by hand, answers read by wsproto."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import trio
import trio.testing
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode

from gbs_actor.socketio import EngineServer
from gbs_actor.socketio.net.request import Request, parse_request

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

HEADERS = (
    b"Host: own.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_MASK = b"\x01\x82\x00\xff"


def frame(
    opcode: int,
    payload: bytes,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = _MASK,
    length_bytes: int = 0,
) -> bytes:
    """Return a client's frame, good or not (RFC 6455 §5.2).

    :param rsv: the three reserved bits.
    :param mask: ``None``: not masked, which a client must not do.
    :param length_bytes: 2 or 8 to write the length longer than necessary.
    """
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    masked = 0 if mask is None else 0x80
    size = len(payload)
    if size < 126 and not length_bytes:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65_536 and length_bytes < 8:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if mask is None:
        return head + payload
    key = (mask * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + number.to_bytes(size, "big")


def request(target: str, more: bytes = b"") -> Request:
    """Return the request of a WebSocket handshake.

    :param more: header fields, each with its end of line.
    """
    head = b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target.encode("latin-1"), HEADERS, more)
    parsed = parse_request(head)
    assert parsed is not None
    return parsed


class Incoming:
    """What a server says on a stream: an answer, and after a 101 messages.

    :param compressed: whether permessage-deflate was asked for.
    """

    def __init__(self, *, compressed: bool = False) -> None:
        self.status = 0
        self.head = b""
        self.code: int | None = None
        """Of the server's close frame."""
        self.pongs: list[bytes] = []
        self._data = b""
        self._compressed = compressed
        self._frames: FrameProtocol | None = None
        self._message: list[str | bytes] = []

    def feed(self, data: bytes) -> Iterator[str | bytes]:
        """Yield the messages that are complete now.

        :raises AssertionError: the server has broken the protocol.
        """
        if self._frames is None:
            self._data += data
            head, end, data = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            self.head = head
            self.status = int(head.split(b" ")[1])
            if self.status != 101:
                return
            self._frames = FrameProtocol(client=True, extensions=self._extensions())
        self._frames.receive_bytes(data)
        for received in self._frames.received_frames():
            if received.opcode is Opcode.CLOSE:
                assert self.code is None, "a second close frame"
                code, _ = cast(tuple[int, str], received.payload)
                self.code = int(code)
            elif received.opcode is Opcode.PONG:
                self.pongs.append(bytes(cast(bytearray, received.payload)))
            elif received.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION}:
                assert self.code is None, "a message behind the close frame"
                payload = cast(str | bytearray, received.payload)
                self._message.append(payload if isinstance(payload, str) else bytes(payload))
                if received.message_finished:
                    yield self._whole()

    def _whole(self) -> str | bytes:
        parts, self._message = self._message, []
        if isinstance(parts[0], str):
            return "".join(part for part in parts if isinstance(part, str))
        return b"".join(part for part in parts if isinstance(part, bytes))

    def _extensions(self) -> list[Extension]:
        name = b"sec-websocket-extensions:"
        lines = [line for line in self.head.split(b"\r\n") if line.lower().startswith(name)]
        if not lines:
            return []
        assert self._compressed
        deflate = PerMessageDeflate()
        deflate.finalize(lines[0].split(b":", 1)[1].strip().decode())
        return [deflate]


class Link(Protocol):
    """A WebSocket as its client has it, whatever is below."""

    @property
    def status(self) -> int:
        """Of the answer to the handshake; 0 while there is none."""
        ...

    @property
    def code(self) -> int | None:
        """Of the server's close frame."""
        ...

    async def say(self, message: str | bytes) -> bool:
        """Send a whole message; return whether the server still wants any."""
        ...

    async def say_close(self) -> None:
        """Answer the server's close frame, if that has to be done."""
        ...

    async def receive(self) -> list[str | bytes] | None:
        """Return the messages that come next; ``None`` at the end."""
        ...

    def drop(self) -> None:
        """End the connection without a word."""
        ...


Pair = Callable[[], tuple[Any, Any]]


def sockets() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Return the ends of a connection that takes little at a time."""
    ends = trio.socket.socketpair()
    for end in ends:
        end.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 1)  # the least there is
    return trio.SocketStream(ends[0]), trio.SocketStream(ends[1])


class StreamLink:
    """A WebSocket over a stream, served by an :class:`EngineServer`.

    :param pair: makes both ends of the stream.
    :param leftover: what the client has sent together with the handshake.
    """

    def __init__(
        self,
        server: EngineServer,
        nursery: trio.Nursery,
        asked: Request,
        *,
        pair: Pair = trio.testing.memory_stream_pair,
        leftover: bytes = b"",
        compressed: bool = False,
    ) -> None:
        self.stream, self.far = pair()
        self._incoming = Incoming(compressed=compressed)
        self._lock = trio.Lock()

        async def serve() -> None:
            try:
                await server.serve_websocket(self.far, asked, leftover)
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # as the front door has it

        nursery.start_soon(serve)

    @property
    def status(self) -> int:
        """See :class:`Link`."""
        return self._incoming.status

    @property
    def code(self) -> int | None:
        """See :class:`Link`."""
        return self._incoming.code

    @property
    def head(self) -> bytes:
        """Of the answer to the handshake."""
        return self._incoming.head

    @property
    def pongs(self) -> list[bytes]:
        """What has come of WebSocket pongs."""
        return self._incoming.pongs

    async def send(self, data: bytes) -> bool:
        """Send bytes; return whether the server still wants any."""
        try:
            async with self._lock:
                await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def say(self, message: str | bytes) -> bool:
        """See :class:`Link`."""
        if isinstance(message, str):
            return await self.send(frame(TEXT, message.encode("utf-8", "surrogatepass")))
        return await self.send(frame(BINARY, message))

    async def say_close(self) -> None:
        """See :class:`Link`."""
        if self.code is not None:
            await self.send(frame(CLOSE, self.code.to_bytes(2, "big")))

    async def receive(self) -> list[str | bytes] | None:
        """See :class:`Link`."""
        try:
            data = await self.stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return None
        return list(self._incoming.feed(bytes(data))) if data else None

    def drop(self) -> None:
        """See :class:`Link`."""
        if isinstance(self.stream, trio.SocketStream):
            self.stream.socket.close()
        else:
            self.stream.send_stream.close()
            self.stream.receive_stream.close()
