"""A client's WebSocket (RFC 6455): ``websockets``' protocol on a stream."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, Self

import trio
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI
from websockets.utils import apply_mask

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers.messages import PeerRefused
from gbs_actor.testing.peers.transport import HOST, TransportClosed

_MASKED: Final = 0x80


class _Protocol(ClientProtocol):
    """A client whose key and masks depend on its address alone, so that runs repeat to the byte.

    Unpredictable masks protect proxies from scripts (RFC 6455 §10.3), of which there are none here.
    It has no extensions.
    """

    def __init__(
        self, stream: SimStream, uri: WebSocketURI, *, subprotocols: Sequence[str]
    ) -> None:
        super().__init__(
            uri, subprotocols=[Subprotocol(name) for name in subprotocols] or None, max_size=None
        )
        self._random = Random(str(stream.socket.getsockname()))  # noqa: S311
        self.key = b64encode(self._random.randbytes(16)).decode()

    def send_frame(self, frame: Frame) -> None:
        """Write a frame, masked (RFC 6455 §5.3)."""
        plain = frame.serialize(mask=False)
        head = len(plain) - len(frame.data)
        mask = self._random.randbytes(4)
        masked = apply_mask(plain[head:], mask)
        self.writes.append(bytes([plain[0], plain[1] | _MASKED]) + plain[2:head] + mask + masked)


class WebSocketTransport:
    """An open WebSocket; see :meth:`open`."""

    def __init__(self, stream: SimStream, protocol: ClientProtocol) -> None:
        self._stream = stream
        self._protocol = protocol
        self._sending = trio.Lock()
        self._fragments: list[Frame] = []
        self._events: list[Event] = []
        """That were received and not looked at."""
        self._ended = False

    @classmethod
    async def open(
        cls,
        stream: SimStream,
        resource: str,
        *,
        headers: Mapping[str, str],
        subprotocols: Sequence[str] = (),
    ) -> Self:
        """Open a WebSocket on a stream; cancelled, or refused, the stream is closed.

        :param resource: path and query.
        :raises PeerRefused: the server answers with another status than 101, or the stream ends.
        """
        path, _, query = resource.partition("?")
        uri = WebSocketURI(False, HOST, 80, path, query)
        protocol = _Protocol(stream, uri, subprotocols=subprotocols)
        request = protocol.connect()
        request.headers.update(Headers(headers))
        protocol.send_request(request)
        opening = cls(stream, protocol)
        try:
            await opening._flush()
            await opening._await_response()
        except TransportClosed:
            raise PeerRefused(None, "the connection broke in the handshake") from None
        except BaseException:
            stream.socket.close()
            raise
        return opening

    @property
    def stream(self) -> SimStream:
        """The connection."""
        return self._stream

    async def send(self, *messages: str | bytes) -> None:
        """See :class:`Transport`."""
        if self._ended or self._protocol.close_sent is not None:
            raise TransportClosed(self._protocol.close_code, self._protocol.close_reason or "")
        for message in messages:
            if isinstance(message, str):
                self._protocol.send_text(message.encode())
            else:
                self._protocol.send_binary(message)
        await self._flush()

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, which may be no frame.

        :raises TransportClosed: the connection has ended.
        """
        if self._ended:
            raise TransportClosed(self._protocol.close_code, self._protocol.close_reason or "")
        self._protocol.writes.append(data)
        await self._flush()

    async def receive(self) -> list[str | bytes]:
        """See :class:`Transport`.

        :raises AssertionError: the server breaks RFC 6455.
        """
        while True:
            if not self._events:
                await self._receive_bytes()
            events, self._events = self._events + self._protocol.events_received(), []
            messages = [
                message
                for event in events
                if isinstance(event, Frame) and (message := self._message(event)) is not None
            ]
            if not self._ended:
                await self._flush()
            if messages:
                return messages

    async def aclose(self) -> None:
        """See :class:`Transport`."""
        if not self._ended and self._protocol.close_sent is None:
            self._protocol.send_close(1000)
            await self._flush()

    def close_now(self) -> None:
        """See :class:`Transport`."""
        self._ended = True
        self._stream.socket.close()

    async def _await_response(self) -> None:
        while not self._events:
            await self._receive_bytes()
            self._events = self._protocol.events_received()
        response = self._events.pop(0)  # frames may have come with it
        assert isinstance(response, Response)
        if isinstance(self._protocol.handshake_exc, InvalidStatus):
            raise PeerRefused(response.status_code, bytes(response.body or b"").decode())
        if self._protocol.handshake_exc is not None:
            raise AssertionError(str(self._protocol.handshake_exc))

    async def _receive_bytes(self) -> None:
        if self._ended:
            raise TransportClosed(self._close_code, self._protocol.close_reason or "")
        try:
            data = await self._stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if data:
            self._protocol.receive_data(bytes(data))
        else:
            self._protocol.receive_eof()
            self._ended = True
        if self._protocol.parser_exc is not None and not isinstance(
            self._protocol.parser_exc, EOFError
        ):
            raise AssertionError(f"the server breaks RFC 6455: {self._protocol.parser_exc}")

    @property
    def _close_code(self) -> int | None:
        received = self._protocol.close_rcvd
        return None if received is None else received.code

    def _message(self, frame: Frame) -> str | bytes | None:
        """Return the message that a frame completes."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if not self._fragments and frame.fin:
            data, first = bytes(frame.data), frame
        else:
            self._fragments.append(frame)
            if not frame.fin:
                return None
            data = b"".join(bytes(each.data) for each in self._fragments)
            first = self._fragments[0]
            self._fragments = []
        return data.decode() if first.opcode is Opcode.TEXT else data

    async def _flush(self) -> None:
        try:
            async with self._sending:
                for data in self._protocol.data_to_send():
                    if data:
                        await self._stream.send_all(data)
                    else:
                        await self._stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the receiving task is told, after what has arrived before
        except trio.Cancelled:
            self.close_now()  # half a frame may have been sent
            raise
