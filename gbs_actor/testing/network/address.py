"""Addresses of the simulated network."""

from __future__ import annotations

import socket as stdlib
from typing import NamedTuple


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
