"""Engine.IO v4 packets: the lower of the two layers, without I/O.

See the Engine.IO protocol, revision 4: over WebSocket a packet is a frame, text packets
begin with the digit of their type, binary payloads are messages as they are.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

PROTOCOL_VERSION = "4"


class PacketType(StrEnum):
    """The digit a text packet begins with."""

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"


class Open(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of the open packet: exactly these five fields."""

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: int
    """Milliseconds."""
    ping_timeout: int
    """Milliseconds."""
    max_payload: int
    """Bytes."""


def encode_open(packet: Open) -> bytes:
    """Return the open packet's text."""
    return b"0" + msgspec.json.encode(packet)
