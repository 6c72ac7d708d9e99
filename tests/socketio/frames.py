"""Frames of a WebSocket client, good and bad."""

from __future__ import annotations

import struct
from typing import Final

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK: Final = b"\x01\x82\x00\xff"


def frame(
    opcode: int,
    payload: bytes,
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length_bytes: int = 0,
    mask_key: bytes = MASK,
) -> bytes:
    """Return a client's frame, good or not (RFC 6455 §5.2).

    :param rsv: the three reserved bits.
    :param length_bytes: 2 or 8 to write the length longer than necessary.
    :param mask_key: of four bytes.
    """
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask = 0x80 if masked else 0
    size = len(payload)
    if size < 126 and not length_bytes:
        head = struct.pack("!BB", first, mask | size)
    elif size < 65_536 and length_bytes < 8:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    if not masked:
        return head + payload
    key = (mask_key * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask_key + number.to_bytes(size, "big")
