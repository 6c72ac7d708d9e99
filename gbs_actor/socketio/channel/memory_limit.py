"""Bounds the memory of what is queued on many connections together.

Connections share most of what they are sent, so a message counts once, however many outboxes it
is queued in. If the limit is exceeded, the connections that take most memory are closed: not the
one that was sent something just then, which may be the only one that reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from gbs_actor.socketio.channel.message import Message

logger = logging.getLogger(__name__)

_CANDIDATES: Final = 64
"""Connections looked at closely at once, those with most bytes queued first."""
_ALIKE: Final = 65_536
"""Bytes of a difference in memory below which the one that is behind for longer is closed."""


OnExceeded = Callable[[int, int, int], None]
"""Called with the bytes that were queued, the limit, and how many connections were closed for it.

It must not block or raise.
"""


class LimitedOutbox(Protocol):
    """One outbox under a limit. No method may block or raise."""

    @property
    def queued_bytes(self) -> int:
        """Bytes of the messages queued in it, shared ones included."""
        ...

    @property
    def behind_since(self) -> float | None:
        """Trio time since which something is queued; ``None``: nothing is."""
        ...

    def queued_messages(self) -> list[Message]:
        """Return the messages that are queued, one that is partly sent included."""
        ...

    def overflow(self) -> None:
        """Close the connection, and drop what is queued."""
        ...


class _Held(msgspec.Struct, gc=False):
    """A message that is queued; no garbage: fifty thousand of them are when many do not read."""

    size: int
    outboxes: int = 1


class MemoryLimit:
    """Bounds the bytes queued in several outboxes together.

    :param limit: bytes.
    """

    __slots__ = (
        "_enforcing",
        "_held",
        "_outboxes",
        "bytes",
        "closed",
        "conflated",
        "limit",
        "on_exceeded",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        """Bytes of the messages that are queued anywhere, each counted once."""
        self.closed = 0
        """Connections closed because of the limit."""
        self.conflated = 0
        """Queued messages that a newer one with the same key has replaced."""
        self._held: dict[Message, _Held] = {}
        self._outboxes: dict[LimitedOutbox, None] = {}
        self._enforcing = False
        self.on_exceeded: OnExceeded = log_exceeded
        """By default the log has it."""

    def __len__(self) -> int:
        """Return how many outboxes there are."""
        return len(self._outboxes)

    def add(self, outbox: LimitedOutbox) -> None:
        """Add an outbox, before anything is queued in it."""
        self._outboxes[outbox] = None

    def discard(self, outbox: LimitedOutbox) -> None:
        """Remove an outbox in which nothing is queued any more."""
        self._outboxes.pop(outbox, None)

    def hold(self, message: Message, size: int) -> None:
        """Count a message that is queued in one more outbox.

        :param size: bytes that it takes.
        """
        held = self._held.get(message)
        if held is None:
            self._held[message] = _Held(size)
            self.bytes += size
        else:
            held.outboxes += 1

    def release(self, message: Message) -> None:
        """Count a message that is queued in one outbox less."""
        held = self._held[message]
        held.outboxes -= 1
        if not held.outboxes:
            del self._held[message]
            self.bytes -= held.size

    def enforce(self) -> None:
        """If the limit is exceeded, close connections until a quarter of it is free."""
        if self.bytes <= self.limit or self._enforcing:
            return
        self._enforcing = True  # a close frame is queued under this limit, too
        try:
            self._enforce()
        finally:
            self._enforcing = False

    def _enforce(self) -> None:
        before, enough = self.bytes, self.limit * 3 // 4
        closed: set[LimitedOutbox] = set()
        while self.bytes > enough:
            at_first, closed_before = self.bytes, len(closed)
            for outbox in self._worst():
                if self.bytes <= enough:
                    break
                closed.add(outbox)
                outbox.overflow()
            if self.bytes == at_first and len(closed) == closed_before:
                break
        self.closed += len(closed)
        self.on_exceeded(before, self.limit, len(closed))

    def _worst(self) -> list[LimitedOutbox]:
        """Return connections that take no less memory than the average, the worst first.

        Only so many are looked at as are needed to find some: those with most bytes queued may
        share all of them with many others.
        """
        outboxes = [each for each in self._outboxes if each.queued_bytes]
        outboxes.sort(key=lambda each: each.queued_bytes, reverse=True)
        least = 0.99 * self.bytes / max(1, len(outboxes))  # shares are rounded
        for start in range(0, len(outboxes), _CANDIDATES):
            candidates = outboxes[start : start + _CANDIDATES]
            shares = {outbox: self._share(outbox) for outbox in candidates}
            worst = [outbox for outbox, share in shares.items() if share >= least]
            if worst:
                return sorted(worst, key=lambda o: (-(shares[o] // _ALIKE), o.behind_since or 0.0))
        return []

    def _share(self, outbox: LimitedOutbox) -> float:
        """Return the bytes that a connection takes; what is shared is divided."""
        held = (self._held[message] for message in outbox.queued_messages())
        return sum(each.size / each.outboxes for each in held)


def log_exceeded(queued: int, limit: int, closed: int) -> None:
    """Log that connections were closed, as too much was queued."""
    logger.warning(
        "%d connections closed: %d bytes were queued, and %d may be", closed, queued, limit
    )
