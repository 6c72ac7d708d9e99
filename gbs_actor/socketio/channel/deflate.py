"""Messages compressed for WebSocket, each by itself (permessage-deflate, RFC 7692).

Without context takeover a compressed message depends on nothing that went before on its
connection. So it is made once, and every connection that gets it shares the bytes.
"""

from __future__ import annotations

import zlib

from gbs_actor.socketio.channel.frame import frame

RSV1 = 0x40
"""Marks the first frame of a compressed message (RFC 7692 §6)."""

_SMALLEST = 128  # bytes: what is shorter hardly shrinks
_TAIL = b"\x00\x00\xff\xff"  # of a sync flush; left out on the wire (RFC 7692 §7.2.1)


def deflate(payload: bytes, head: int) -> bytes | None:
    """Return a final, unmasked frame around the compressed payload.

    ``None`` where the payload is too small to gain by it, or would not shrink.

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
