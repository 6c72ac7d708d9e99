"""A connection carried by one WebSocket: bytes to packets, packets to bytes.

The protocol itself is the sans-I/O one of ``websockets``; here is the stream around it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gbs_actor.socketio import frame as ws
from gbs_actor.socketio.connection import Connection, Transport
from gbs_actor.socketio.errors import ProtocolViolation
from gbs_actor.socketio.message import Message
from gbs_actor.socketio.options import ServerOptions
from gbs_actor.socketio.request import Request
from gbs_actor.socketio.wire import Wire, wire_for

logger = logging.getLogger(__name__)
logger.setLevel(logging.WARNING)  # the protocol object reports every opening at INFO

_RECEIVE = 65_536
_MAX_REASON = 123  # RFC 6455 §5.5: a control frame has 125 bytes, 2 are the code
_FRAMES_PER_TURN = 64  # handled before other connections get theirs

_PONG = bytes((ws.PONG,))

MakeConnection = Callable[[Transport, Wire, trio.Nursery], Connection]


class Traffic:
    """What has come in, over all connections of a server."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0


def upgrade(request: Request, options: ServerOptions) -> tuple[Response, ServerProtocol]:
    """Answer a WebSocket handshake (RFC 6455 §4.2).

    :returns: the answer, a 101 or a refusal, and the protocol to go on with after a 101.
    """
    handshake = ServerProtocol(logger=logger)
    response = handshake.accept(WebSocketRequest(request.target, Headers(request.fields)))
    protocol = ServerProtocol(state=State.OPEN, max_size=options.max_payload, logger=logger)
    protocol.extensions = handshake.extensions
    return response, protocol


class WebSocketTransport:
    """Runs one connection over one stream.

    :param stream: after the 101 has been sent.
    :param leftover: bytes that came behind the request.
    :param received: what counts incoming data.
    """

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        protocol: ServerProtocol,
        leftover: bytes,
        options: ServerOptions,
        received: Traffic,
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._leftover = leftover
        self._options = options
        self._received = received
        self._reading = trio.CancelScope()
        self._connection: Connection | None = None
        self._final: bytes | None = None
        self._message: bytearray | None = None
        self._message_is_text = False
        self._aborted = False

    async def run(self, make_connection: MakeConnection) -> None:
        """Carry a connection until it has ended; the stream is then the caller's to close.

        Cancelled, stop writing; ``on_disconnect`` handlers run nevertheless.
        """
        async with trio.open_nursery() as nursery:
            connection = make_connection(self, wire_for(self._stream), nursery)
            self._connection = connection
            try:
                with self._reading:
                    connection.open()
                    await self._read(connection)
                await connection.say_goodbyes()
                if not self._aborted:
                    with trio.move_on_after(self._options.close_timeout):
                        await self._finish(connection)
            except trio.Cancelled:
                connection.lose("server shutting down")
                raise
            finally:
                connection.lose("transport close")
                nursery.cancel_scope.cancel()
                await connection.say_goodbyes()

    def close(self, code: int, reason: str, *, discard: bool) -> None:
        """See :class:`Transport`."""
        protocol = self._protocol
        if self._final is None and protocol.state is State.OPEN:
            text = reason.encode()[:_MAX_REASON].decode(errors="ignore")
            protocol.send_close(code, text)
            self._final = b"".join(protocol.data_to_send())
        if self._final is not None and self._connection is not None:
            self._connection.outbox.finish(self._final, discard=discard)
        self._reading.cancel()

    def abort(self) -> None:
        """See :class:`Transport`."""
        self._aborted = True
        self._reading.cancel()

    async def _read(self, connection: Connection) -> None:
        """Read until the connection has ended, by whatever side."""
        data: bytes | bytearray = self._leftover
        self._leftover = b""
        try:
            while True:
                if data:
                    await self._feed(connection, data)
                data = await self._stream.receive_some(_RECEIVE)
                if not data:
                    connection.lose("transport close")
                    return
        except trio.BrokenResourceError:
            connection.lose("transport error")
        except trio.ClosedResourceError:
            connection.lose("transport close")

    async def _feed(self, connection: Connection, data: bytes | bytearray) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        frames = protocol.events_received()
        for reply in protocol.data_to_send():
            if reply[:1] == _PONG:
                connection.outbox.send(Message.control(reply))
            elif reply:
                self._final = reply  # a close frame; goes out behind what the frames cause
        self._received.bytes += len(data)
        for number, received in enumerate(frames, 1):
            # Only frames of type Frame are left once the handshake is over.
            if isinstance(received, Frame):
                self._take(connection, received)
            if connection.reason is not None:
                return
            if connection.paused:
                await connection.wait_unpaused()
            elif number % _FRAMES_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
        if protocol.parser_exc is not None and protocol.close_sent is not None:
            failure = protocol.close_sent
            connection.violated(ProtocolViolation(failure.reason, failure.code))

    def _take(self, connection: Connection, received: Frame) -> None:
        opcode = received.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if received.fin:
                self._deliver(connection, received.data, opcode is Opcode.TEXT)
            else:
                self._message = bytearray(received.data)
                self._message_is_text = opcode is Opcode.TEXT
        elif opcode is Opcode.CONT and self._message is not None:
            self._message += received.data
            if received.fin:
                message, self._message = self._message, None
                self._deliver(connection, message, self._message_is_text)
        elif opcode is Opcode.CLOSE:
            connection.end("transport close", 1000)

    def _deliver(
        self, connection: Connection, payload: bytes | bytearray | memoryview, is_text: bool
    ) -> None:
        self._received.messages += 1
        if not is_text:
            connection.receive_binary(bytes(payload))
            return
        try:
            text = str(payload, "utf-8")
        except UnicodeDecodeError:
            connection.violated(ProtocolViolation("text is not UTF-8", 1007))
            return
        connection.receive_text(text)

    async def _finish(self, connection: Connection) -> None:
        """Let the rest go out, then wait for the client's end of the closing handshake.

        Closing a socket with unread data resets it, and a reset can overtake our close
        frame: so what still comes is read, and dropped (RFC 6455 §7.1.1).
        """
        protocol = self._protocol
        await connection.outbox.flushed.wait()
        try:
            if protocol.eof_sent and protocol.close_rcvd is None:
                await self._stream.send_eof()
            while protocol.close_rcvd is None:
                data = await self._stream.receive_some(_RECEIVE)
                if not data:
                    return
                protocol.receive_data(data)
                protocol.events_received()
                protocol.data_to_send()  # pongs: nothing goes out behind a close frame
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
