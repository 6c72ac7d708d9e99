"""Which requests may begin an Engine.IO session, and how the others are refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gbs_actor.socketio.engineio.packets import PROTOCOL_VERSION
from gbs_actor.socketio.net.http_response import RequestRefused


class HandshakeError(msgspec.Struct, frozen=True):
    """Why a request is refused: the JSON body of the response."""

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


def refused(error: HandshakeError) -> RequestRefused:
    """Return a refusal with the status that belongs to the error."""
    return RequestRefused(error.status, error)
