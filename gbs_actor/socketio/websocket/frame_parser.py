"""Reads the frames of a WebSocket client (RFC 6455 §5), without I/O and without extensions.

Bytes in, messages and control frames out, one by one: who reads them can stop after any of them,
and the bytes that are left wait here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from gbs_actor.socketio.websocket import frame as ws
from gbs_actor.socketio.websocket.close_code import (
    CloseCode,
    ProtocolViolation,
    check_close_code,
)

try:
    from websockets.speedups import apply_mask
except ImportError:  # it was installed without its extension in C
    from websockets.utils import apply_mask

_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_MAX_CONTROL: Final = 125  # bytes (§5.5)
_SMALLEST: Final = 6  # bytes of a client's frame: head and mask
_TOO_LARGE: Final = "message too large"


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping; the pong to it has the same payload (§5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame; the response has the same payload (§5.5.1). Nothing that follows is read."""

    payload: bytes
    """Empty, or a code that may be sent, and a reason."""


class Signal(Enum):
    """A frame without anything to pass on."""

    PONG = "pong"
    FRAGMENT = "fragment"
    """Not the last one of its message."""


Received = str | bytes | Ping | Close | Signal
"""A text message, a binary one, or a frame of another kind."""


class Parser(Protocol):
    """Reads frames; the extensions of a connection decide how."""

    def feed(self, data: bytes | bytearray) -> None:
        """Add received bytes."""
        ...

    def whole_text(self, data: bytes) -> str | None:
        """Return the text message that received bytes are, instead of adding them.

        ``None``: they are more, less or something else, or others came before them; nothing is
        done then.
        """
        ...

    @property
    def pending(self) -> bool:
        """Whether bytes are left, perhaps of a whole frame."""
        ...

    def next(self) -> Received | None:
        """Return what comes next; ``None`` if more bytes are needed.

        :raises ProtocolViolation: the connection must be closed; nothing more can be read.
        """
        ...


class FrameParser:
    """Reads the frames of one client. It holds what is left of the received bytes.

    A frame is refused when its head has come, whatever follows it. A control frame does not
    count against the size of the message that it interrupts, and a close frame may interrupt
    one (§5.4).

    :param max_size: bytes of a message.
    """

    __slots__ = ("_at", "_data", "_is_text", "_max_size", "_message")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._data: bytes | bytearray = b""
        self._at = 0
        """Where the next frame begins."""
        self._message: bytearray | None = None
        """What has come of a fragmented message."""
        self._is_text = False

    def feed(self, data: bytes | bytearray) -> None:
        """See :class:`Parser`."""
        if self._at == len(self._data):
            self._data = data
        elif self._at or isinstance(self._data, bytes):
            self._data = bytearray(self._data[self._at :]) + data
        else:
            self._data += data  # a frame that comes byte by byte is not copied every time
        self._at = 0

    def whole_text(self, data: bytes) -> str | None:
        """See :class:`Parser`."""
        size = len(data)
        if size < _SMALLEST or data[0] != ws.TEXT or self._data or self._message is not None:
            return None
        length, start = data[1] - 0x80, 6
        if length == 126:
            length, start = data[2] << 8 | data[3], 8
        elif length == 127:
            return None  # a length of eight bytes
        if start + length != size or length > self._max_size:
            return None
        try:
            return str(apply_mask(data[start:], data[start - 4 : start]), "utf-8")
        except UnicodeDecodeError:
            return None  # it is refused when it is read

    @property
    def pending(self) -> bool:
        """See :class:`Parser`."""
        return self._at < len(self._data)

    def next(self) -> Received | None:
        """See :class:`Parser`."""
        data, at = self._data, self._at
        left = len(data) - at
        if left < 2:
            return None
        first, length = data[at], data[at + 1] - 0x80
        if length < 0:
            raise ProtocolViolation("frame without a mask")  # §5.1
        key = at + 2
        if length == 126:
            key = at + 4
            length = int.from_bytes(data[at + 2 : key], "big") if left >= 4 else 0
        elif length == 127:
            key = at + 10
            length = int.from_bytes(data[at + 2 : key], "big") if left >= 10 else 0
        start = key + 4
        end = start + length
        if first == ws.TEXT and self._message is None:
            if length > self._max_size:
                raise ProtocolViolation(_TOO_LARGE, CloseCode.TOO_LARGE)
            if end > len(data):
                return None
            self._skip_to(end)
            return decode_text(apply_mask(data[start:end], data[key:start]))
        self._check(first, length)
        if end > len(data):
            return None
        self._skip_to(end)
        return self._receive(first, apply_mask(data[start:end], data[key:start]))

    def _skip_to(self, end: int) -> None:
        if end == len(self._data):
            self._data, self._at = b"", 0  # an idle connection holds nothing
        else:
            self._at = end

    def _check(self, first: int, length: int) -> None:
        """Check a frame's head.

        :param length: of its payload, as far as it is known.
        """
        opcode = first & 0x0F
        if first & 0x70:
            raise ProtocolViolation("reserved bits are set")
        if opcode >= _CLOSE:
            if opcode > _PONG:
                raise ProtocolViolation("unknown opcode")
            if first < 0x80 or length > _MAX_CONTROL:  # §5.5
                raise ProtocolViolation("control frame that is fragmented, or too large")
            return
        if opcode > _BINARY:
            raise ProtocolViolation("unknown opcode")
        if (opcode == _CONTINUATION) != (self._message is not None):
            raise ProtocolViolation("fragments out of order")
        if length + len(self._message or b"") > self._max_size:
            raise ProtocolViolation(_TOO_LARGE, CloseCode.TOO_LARGE)

    def _receive(self, first: int, payload: bytes) -> Received:
        opcode = first & 0x0F
        if opcode == _PING:
            return Ping(payload)
        if opcode == _PONG:
            return Signal.PONG
        if opcode == _CLOSE:
            _check_close(payload)
            return Close(payload)
        if first < 0x80:
            if opcode == _CONTINUATION and self._message is not None:
                self._message += payload
            else:
                self._message = bytearray(payload)
                self._is_text = opcode == _TEXT
            return Signal.FRAGMENT
        if opcode == _BINARY or self._message is None:
            return payload
        message, self._message = self._message, None
        message += payload
        return decode_text(message) if self._is_text else bytes(message)


def decode_text(payload: bytes | bytearray) -> str:
    """Decode a text message.

    :raises ProtocolViolation: it is not UTF-8 (§8.1).
    """
    try:
        return str(payload, "utf-8")
    except UnicodeDecodeError:
        raise ProtocolViolation("text is not UTF-8", CloseCode.INVALID_DATA) from None


def _check_close(payload: bytes) -> None:
    """Check what a close frame holds (§5.5.1, §7.4)."""
    if not payload:
        return
    try:
        check_close_code(int.from_bytes(payload[:2], "big"))
        str(payload[2:], "utf-8")
    except UnicodeDecodeError:
        raise ProtocolViolation("reason is not UTF-8", CloseCode.INVALID_DATA) from None
    except ValueError:
        raise ProtocolViolation("close frame without a code that may be sent") from None
