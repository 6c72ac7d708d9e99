"""Limits what strangers hold: connections and sessions whose client is not authenticated yet.

Counted are a connection from its accept until its WebSocket takes over, except while a request
of it is in flight, and a session until its client is accepted. So nobody can take the
connections of a server, or the descriptors, without a token.

When the limit of an address is reached, only what is older than a grace period makes room, the
oldest first: if the oldest did so at any age, a flood would end everybody behind that address
before their handshakes are done. The limit per address divided by the grace period should not be
far below the handshakes a second that a server can do: then a flood delays the others behind its
address, but keeps nobody out. When the limit in all is reached, the address that holds the
most makes room for those that hold less.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio

from gbs_actor.socketio.net.connection_limit import (
    ConnectionLimitReached,
    OnReached,
    counted_as,
    ignore,
)


class UnauthenticatedStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """The limit at one moment, and counters since it was made."""

    counted: int
    """Connections and sessions that are counted now."""
    addresses: int
    """Addresses that they come from (of IPv6, /64 networks)."""
    evicted: int
    """Ended, to make room."""
    refused: int
    """Not let in, as there was no room."""


class Unauthenticated:
    """One connection or session that is counted, until it is released or evicted."""

    __slots__ = ("_evict", "_limit", "_since", "address", "connection", "evicted")

    def __init__(
        self, limit: UnauthenticatedLimit, address: str | None, *, connection: bool
    ) -> None:
        self.address = address
        """The address it counts for."""
        self.connection = connection
        """Whether its eviction closes a connection; a polling session holds none."""
        self.evicted = False
        self._limit = limit
        self._since = trio.current_time()
        self._evict: Callable[[], None] | None = None

    @property
    def age(self) -> float:
        """Seconds since it began to count."""
        return trio.current_time() - self._since

    def on_eviction(self, evict: Callable[[], None]) -> None:
        """Call ``evict`` when it has to make room; at once if it had to already.

        :param evict: ends the connection or session; must not block.
        """
        self._evict = evict
        if self.evicted:
            evict()

    def release(self) -> None:
        """Stop counting it; may be called more than once."""
        self._evict = None
        self._limit.remove(self)

    def evict(self) -> None:
        """End it, and stop counting it."""
        evict, self.evicted = self._evict, True
        self.release()
        if evict is not None:
            evict()


class UnauthenticatedLimit:
    """Counts what is not authenticated, in all and per address.

    :param total: connections and sessions at the same time.
    :param per_address: of these, from one IP address (of IPv6, a /64); many people may share
        one. Those without an address are bounded in all only.
    :param grace: seconds that a client has at least for its handshakes, unless its address
        holds more than others.
    """

    def __init__(self, total: int, per_address: int, grace: float = 2.0) -> None:
        self._total = total
        self._per_address = per_address
        self._grace = grace
        self._all: dict[Unauthenticated, None] = {}
        """The oldest first, as everywhere here."""
        self._of: dict[str | None, dict[Unauthenticated, None]] = {}
        self._by_count: dict[int, dict[str | None, None]] = {}
        """The addresses that hold so many."""
        self._most = 0
        self._evicted = self._refused = 0
        self.on_reached: OnReached = ignore

    def __len__(self) -> int:
        """Return how many are counted."""
        return len(self._all)

    def statistics(self) -> UnauthenticatedStatistics:
        """Return its state and counters; never blocks."""
        return UnauthenticatedStatistics(
            len(self._all), len(self._of), self._evicted, self._refused
        )

    def acquire(self, address: str | None, *, connection: bool) -> Unauthenticated:
        """Count a connection or session; evict another one if there is no room.

        :param address: the client's; ``None`` if it has none.
        :param connection: whether its eviction closes a connection.
        :raises ConnectionLimitReached: there is no room, and nothing may be evicted.
        """
        address = None if address is None else counted_as(address)
        own = self._of.get(address, {})
        if address is not None and len(own) >= self._per_address:
            self.on_reached(address, True)
            if self._evict_old(next(iter(own))) is None:
                self._refused += 1
                raise ConnectionLimitReached(of_address=True)
        elif len(self._all) >= self._total:
            self.on_reached(address, False)
            if self.make_room(address) is None:
                self._refused += 1
                raise ConnectionLimitReached(of_address=False)
        entry = Unauthenticated(self, address, connection=connection)
        self._all[entry] = None
        own = self._of.setdefault(address, {})
        own[entry] = None
        self._recount(address, len(own) - 1, len(own))
        return entry

    def make_room(self, address: str | None) -> Unauthenticated | None:
        """Evict one for a client of this address, and return it; ``None`` if none may be."""
        if not self._all:
            return None
        address = None if address is None else counted_as(address)
        if self._most > len(self._of.get(address, ())) + 1:
            largest = next(iter(self._by_count[self._most]))
            return self._evict(next(iter(self._of[largest])))
        return self._evict_old(next(iter(self._all)))

    def evict_oldest(self, count: int) -> int:
        """Evict so many at most, whatever their age; return how many."""
        oldest = [entry for entry, _ in zip(self._all, range(count), strict=False)]
        for entry in oldest:
            self._evict(entry)
        return len(oldest)

    def remove(self, entry: Unauthenticated) -> None:
        """Stop counting an entry, if it is counted."""
        if entry not in self._all:
            return
        del self._all[entry]
        own = self._of[entry.address]
        del own[entry]
        self._recount(entry.address, len(own) + 1, len(own))
        if not own:
            del self._of[entry.address]

    def _evict_old(self, entry: Unauthenticated) -> Unauthenticated | None:
        return self._evict(entry) if entry.age >= self._grace else None

    def _evict(self, entry: Unauthenticated) -> Unauthenticated:
        self._evicted += 1
        entry.evict()
        return entry

    def _recount(self, address: str | None, before: int, after: int) -> None:
        if before:
            del self._by_count[before][address]
            if not self._by_count[before]:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, {})[address] = None
        if after > self._most or self._most not in self._by_count:
            self._most = after
