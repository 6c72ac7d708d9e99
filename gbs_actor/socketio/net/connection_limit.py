"""How many connections there may be: in all, and from one address."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address


class ConnectionLimitReached(Exception):
    """There are as many connections as there may be.

    :param of_address: whether only as far as this address is concerned.
    """

    def __init__(self, *, of_address: bool) -> None:
        super().__init__("too many connections" + (" from one address" if of_address else ""))
        self.of_address = of_address


class ConnectionLimit:
    """The places of one server, or of several that share them.

    :param total: connections at the same time.
    :param per_address: of these, from one IP address; those without one are not counted. Of
        IPv6 a /64 counts as one, as every house has that many (RFC 6177).
    """

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._limit = per_address
        self._taken = 0
        self._per_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many places are taken."""
        return self._taken

    def take(self, address: str | None) -> None:
        """Take a place, to be given back by :meth:`leave`.

        :param address: the client's; ``None`` where it has none.
        :raises NoPlace: there is none left.
        """
        if self._taken >= self._total:
            raise ConnectionLimitReached(of_address=False)
        if address is not None:
            home = _home(address)
            if self._per_address[home] >= self._limit:
                raise ConnectionLimitReached(of_address=True)
            self._per_address[home] += 1
        self._taken += 1

    def leave(self, address: str | None) -> None:
        """Give a place back."""
        self._taken -= 1
        if address is not None:
            home = _home(address)
            self._per_address[home] -= 1
            if not self._per_address[home]:
                del self._per_address[home]


def _home(address: str) -> str:
    """Return what an address is counted under."""
    if ":" not in address:
        return address
    try:
        return str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))
    except ValueError:
        return address  # with a zone, or whatever an ASGI server calls its peer
