"""Limits per user, over all their connections: rates, connections, and memory.

The caller passes the time in: this module neither waits nor reads a clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from gbs_actor.observability import OperatorEvents
from gbs_actor.socketio import MemoryLimit, Outbox

MAX_BUCKETS: Final = 50_000
"""How many users' buckets are kept; the least recently used bucket is removed first."""


class TokenBucket:
    """Allows ``rate`` events a second in the long run, and ``burst`` of them at once."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        """Start with a full bucket.

        :param rate: events per second, above 0.
        :param burst: events, at least 1.
        :param now: seconds on the caller's monotonic clock.
        """
        if rate <= 0 or burst < 1:
            raise ValueError("a token bucket needs a rate above 0 and a burst of at least 1")
        self._rate = rate
        self._burst = burst
        self._level: float = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token for one event; ``False``: none is left."""
        # As _level_at, without its call: every event takes two.
        level = self._level + (now - self._at) * self._rate
        burst = self._burst
        level = level if level < burst else burst
        self._at = now
        if level < 1.0:
            self._level = level
            return False
        self._level = level - 1.0
        return True

    def charge(self, cost: int) -> None:
        """Take tokens for an event that was allowed, even if that many are not left."""
        self._level -= cost

    def wait(self, now: float) -> float:
        """Return the seconds until a token is available; 0 if one is."""
        return max(0.0, (1.0 - self._level_at(now)) / self._rate)

    def is_full(self, now: float) -> bool:
        """Return whether the bucket is full."""
        return self._level_at(now) >= self._burst

    def _level_at(self, now: float) -> float:
        return min(self._burst, self._level + (now - self._at) * self._rate)


class UserRateLimit:
    """A token bucket per user, shared by every transport.

    Full buckets are removed, as a new one is full, too. So only buckets of the users of the
    last ``burst / rate`` seconds are kept, and never more than ``max_buckets``.

    :param rate: events per second of one user in the long run, above 0.
    :param burst: events of one user at once, at least 1.
    """

    def __init__(self, rate: float, burst: int, *, max_buckets: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._burst = burst
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[int, TokenBucket] = OrderedDict()
        """By user, in the order of their last events."""

    def change(self, rate: float, burst: int) -> None:
        """Change both from now on; every user begins with a full bucket."""
        self._rate = rate
        self._burst = burst
        self._buckets.clear()

    def take(self, user_id: int, now: float) -> bool:
        """Take a token of the user's; ``False``: none is left.

        :param now: seconds on the caller's monotonic clock, the same at every call.
        """
        bucket = self._buckets.get(user_id)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[user_id] = TokenBucket(self._rate, self._burst, now)
        else:
            self._buckets.move_to_end(user_id)
        return bucket.take(now)

    def charge(self, user_id: int, cost: int) -> None:
        """Take tokens for an event that was allowed; the user's next ones are allowed later."""
        if (bucket := self._buckets.get(user_id)) is not None:
            bucket.charge(cost)

    def wait(self, user_id: int, now: float) -> float:
        """Return the seconds until the user's next event is allowed; 0 if it is allowed now."""
        bucket = self._buckets.get(user_id)
        return 0.0 if bucket is None else bucket.wait(now)

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._buckets)

    def _make_room(self, now: float) -> None:
        # Checks two for each that is added: full ones never pile up, and no call has to check
        # all of them.
        for _ in range(2):
            if not self._buckets:
                return
            oldest = next(iter(self._buckets))
            if not self._buckets[oldest].is_full(now) and len(self._buckets) < self._max_buckets:
                return
            del self._buckets[oldest]


class UserConnectionLimit:
    """Counts each user's connections, or what else is open; who has none takes no memory.

    :param limit: connections of one user at the same time, at least 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a user must be allowed at least one connection")
        self.limit = limit
        """A change is for new connections; open ones stay."""
        self._open: dict[int, int] = {}

    def take(self, user_id: int) -> bool:
        """Count a connection; ``False``: the user has as many as allowed, refuse it.

        Call :meth:`leave` once for each that was counted.
        """
        count = self._open.get(user_id, 0)
        if count >= self.limit:
            return False
        self._open[user_id] = count + 1
        return True

    def leave(self, user_id: int) -> None:
        """Stop counting a connection."""
        count = self._open[user_id] - 1
        if count:
            self._open[user_id] = count
        else:
            del self._open[user_id]

    def of(self, user_id: int) -> int:
        """Return how many connections of a user are open."""
        return self._open.get(user_id, 0)

    def __len__(self) -> int:
        """Return how many users have a connection open."""
        return len(self._open)


class UserMemoryLimits:
    """Bounds what is queued on the connections of each user; see :class:`MemoryLimit`.

    :param limit: bytes of one user.
    :param events: what operators are notified of.
    """

    def __init__(self, limit: int, events: OperatorEvents) -> None:
        self._limit = limit
        self._events = events
        self._limits: dict[int, MemoryLimit] = {}
        """Of the users that have a connection."""

    def change(self, limit: int) -> None:
        """Change the limit from now on: it counts when the next message is queued."""
        self._limit = limit
        for each in self._limits.values():
            each.limit = limit

    def add(self, user_id: int, outbox: Outbox) -> None:
        """Count what is queued in an outbox, until :meth:`remove`."""
        limit = self._limits.get(user_id)
        if limit is None:
            limit = self._limits[user_id] = MemoryLimit(self._limit)
            limit.on_exceeded = reporting_memory(self._events, "outbox_bytes_per_user", user_id)
        outbox.add_limit(limit)

    def remove(self, user_id: int, outbox: Outbox) -> None:
        """Stop counting what is queued in an outbox."""
        limit = self._limits[user_id]
        outbox.remove_limit(limit)
        if not len(limit):
            del self._limits[user_id]

    def __len__(self) -> int:
        """Return how many users have a connection."""
        return len(self._limits)


def reporting_connections(
    events: OperatorEvents, in_all: str, per_address: str
) -> Callable[[str | None, bool], None]:
    """Return what notifies operators of a limit of connections that is reached.

    See :attr:`ConnectionLimit.on_reached`.

    :param in_all: its setting; ``per_address`` that of the limit per address.
    """

    def report(address: str | None, of_address: bool) -> None:
        limit, of = (per_address, f" by {address}") if of_address else (in_all, "")
        events.publish(
            "limit.hit",
            f"the limit {limit} is reached{of}",
            severity="warning",
            limit=limit,
            address=address,
        )

    return report


def reporting_memory(
    events: OperatorEvents, name: str, user_id: int | None = None
) -> Callable[[int, int, int], None]:
    """Return what notifies operators of connections that were closed as too much was queued.

    See :attr:`MemoryLimit.on_exceeded`.

    :param name: the limit's setting.
    :param user_id: whose limit it is; ``None``: that of all users together.
    """

    def report(queued: int, limit: int, closed: int) -> None:
        events.publish(
            "limit.hit",
            f"{name}: {closed} connections were closed, as {queued} bytes were queued",
            severity="warning",
            user_id=user_id,
            limit=name,
            allowed=limit,
        )

    return report
