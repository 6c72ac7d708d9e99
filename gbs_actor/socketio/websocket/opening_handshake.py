"""The opening handshake of a WebSocket (RFC 6455 §4.2), without I/O.

``websockets`` negotiates compression, and says what is wrong with a handshake; one without either
is accepted here, at a seventh of the cost.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderFormat, InvalidHeaderValue
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.headers import parse_subprotocol
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gbs_actor.socketio.net.http_response import http_date
from gbs_actor.socketio.net.request import WEBSOCKET_KEY, WEBSOCKET_VERSION, Request
from gbs_actor.socketio.websocket.deflated_parser import DeflatedParser
from gbs_actor.socketio.websocket.frame_parser import FrameParser, Parser
from gbs_actor.socketio.websocket.subprotocol import select_subprotocol

logger = logging.getLogger(__name__)
logger.setLevel(logging.WARNING)  # the protocol object reports every opening at INFO

_SINGLE: Final = frozenset({"connection", "upgrade", "sec-websocket-version", "sec-websocket-key"})
_NEEDED: Final = _SINGLE | {"sec-websocket-protocol", "sec-websocket-extensions"}
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_WINDOW = 15  # bits; a smaller one would need a compression of its own

# What a connection sends is compressed message by message, so that all can share it; what
# it receives as well, since a context would be 32 KiB a connection.
_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The response to a WebSocket handshake, and the parser to continue with after a 101."""

    status: int
    head: bytes
    """Of the response, with its body if it is a refusal."""
    parser: Parser
    deflated: bool = False
    """Whether the client takes compressed messages."""
    hints: tuple[tuple[str, str], ...] = ()
    """Header fields of a refusal: which handshakes are accepted (RFC 6455 §4.2.2, §4.4)."""

    @property
    def accepted(self) -> bool:
        """Whether it is a 101, and not a refusal."""
        return self.status == HTTPStatus.SWITCHING_PROTOCOLS


def upgrade(
    request: Request,
    *,
    max_payload: int,
    deflate: bool,
    subprotocols: Sequence[str] = (),
    now: float,
) -> Upgrade:
    """Respond to a WebSocket handshake (RFC 6455 §4.2).

    :param max_payload: bytes of a message, after decompression.
    :param deflate: whether to compress for clients that offer it (RFC 7692).
    :param subprotocols: those to select from, the best one first.
    :param now: Unix time in seconds.
    """
    head = _accept(request, deflate=deflate, subprotocols=subprotocols, now=now)
    if head is not None:
        return Upgrade(HTTPStatus.SWITCHING_PROTOCOLS, head, FrameParser(max_payload))
    return negotiate(
        request, max_payload=max_payload, deflate=deflate, subprotocols=subprotocols, now=now
    )


def _accept(
    request: Request, *, deflate: bool, subprotocols: Sequence[str], now: float
) -> bytes | None:
    """Return the 101 to a handshake (§4.2.2); ``None``: it has to be negotiated, or refused.

    One that the front door has passed on is in the simplest form, and needs that only if
    extensions are offered and used.
    """
    if request.method != "GET":
        return None
    needed: dict[str, str] = {}
    offered: list[str] = []
    for name, value in request.fields:
        if name in _SINGLE:
            if name in needed:
                return None
            needed[name] = value
        elif name == "sec-websocket-protocol":
            try:
                offered += parse_subprotocol(value)
            except InvalidHeaderFormat:
                return None
        elif name == "sec-websocket-extensions" and deflate:
            return None
    key = needed.get("sec-websocket-key", "")
    if (
        needed.get("connection", "").lower() != "upgrade"
        or needed.get("upgrade", "").lower() != "websocket"
        or needed.get("sec-websocket-version") != WEBSOCKET_VERSION
        or not WEBSOCKET_KEY.fullmatch(key)
    ):
        return None
    selected = select_subprotocol(offered, subprotocols)
    protocol = "" if selected is None else f"Sec-WebSocket-Protocol: {selected}\r\n"
    accept = b64encode(sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()
    return (
        f"HTTP/1.1 101 Switching Protocols\r\nDate: {http_date(now)}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    ).encode()


def negotiate(
    request: Request,
    *,
    max_payload: int,
    deflate: bool,
    subprotocols: Sequence[str] = (),
    now: float,
) -> Upgrade:
    """Respond as :func:`upgrade` does, by ``websockets``: it negotiates, and says what is wrong."""
    handshake, response = _respond(request, (_DEFLATE,) if deflate else (), subprotocols)
    if any(extension.local_max_window_bits != _WINDOW for extension in _deflates(handshake)):
        handshake, response = _respond(request, (), subprotocols)
    response.headers.pop("Date", None)
    response.headers["Date"] = http_date(now)
    parser: Parser = FrameParser(max_payload)
    if handshake.extensions:
        protocol = ServerProtocol(state=State.OPEN, max_size=max_payload, logger=logger)
        protocol.extensions = handshake.extensions
        parser = DeflatedParser(protocol)
    return Upgrade(
        response.status_code,
        response.serialize(),
        parser,
        deflated=bool(handshake.extensions),
        hints=_hints(response),
    )


def _respond(
    request: Request,
    extensions: Sequence[ServerPerMessageDeflateFactory],
    subprotocols: Sequence[str],
) -> tuple[ServerProtocol, Response]:
    handshake = ServerProtocol(
        logger=logger,
        extensions=extensions,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        select_subprotocol=_select if subprotocols else None,
    )
    if request.method == "GET":
        # Others may hold characters that ``Headers`` refuses.
        fields = [field for field in request.fields if field[0] in _NEEDED]
        try:
            response = handshake.accept(WebSocketRequest(request.target, Headers(fields)))
        except InvalidHeaderValue as error:
            response = handshake.reject(HTTPStatus.BAD_REQUEST, f"{error.name} is malformed.\n")
    else:  # RFC 6455 §4.1
        response = handshake.reject(HTTPStatus.METHOD_NOT_ALLOWED, "A WebSocket needs a GET.\n")
    if response.status_code == HTTPStatus.BAD_REQUEST and (
        request.header("sec-websocket-version") != WEBSOCKET_VERSION
    ):
        response.headers["Sec-WebSocket-Version"] = WEBSOCKET_VERSION
    return handshake, response


def _hints(response: Response) -> tuple[tuple[str, str], ...]:
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        return ()
    names = ("Upgrade", "Sec-WebSocket-Version")
    return tuple((name, response.headers[name]) for name in names if name in response.headers)


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    name = select_subprotocol(offered, protocol.available_subprotocols or ())
    return None if name is None else Subprotocol(name)


def _deflates(handshake: ServerProtocol) -> list[PerMessageDeflate]:
    return [each for each in handshake.extensions if isinstance(each, PerMessageDeflate)]
