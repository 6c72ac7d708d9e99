"""Which client a request comes from, behind reverse proxies."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from gbs_actor.socketio.net.host import parse_host

logger = logging.getLogger(__name__)

UNIX: Final = "unix"
"""Denotes peers without an IP address: those of a Unix socket."""

_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")

_Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class RemoteEndpoint:
    """The client of a request, behind the trusted proxies."""

    address: str | None
    """Its IP address without a port; ``None`` if it has none."""
    secure: bool
    """Whether it uses TLS: to this server, or to the first proxy."""
    host: str | None
    """Host, and port if there is one, under which it has requested the server."""


class BadForwardedField(ValueError):
    """A field of a trusted proxy is malformed; the text is its name."""


class TrustedProxies:
    """The proxies whose ``X-Forwarded-*`` fields count.

    Any peer can forge these fields, so those of other peers are ignored.

    :param proxies: IP addresses, networks such as ``10.0.0.0/8``, or ``unix`` for peers
        without an IP address. Without any, no peer is trusted.
    :raises ValueError: one of them is none of these.
    """

    def __init__(self, proxies: Collection[str] = ()) -> None:
        self._warned = False
        self._unix = UNIX in proxies
        self._networks = tuple(_network(text) for text in proxies if text != UNIX)

    def resolve(
        self, peer: str | None, *, secure: bool, headers: Mapping[str, str]
    ) -> RemoteEndpoint:
        """Return the client that has sent a request.

        ``X-Forwarded-For`` is read from the right, where the nearest proxy writes: the
        first address that is not trusted is the client's, as the client itself may have sent
        everything left of it. An item that is no address ends the reading at the proxy that
        forwarded it. Of ``X-Forwarded-Proto`` and ``-Host`` counts what the outermost trusted
        proxy has written: it stands as far from the right, or, if not every proxy has added
        one, leftmost.

        :param peer: IP address of the connection's other end; ``None`` if it has none.
        :param secure: whether that connection uses TLS.
        :param headers: of the request, names in lower case, repeated ones joined by ", ".
        :raises BadForwardedField: a trusted proxy forwards a scheme or a host that is none.
        """
        host = headers.get("host")
        address = None if peer is None else _address(peer)
        if not self.trusts(peer):
            if address is not None and address.is_loopback and "x-forwarded-for" in headers:
                self._warn_of_unknown_proxy(address)
            return RemoteEndpoint(peer if address is None else str(address), secure, host)
        proxies = 0
        for text in reversed(_items(headers.get("x-forwarded-for"))):
            via_unix = text == "unix:"  # what nginx calls a peer of that kind
            hop = None if via_unix else _address(text)
            if hop is None and not via_unix:
                break
            proxies += 1
            address = hop
            if not (self._unix if via_unix else self._trusts(hop)):
                break
        scheme = _written(headers.get("x-forwarded-proto"), proxies)
        forwarded_host = _written(headers.get("x-forwarded-host"), proxies)
        if scheme is not None and scheme.lower() not in _SECURE:
            raise BadForwardedField("X-Forwarded-Proto")
        if forwarded_host is not None and parse_host(forwarded_host) is None:
            raise BadForwardedField("X-Forwarded-Host")
        return RemoteEndpoint(
            None if address is None else str(address),
            secure if scheme is None else _SECURE[scheme.lower()],
            host if forwarded_host is None else forwarded_host,
        )

    def trusts(self, peer: str | None) -> bool:
        """Return whether the other end of a connection is one of the proxies.

        :param peer: its IP address; ``None`` if it has none.
        """
        return self._unix if peer is None else self._trusts(_address(peer))

    def _warn_of_unknown_proxy(self, address: _Address) -> None:
        """Log once that a proxy on this machine is not trusted."""
        if not self._warned:
            self._warned = True
            logger.warning(
                "a proxy at %s is not among the trusted proxies: all of its clients count as one"
                " address, and limits per address concern them together",
                address,
            )

    def _trusts(self, address: _Address | None) -> bool:
        if address is None or not self._networks:
            return False
        return any(address in network for network in self._networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            f'{text!r} is no IP address, no network such as 10.0.0.0/8, and not "{UNIX}"'
        ) from None


@lru_cache(maxsize=256)  # each peer is looked at several times
def _address(text: str) -> _Address | None:
    """Read an address with or without a port; ``None`` if it is none."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(text if found is None else found[1] or found[2] or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # One that listens on :: sees IPv4 peers like this.
        return address.ipv4_mapped or address
    return address


def _items(value: str | None) -> list[str]:
    return [item for item in (part.strip() for part in (value or "").split(",")) if item]


def _written(value: str | None, proxies: int) -> str | None:
    """Return the item that the outermost of so many proxies has written; ``None``: none."""
    items = _items(value)
    return items[-min(max(proxies, 1), len(items))] if items else None
