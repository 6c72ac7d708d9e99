"""Unmasked WebSocket frames, as a server sends them (RFC 6455 §5.2).

A server's frames depend on nothing but their payload, so one frame serves every
connection. That is why they are built here, once per message, and not by each
connection's protocol object.
"""

from __future__ import annotations

from struct import Struct

_MEDIUM = Struct("!BBH")
_LONG = Struct("!BBQ")

TEXT = 0x81
BINARY = 0x82
PONG = 0x8A


def frame(payload: bytes, head: int = TEXT) -> bytes:
    """Return a final, unmasked frame around ``payload``.

    :param head: the first byte: FIN bit and opcode.
    """
    length = len(payload)
    if length < 126:
        return bytes((head, length)) + payload
    if length < 65_536:
        return _MEDIUM.pack(head, 126, length) + payload
    return _LONG.pack(head, 127, length) + payload
