"""The request that opened a connection, and its client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from sys import intern
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from gbs_actor.socketio.net.origin import own_origin
from gbs_actor.socketio.net.trusted_proxies import RemoteEndpoint

_MAX_QUERY_FIELDS = 100
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request that opened a connection."""

    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined by ", "."""
    query: Mapping[str, str]
    """The first value of each field."""
    remote_address: str | None = None
    """The client's IP address, past trusted proxies; ``None`` if it has none."""
    issued: datetime | None = None
    """When the connection was opened; aware, UTC."""
    secure: bool = False
    """Whether the client's connection is encrypted."""
    host: str | None = None
    """Host, and port if there is one, under which the client has requested the server."""
    auth: Any = None
    """The payload of the CONNECT packet: an object, or ``None``."""

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies; of malformed ones, those that can be parsed."""
        # Parsed at each call: they are read at the beginning, and may be as long as the rest.
        header = self.headers.get("cookie")
        return _NOTHING if header is None else MappingProxyType(parse_cookies(header))

    @property
    def own_origin(self) -> str | None:
        """The origin under which the client has requested the server."""
        return own_origin(self.host, secure=self.secure)


def parse_query(query: str) -> dict[str, str]:
    """Return the first value of each field of a URL's query.

    :raises ValueError: there are too many fields.
    """
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a request; of malformed ones, those that can be parsed."""
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and name not in cookies:
            cookies[name] = value.strip('"')
    return cookies


def join_fields(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return header fields by name, repeated ones joined by ", " (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for name, value in fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def open_handshake(
    headers: Mapping[str, str], query: Mapping[str, str], sender: RemoteEndpoint, issued: datetime
) -> Handshake:
    """Return the handshake of a connection that is about to be opened."""
    return Handshake(
        headers=_Fields(headers),
        query=_Fields(query),
        remote_address=None if sender.address is None else intern(sender.address),
        issued=issued,
        secure=sender.secure,
        host=sender.host,
    )


class _Fields(Mapping[str, str]):
    """Fields as a connection keeps them: most are the same as those of others.

    A dict of a browser's header takes three times the memory.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._names = _shared(tuple(map(intern, fields)))
        self._values = tuple(map(intern, fields.values()))

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


@lru_cache(maxsize=64)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same object for equal names."""
    return names
