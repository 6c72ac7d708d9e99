"""Unmasked WebSocket frames, as a server sends them (RFC 6455 §5.2), compressed or not.

A server's frame depends only on its payload, so all connections can send the same bytes. This
module therefore builds it once per message, instead of each connection's protocol object. The
same holds for compressed frames (permessage-deflate, RFC 7692): without context takeover they
are independent of earlier frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct

_SMALL = [bytes((0x81, length)) for length in range(126)]  # heads of texts, by length
_MEDIUM = Struct("!BBH")
_LONG = Struct("!BBQ")

TEXT = 0x81
BINARY = 0x82
PING = 0x89
PONG = 0x8A
CLOSE = 0x88

RSV1 = 0x40
"""Marks the first frame of a compressed message (RFC 7692 §6)."""

_SMALLEST = 128  # bytes: shorter payloads hardly shrink
_TAIL = b"\x00\x00\xff\xff"  # of a sync flush; omitted on the wire (RFC 7692 §7.2.1)


def frame(payload: bytes, head: int = TEXT) -> bytes:
    """Return a final, unmasked frame around ``payload``.

    :param head: the first byte: FIN bit and opcode.
    """
    length = len(payload)
    if length < 126:
        if head == TEXT:
            return _SMALL[length] + payload
        return bytes((head, length)) + payload
    if length < 65_536:
        return _MEDIUM.pack(head, 126, length) + payload
    return _LONG.pack(head, 127, length) + payload


def deflate(payload: bytes, head: int) -> bytes | None:
    """Return a final, unmasked frame around the compressed payload.

    ``None`` if the payload is too small to gain by it, or would not shrink.

    :param head: the first byte of the uncompressed frame: FIN bit and opcode.
    """
    if len(payload) < _SMALLEST:
        return None
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    compressed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    compressed = compressed.removesuffix(_TAIL)
    if len(compressed) >= len(payload):
        return None
    return frame(compressed, head | RSV1)


def split(frames: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield the first byte and the payload of each frame that :func:`frame` has made."""
    data = bytes(frames)
    at = 0
    while at < len(data):
        head, length = data[at], data[at + 1]
        at += 2
        if length == 126:
            length = int.from_bytes(data[at : at + 2], "big")
            at += 2
        elif length == 127:
            length = int.from_bytes(data[at : at + 8], "big")
            at += 8
        yield head, data[at : at + length]
        at += length
