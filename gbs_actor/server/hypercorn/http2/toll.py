"""What the frames of a peer cost it, so that a flood of cheap ones ends its connection."""

from __future__ import annotations

from typing import Final

BURST: Final = 1_000.0
"""What a connection may spend at once."""

RATE: Final = 200.0
"""What it gets per second."""

EARNED: Final = 4.0
"""What it gets for an answer, or a part of one that it lets through: room for the next request."""

EARNED_PER_KIB: Final = 1.0
"""What it gets for what it takes: room for window updates, one for each KiB."""

FIELDS: Final = 32
"""Header fields that a request may have for nothing; more of them, eight cost one."""

_PREFACE: Final = 24  # bytes (RFC 9113 §3.4)
_HEAD: Final = 9  # bytes of a frame's head (RFC 9113 §4.1)
_DATA: Final = 0x0
_SMALL: Final = 16  # bytes; a DATA frame that carries more is paid by them
_COSTS: Final = {0x3: 5.0, 0x4: 10.0}  # RST_STREAM makes work vain, SETTINGS concerns all streams


class Toll:
    """Finds the frames in what a peer sends, and takes the toll for each.

    That bounds resets after requests (CVE-2023-44487), pings, settings, window updates, empty
    frames and the like (CVE-2019-9511 to 9518) at a price that no client with a use for its
    answers comes near: a request and its reset cost 6, an answered request pays for itself.

    :param now: seconds on any clock that goes on.
    """

    def __init__(self, now: float) -> None:
        self._balance = BURST
        self._as_of = now
        self._skip = _PREFACE
        self._head = bytearray()

    def pay(self, data: bytes, now: float) -> bool:
        """Take the toll for what came; return whether the peer could pay it.

        :param data: the next bytes of the connection, cut anywhere.
        :param now: seconds, as above.
        """
        self._balance = min(BURST, self._balance + (now - self._as_of) * RATE)
        self._as_of = now
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            missing = _HEAD - len(self._head)
            self._head += data[position : position + missing]
            position += missing
            if len(self._head) == _HEAD:
                self._skip = int.from_bytes(self._head[:3])
                self._balance -= _cost(self._head[3], self._skip)
                self._head.clear()
        return self._balance >= 0

    def take_for_fields(self, count: int) -> None:
        """Take the toll for a request of many header fields: a byte may bring in a whole one.

        It shows at the next :meth:`pay`.
        """
        self._balance -= max(0, count - FIELDS) / 8

    def earn(self, size: int = 0, *, dribbled: bool = False) -> None:
        """Give the peer its share for a frame of an answer.

        :param size: bytes of a body.
        :param dribbled: whether its window has cut the frame short: who opens it byte by byte
            gets nothing for the frames it asks for (CVE-2019-9511).
        """
        share = size / 1_024 * EARNED_PER_KIB + (0.0 if dribbled else EARNED)
        self._balance = min(BURST, self._balance + share)


def _cost(kind: int, length: int) -> float:
    if kind == _DATA and length > _SMALL:
        return 0.0
    return _COSTS.get(kind, 1.0)
