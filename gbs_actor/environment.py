"""What a server takes from the machine it runs on: the time of day, random bytes, processor time.

All parts of a server take them from the one :class:`Environment` that it is made with. With the
same one, from ``gbs_actor.testing``, and the same input, it does and sends the same.
"""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

_VERSION_4: Final = 0x4 << 76 | 0b10 << 62
"""The bits of a UUID that say how it was made (RFC 9562 §5.4)."""
_RANDOM_BITS: Final = (1 << 128) - 1 ^ (0xF << 76 | 0b11 << 62)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where time of day, randomness and measured time come from.

    Deadlines are none of its: they are Trio's, whose clock may be replaced, too.
    """

    wall: Callable[[], float]
    """Return the time of day, in seconds since 1970, UTC; it may jump."""
    entropy: Callable[[int], bytes]
    """Return that many random bytes, fit for secrets."""
    stopwatch: Callable[[], float]
    """Return seconds since any moment, by which steps of the event loop are kept short."""
    thread_time: Callable[[], float]
    """Return the seconds that this thread has computed; those of other processes do not count."""

    def now(self) -> datetime:
        """Return the time of day, aware, UTC, to the millisecond: the precision clients see."""
        now = datetime.fromtimestamp(self.wall(), UTC)
        return now.replace(microsecond=now.microsecond // 1_000 * 1_000)

    def uuid(self) -> UUID:
        """Return a random UUID (version 4)."""
        number = int.from_bytes(self.entropy(16), "big")
        # Faster than to let it be made of the bytes: each edit takes two.
        return UUID(int=number & _RANDOM_BITS | _VERSION_4)

    def token(self, size: int) -> str:
        """Return ``size`` random bytes as URL-safe text, a third longer."""
        return urlsafe_b64encode(self.entropy(size)).rstrip(b"=").decode()

    def chance(self) -> float:
        """Return a random number, at least 0 and below 1."""
        return (int.from_bytes(self.entropy(7), "big") >> 3) * 2.0**-53


SYSTEM: Final = Environment(time.time, os.urandom, time.perf_counter, time.thread_time)
"""That of this machine."""
