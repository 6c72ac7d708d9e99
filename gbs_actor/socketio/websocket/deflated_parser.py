"""Reads the frames of a client that compresses (RFC 7692), by the protocol of ``websockets``."""

from __future__ import annotations

from collections import deque
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from gbs_actor.socketio.websocket.close_code import ProtocolViolation
from gbs_actor.socketio.websocket.frame_parser import Close, Ping, Received, Signal, decode_text

_INFLATE: Final = 2_048  # bytes decompressed at once: they may become 1,032 times as many


class DeflatedParser:
    """A :class:`~gbs_actor.socketio.websocket.frame_parser.Parser` for compressed messages.

    :param protocol: with the extension; is used for reading only.
    """

    __slots__ = ("_data", "_frames", "_is_text", "_message", "_protocol")

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self._data: bytes | bytearray = b""
        """Not decompressed yet."""
        self._frames: deque[Frame] = deque()
        self._message = bytearray()
        self._is_text = False

    def feed(self, data: bytes | bytearray) -> None:
        """See :class:`~gbs_actor.socketio.websocket.frame_parser.Parser`."""
        self._data = self._data + data if self._data else data

    def whole_text(self, data: bytes) -> None:
        """See :class:`~gbs_actor.socketio.websocket.frame_parser.Parser`."""

    @property
    def pending(self) -> bool:
        """See :class:`~gbs_actor.socketio.websocket.frame_parser.Parser`."""
        return bool(self._frames or self._data) or self._protocol.parser_exc is not None

    def next(self) -> Received | None:
        """See :class:`~gbs_actor.socketio.websocket.frame_parser.Parser`."""
        protocol = self._protocol
        while not self._frames:
            if protocol.parser_exc is not None and protocol.close_sent is not None:
                raise ProtocolViolation(protocol.close_sent.reason, protocol.close_sent.code)
            if not self._data:
                return None
            protocol.receive_data(self._data[:_INFLATE])
            self._data = self._data[_INFLATE:]
            protocol.data_to_send()  # its own pongs, and its close frame
            self._frames += (each for each in protocol.events_received() if isinstance(each, Frame))
        return self._receive(self._frames.popleft())

    def _receive(self, frame: Frame) -> Received:
        opcode, payload = frame.opcode, bytes(frame.data)
        if opcode is Opcode.PING:
            return Ping(payload)
        if opcode is Opcode.PONG:
            return Signal.PONG
        if opcode is Opcode.CLOSE:
            return Close(payload)
        if opcode is not Opcode.CONT:
            self._is_text = opcode is Opcode.TEXT
        if not frame.fin:
            self._message += payload
            return Signal.FRAGMENT
        if self._message:
            payload = bytes(self._message) + payload
            self._message.clear()
        return decode_text(payload) if self._is_text else payload
