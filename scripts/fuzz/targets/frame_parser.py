"""Frames as any client may send them, in any pieces: our parser against that of ``websockets``.

Both read the same messages in the same order and refuse the same frames, apart from the
differences that :func:`tests.socketio.websocket.frame_oracle.agree` allows.
"""

from __future__ import annotations

import struct
from typing import Final

from scripts.fuzz.choices import Choices
from scripts.fuzz.running import Target
from tests.socketio.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from tests.socketio.websocket.frame_oracle import agree

_OPCODES: Final = (TEXT, CONTINUATION, BINARY, PING, PONG, CONTINUATION, CLOSE, 3, 7, 11, 15)
_SIZES: Final = (
    0,
    1,
    2,
    3,
    4,
    5,
    123,
    124,
    125,
    126,
    127,
    128,
    500,
    501,
    999,
    1_000,
    1_001,
    70_000,
)
_CODES: Final = (1000, 1001, 3000, 4999, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535, 0)


def check(choices: Choices) -> None:
    data = b"".join(_piece(choices) for _ in choices.times(10))
    agree(choices.split(data, 6))


def _piece(choices: Choices) -> bytes:
    """Return a frame, good or not, or something else."""
    if choices.chance(12):
        return choices.bytes(20)
    encoded = frame(
        choices.pick(_OPCODES),
        _payload(choices),
        fin=not choices.chance(3),
        rsv=choices.pick((0, 0, 0, 0, 0, 0, 1, 2, 4)),
        masked=not choices.chance(12),
        length_bytes=choices.pick((0, 0, 0, 2, 8)),
    )
    return encoded[: choices.below(len(encoded)) + 1] if choices.chance(12) else encoded


def _payload(choices: Choices) -> bytes:
    match choices.below(4):
        case 0:
            return choices.text().encode(errors="surrogatepass")
        case 1:
            return choices.bytes(20)
        case 2:
            return struct.pack("!H", choices.pick(_CODES)) + choices.bytes(4)
        case _:
            return b"x" * choices.pick(_SIZES)


TARGET = Target("frame-parser", check, slice=300)
