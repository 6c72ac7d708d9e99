"""Who connects: the request of a connection, as handlers see it, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gbs_actor.socketio.engineio import PROTOCOL_VERSION
from gbs_actor.socketio.request import Request

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
    """``host:port`` of the peer, a proxy perhaps; ``None`` where it has none."""
    issued: datetime | None = None
    """When the connection was made; aware, UTC."""
    secure: bool = False
    """Whether the connection is encrypted."""
    auth: Any = None
    """The payload of the CONNECT packet: an object, or ``None``."""


class HandshakeError(msgspec.Struct, frozen=True):
    """Why a handshake is refused: the JSON body of the answer."""

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


def check_handshake(method: str, query: Mapping[str, str]) -> HandshakeError | None:
    """Return what is wrong with the query of a WebSocket handshake, if anything.

    The order of the checks is that of the reference server (engine.io, ``verify``).
    """
    if query.get("transport") != "websocket":
        unknown = query.get("transport") != "polling"
        return UNKNOWN_TRANSPORT if unknown else BAD_REQUEST
    if "sid" in query:
        return UNKNOWN_SESSION
    if method != "GET":
        return BAD_METHOD
    if query.get("EIO") != PROTOCOL_VERSION:
        return UNSUPPORTED_VERSION
    return None


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a request; of malformed ones, what can be read of them."""
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and name not in cookies:
            cookies[name] = value.strip('"')
    return cookies


def open_handshake(
    request: Request, query: Mapping[str, str], *, remote_address: str | None, secure: bool
) -> Handshake:
    """Describe a connection that is about to be made."""
    headers: dict[str, str] = {}
    for name, value in request.fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Handshake(
        headers=MappingProxyType(headers),
        query=MappingProxyType(dict(query)),
        cookies=MappingProxyType(parse_cookies(headers.get("cookie", ""))),
        remote_address=remote_address,
        issued=datetime.now(UTC),
        secure=secure,
    )
