"""The transport over one WebSocket: bytes to messages, and the closing handshake.

The protocol is the sans-I/O one of ``websockets``; this module is the stream around it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import trio
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gbs_actor.socketio.channel import frame as ws
from gbs_actor.socketio.channel.channel import Channel
from gbs_actor.socketio.channel.close_code import CloseCode, ProtocolViolation
from gbs_actor.socketio.channel.handshake import select_subprotocol
from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.channel.traffic import ReadRate, Traffic
from gbs_actor.socketio.channel.wire import wire_for
from gbs_actor.socketio.net.request import WEBSOCKET_VERSION, Request

logger = logging.getLogger(__name__)
logger.setLevel(logging.WARNING)  # the protocol object reports every opening at INFO

_RECEIVE = 65_536
_PARSE = 4_096  # bytes parsed at once: they may be 2,000 frames
_INFLATE = 2_048  # bytes decompressed at once: they may become 1,032 times as many
_MAX_REASON = 123  # RFC 6455 §5.5: a control frame has 125 bytes, 2 are the code
_FRAMES_PER_TURN = 64  # handled before other connections get theirs

_PONG = bytes((ws.PONG,))
_NEEDED = ("connection", "upgrade", "sec-websocket-")  # what fields of a handshake begin with
_WINDOW = 15  # bits; a smaller one would need a compression of its own

# What a connection sends is compressed message by message, so that all can share it; what
# it receives as well, since a context would be 32 KiB a connection.
_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The response to a WebSocket handshake, and the protocol to continue with after a 101."""

    response: Response
    protocol: ServerProtocol
    deflated: bool
    """Whether the client takes compressed messages."""

    @property
    def accepted(self) -> bool:
        """Whether it is a 101, and not a refusal."""
        return self.response.status_code == 101

    @property
    def hints(self) -> tuple[tuple[str, str], ...]:
        """Header fields of a refusal: which handshakes are accepted (RFC 6455 §4.2.2, §4.4)."""
        names = ("Upgrade", "Sec-WebSocket-Version")
        headers = self.response.headers
        return tuple((name, headers[name]) for name in names if name in headers)


def upgrade(
    request: Request,
    *,
    max_payload: int,
    deflate: bool,
    subprotocols: Sequence[str] = (),
) -> Upgrade:
    """Respond to a WebSocket handshake (RFC 6455 §4.2).

    :param max_payload: bytes of a message, after decompression.
    :param deflate: whether to compress for clients that offer it (RFC 7692).
    :param subprotocols: those to select from, the best one first.
    """
    handshake, response = _accept(request, (_DEFLATE,) if deflate else (), subprotocols)
    if any(extension.local_max_window_bits != _WINDOW for extension in _deflates(handshake)):
        handshake, response = _accept(request, (), subprotocols)
    protocol = ServerProtocol(state=State.OPEN, max_size=max_payload, logger=logger)
    protocol.extensions = handshake.extensions
    return Upgrade(response, protocol, deflated=bool(_deflates(handshake)))


def _accept(
    request: Request,
    extensions: Sequence[ServerPerMessageDeflateFactory],
    subprotocols: Sequence[str],
) -> tuple[ServerProtocol, Response]:
    handshake = ServerProtocol(
        logger=logger,
        extensions=extensions,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        select_subprotocol=_select if subprotocols else None,
    )
    if request.method == "GET":
        # Others may hold characters that ``Headers`` refuses.
        fields = [field for field in request.fields if field[0].startswith(_NEEDED)]
        response = handshake.accept(WebSocketRequest(request.target, Headers(fields)))
    else:  # RFC 6455 §4.1
        response = handshake.reject(HTTPStatus.METHOD_NOT_ALLOWED, "A WebSocket needs a GET.\n")
    if response.status_code == HTTPStatus.BAD_REQUEST and (
        request.header("sec-websocket-version") != WEBSOCKET_VERSION
    ):
        response.headers["Sec-WebSocket-Version"] = WEBSOCKET_VERSION
    return handshake, response


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    name = select_subprotocol(offered, protocol.available_subprotocols or ())
    return None if name is None else Subprotocol(name)


def _deflates(handshake: ServerProtocol) -> list[PerMessageDeflate]:
    return [each for each in handshake.extensions if isinstance(each, PerMessageDeflate)]


class WebSocketTransport:
    """Carries one channel, or first an upgrade's probe and then its session, over one stream.

    :param stream: after the 101 has been sent.
    :param leftover: bytes received after the request.
    :param received: what counts incoming data.
    :param read_rate: how fast frames are read.
    """

    upgrades: tuple[str, ...] = ()
    pings = True

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        upgraded: Upgrade,
        leftover: bytes,
        received: Traffic,
        read_rate: ReadRate,
    ) -> None:
        self.wire = wire_for(stream, deflated=upgraded.deflated)
        self.channel: Channel | None = None
        """Receives the messages; a probe is replaced by its session."""
        self._stream = stream
        self._protocol = upgraded.protocol
        self._leftover = leftover
        self._received = received
        self._read_rate = read_rate
        self._at_once = _INFLATE if upgraded.deflated else _PARSE
        self._reading = trio.CancelScope()
        self._read_to_end = trio.Event()
        self._final: bytes | None = None
        self._message: bytearray | None = None
        self._message_is_text = False
        self._aborted = False

    async def carry(self, channel: Channel) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.channel = channel
        try:
            with self._reading:
                channel.open()
                if channel.reason is None:
                    await self._read()
        finally:
            self.channel = None  # it refers to this transport
            self._read_to_end.set()

    def close(self, outbox: Outbox, code: int, reason: str, *, discard: bool) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        protocol = self._protocol
        if self._final is None and protocol.state is State.OPEN:
            text = reason.encode()[:_MAX_REASON].decode(errors="ignore")
            protocol.send_close(code, text)
            self._final = b"".join(protocol.data_to_send())
        if self._final is not None:
            outbox.finish(Message.control(self._final), discard=discard)
        self._reading.cancel()

    def close_for_peer(self, outbox: Outbox) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self.close(outbox, CloseCode.NORMAL, "", discard=False)

    def abort(self) -> None:
        """See :class:`~gbs_actor.socketio.channel.channel.Transport`."""
        self._aborted = True
        self._reading.cancel()

    async def _read(self) -> None:
        """Read until either side has ended the channel."""
        data: bytes | bytearray = self._leftover
        self._leftover = b""
        try:
            while True:
                for at in range(0, len(data), self._at_once):
                    await self._feed(data[at : at + self._at_once])
                    if self._current.reason is not None:
                        return
                data = await self._stream.receive_some(_RECEIVE)
                if not data:
                    self._current.lose("transport close")
                    return
        except trio.BrokenResourceError:
            self._current.lose("transport error")
        except trio.ClosedResourceError:
            self._current.lose("transport close")

    @property
    def _current(self) -> Channel:
        assert self.channel is not None
        return self.channel

    async def _feed(self, data: bytes | bytearray) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        frames = protocol.events_received()
        for reply in protocol.data_to_send():
            if reply[:1] == _PONG:
                self._current.outbox.send(Message.control(reply))
            elif reply:
                self._final = reply  # a close frame; sent after the replies to the frames
        self._received.bytes += len(data)
        for number, received in enumerate(frames, 1):
            # Only frames of type Frame are left once the handshake is over.
            if isinstance(received, Frame):
                self._receive(self._current, received)
            channel = self._current
            if channel.reason is not None:
                return
            if channel.paused:
                await channel.wait_unpaused()
            elif number % _FRAMES_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
        await self._read_rate.wait(len(frames))
        if protocol.parser_exc is not None and protocol.close_sent is not None:
            failure = protocol.close_sent
            self._current.violated(ProtocolViolation(failure.reason, failure.code))

    def _receive(self, channel: Channel, received: Frame) -> None:
        opcode = received.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if received.fin:
                self._deliver(channel, received.data, opcode is Opcode.TEXT)
            else:
                self._message = bytearray(received.data)
                self._message_is_text = opcode is Opcode.TEXT
        elif opcode is Opcode.CONT and self._message is not None:
            self._message += received.data
            if received.fin:
                message, self._message = self._message, None
                self._deliver(channel, message, self._message_is_text)
        elif opcode is Opcode.PONG:
            channel.receive_pong()
        elif opcode is Opcode.CLOSE:
            channel.end("transport close", CloseCode.NORMAL)

    def _deliver(
        self, channel: Channel, payload: bytes | bytearray | memoryview, is_text: bool
    ) -> None:
        self._received.messages += 1
        if not is_text:
            channel.receive_binary(bytes(payload))
            return
        try:
            text = str(payload, "utf-8")
        except UnicodeDecodeError:
            channel.violated(ProtocolViolation("text is not UTF-8", CloseCode.INVALID_DATA))
            return
        channel.receive_text(text)

    async def finish(self, channel: Channel) -> None:
        """Write the rest, then wait for the client's side of the closing handshake.

        Closing a socket with unread data resets it, and a reset can overtake the server's
        close frame: so what still arrives is read and dropped (RFC 6455 §7.1.1).
        """
        if self._aborted:
            return
        protocol = self._protocol
        await self._read_to_end.wait()
        await channel.outbox.flushed.wait()
        try:
            if protocol.eof_sent and protocol.close_rcvd is None:
                await self._stream.send_eof()
            while protocol.close_rcvd is None:
                data = await self._stream.receive_some(self._at_once)
                if not data:
                    return
                protocol.receive_data(data)
                protocol.events_received()
                protocol.data_to_send()  # pongs: nothing is sent after a close frame
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
