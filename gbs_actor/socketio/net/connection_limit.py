"""Limits connections: in total, and per address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address


class ConnectionLimitReached(Exception):
    """The limit of connections is reached.

    :param of_address: whether it is the limit per address.
    """

    def __init__(self, *, of_address: bool) -> None:
        super().__init__("too many connections" + (" from one address" if of_address else ""))
        self.of_address = of_address


OnReached = Callable[[str | None, bool], None]
"""Called when a limit is reached, with the address, and whether it is the limit of an address.

It must not block or raise.
"""


def ignore(_address: str | None, _of_address: bool) -> None:
    """Do nothing."""


class ConnectionLimit:
    """Counts the connections of one server, or of several that share it.

    :param total: connections at the same time.
    :param per_address: of these, from one IP address; those without one are not counted. Of
        IPv6, a /64 counts as one address, as every site has one (RFC 6177).
    """

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._limit = per_address
        self._connections = 0
        self._per_address: Counter[str] = Counter()
        self.on_reached: OnReached = ignore

    def __len__(self) -> int:
        """Return how many connections there are."""
        return self._connections

    def acquire(self, address: str | None, *, above_total: bool = False) -> None:
        """Count a connection, until :meth:`release`.

        :param address: the client's; ``None`` if it has none.
        :param above_total: count it even if there are as many as there may be in total, as
            another one is about to end.
        :raises ConnectionLimitReached: one of the limits is reached.
        """
        counted = None if address is None else counted_as(address)
        if counted is not None and self._per_address.get(counted, 0) >= self._limit:
            self.on_reached(address, True)
            raise ConnectionLimitReached(of_address=True)
        if self._connections >= self._total and not above_total:
            self.on_reached(address, False)
            raise ConnectionLimitReached(of_address=False)
        if counted is not None:
            self._per_address[counted] += 1
        self._connections += 1

    def release(self, address: str | None) -> None:
        """Stop counting a connection."""
        self._connections -= 1
        if address is not None:
            counted = counted_as(address)
            self._per_address[counted] -= 1
            if not self._per_address[counted]:
                del self._per_address[counted]


def counted_as(address: str) -> str:
    """Return the address, or the IPv6 network (/64), that a connection counts for."""
    if ":" not in address:
        return address
    try:
        return str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))
    except ValueError:
        return address  # with a zone, or an ASGI server's own name for its peer
