"""Addresses of the simulated network."""

from __future__ import annotations

import socket as stdlib
from typing import Final, NamedTuple

_FIRST_PORT: Final = 49_152
_PORTS: Final = 16_384  # that clients take theirs from (RFC 6335 §6)
_HOSTS: Final = 250  # in a network of 256


class Address(NamedTuple):
    """One end of a TCP connection."""

    host: str
    """An IP address."""
    port: int

    @property
    def family(self) -> stdlib.AddressFamily:
        """Whether it is IPv4 or IPv6."""
        return stdlib.AF_INET6 if ":" in self.host else stdlib.AF_INET

    @property
    def name(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address as sockets of its family give it."""
        plain = (self.host, self.port)
        return plain if self.family is stdlib.AF_INET else (*plain, 0, 0)


class ClientAddresses:
    """Addresses for clients, from the network that is for tests of networks (RFC 2544)."""

    def __init__(self) -> None:
        self._hosts = self._connections = 0

    def next_host(self) -> str:
        """Return the IP address of another client."""
        self._hosts += 1
        return f"198.18.{self._hosts // _HOSTS % _HOSTS}.{self._hosts % _HOSTS + 1}"

    def next(self, host: str | None) -> Address:
        """Return the address of another connection.

        :param host: the client's; ``None``: another client's.
        """
        self._connections += 1
        port = _FIRST_PORT + self._connections % _PORTS
        return Address(self.next_host() if host is None else host, port)
