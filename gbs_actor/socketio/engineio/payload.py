"""Payloads of Engine.IO v4 long-polling: several packets in one HTTP body, without I/O.

Packets are joined by the record separator; a binary one is written ``b`` and base64.
See the Engine.IO protocol, revision 4, "HTTP long-polling".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from operator import methodcaller
from typing import Final

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.wire import Encode
from gbs_actor.socketio.websocket import frame as ws
from gbs_actor.socketio.websocket.close_code import ProtocolViolation

SEPARATOR = b"\x1e"

BASE64 = "b"
"""What a binary packet begins with, if it is written as text."""

_BINARY = BASE64.encode()


def encode_binary(payload: bytes) -> bytes:
    """Return a binary packet as it is encoded in a payload."""
    return _BINARY + b64encode(payload)


def _encode_message(message: Message) -> bytes:
    """Return the packets of a message as they are encoded in a payload."""
    parts = message.parts
    if len(parts) > 1:
        return SEPARATOR.join(map(POLLING, parts))
    if not message.attachments:
        return message.text
    packets = [*map(encode_binary, message.attachments)]
    if message.text:
        packets.insert(0, message.text)
    return SEPARATOR.join(packets)


POLLING: Final[Encode] = methodcaller("encoded_by", _encode_message)


def decode_payload(body: bytes) -> Iterator[str | bytes]:
    """Yield the packets of a payload, text ones as ``str``, one after the other.

    :raises ProtocolViolation: at the packet that cannot be read.
    """
    start = 0
    while True:
        # One by one: a megabyte of separators must not become a list of a million packets.
        end = body.find(SEPARATOR, start)
        yield _decode_packet(body[start : end if end >= 0 else None])
        if end < 0:
            return
        start = end + 1


def decode_binary(packet: str | bytes) -> bytes:
    """Return the bytes of a packet that is written in base64, a ``b`` in front.

    :raises ProtocolViolation: it is no base64.
    """
    try:
        return b64decode(packet[1:], validate=True)
    except ValueError:  # not ASCII, too
        raise ProtocolViolation("binary packet that is no base64") from None


def _decode_packet(packet: bytes) -> str | bytes:
    if packet[:1] == _BINARY:
        return decode_binary(packet)
    try:
        return packet.decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("payload is no UTF-8") from None


def fitting(payload: bytes | memoryview, max_bytes: int, max_packets: int) -> int:
    """Return how many bytes of a payload to send, so that only whole packets go out.

    As many packets as fit; the first one in any case. Where a part is returned, it ends in
    front of a separator.
    """
    data = bytes(payload)
    end = -1
    for _ in range(max_packets):
        following = data.find(SEPARATOR, end + 1)
        if following < 0:
            following = len(data)
        if following > max_bytes and end >= 0:
            break
        end = following
        if end == len(data):
            break
    return end


def payload_frames(payload: bytes) -> bytes:
    """Return a payload's packets as WebSocket frames: for the rest of a payload at an upgrade."""
    frames = []
    for packet in payload.split(SEPARATOR):
        if packet[:1] == _BINARY:
            frames.append(ws.frame(b64decode(packet[1:]), ws.BINARY))
        else:
            frames.append(ws.frame(packet))
    return b"".join(frames)
