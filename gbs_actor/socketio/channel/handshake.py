"""Who connects: the request of a connection, as handlers see it, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gbs_actor.socketio.engineio.packets import PROTOCOL_VERSION
from gbs_actor.socketio.net.trusted_proxies import Caller

_MAX_QUERY_FIELDS = 100
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a connection began with."""

    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined by ", "."""
    query: Mapping[str, str]
    """The first value of each field."""
    cookies: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    remote_address: str | None = None
    """The client's IP address, past trusted proxies; ``None`` where it has none."""
    issued: datetime | None = None
    """When the connection was made; aware, UTC."""
    secure: bool = False
    """Whether the client's connection is encrypted."""
    host: str | None = None
    """Host, and port if there is one, by which the client knows the server."""
    auth: Any = None
    """The payload of the CONNECT packet: an object, or ``None``."""


class HandshakeError(msgspec.Struct, frozen=True):
    """Why a request is refused: the JSON body of the answer."""

    code: int
    message: str

    @property
    def status(self) -> int:
        """The HTTP status it goes with."""
        return 403 if self.code == FORBIDDEN.code else 400


UNKNOWN_TRANSPORT = HandshakeError(0, "Transport unknown")
UNKNOWN_SESSION = HandshakeError(1, "Session ID unknown")
BAD_METHOD = HandshakeError(2, "Bad handshake method")
BAD_REQUEST = HandshakeError(3, "Bad request")
FORBIDDEN = HandshakeError(4, "Forbidden")
UNSUPPORTED_VERSION = HandshakeError(5, "Unsupported protocol version")


def parse_query(query: str) -> dict[str, str]:
    """Return the first value of each field of a URL's query.

    :raises ValueError: there are too many fields.
    """
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def check_query(method: str, query: Mapping[str, str], *, upgrade: bool) -> HandshakeError | None:
    """Return what is wrong with a request that names no session, if anything.

    The order of the checks is that of the reference server (engine.io, ``verify``).

    :param upgrade: whether it asks for a WebSocket.
    """
    transport = query.get("transport")
    if transport not in {"polling", "websocket"}:
        return UNKNOWN_TRANSPORT
    if method != "GET":
        return BAD_METHOD
    if upgrade != (transport == "websocket"):
        return BAD_REQUEST
    return check_version(query)


def check_version(query: Mapping[str, str]) -> HandshakeError | None:
    """Return what is wrong with the protocol version, if anything."""
    return None if query.get("EIO") == PROTOCOL_VERSION else UNSUPPORTED_VERSION


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a request; of malformed ones, what can be read of them."""
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
    headers: Mapping[str, str], query: Mapping[str, str], caller: Caller
) -> Handshake:
    """Describe a connection that is about to be made."""
    return Handshake(
        headers=MappingProxyType(dict(headers)),
        query=MappingProxyType(dict(query)),
        cookies=MappingProxyType(parse_cookies(headers.get("cookie", ""))),
        remote_address=caller.address,
        issued=datetime.now(UTC),
        secure=caller.secure,
        host=caller.host,
    )
