"""The opening handshake of a WebSocket (RFC 6455 §4.2), by ``websockets``, without I/O."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gbs_actor.socketio.channel.deflated_parser import DeflatedParser
from gbs_actor.socketio.channel.frame_parser import FrameParser, Parser
from gbs_actor.socketio.channel.handshake import select_subprotocol
from gbs_actor.socketio.net.request import WEBSOCKET_VERSION, Request

logger = logging.getLogger(__name__)
logger.setLevel(logging.WARNING)  # the protocol object reports every opening at INFO

_NEEDED = ("connection", "upgrade", "sec-websocket-")  # what fields of a handshake begin with
_WINDOW = 15  # bits; a smaller one would need a compression of its own

# What a connection sends is compressed message by message, so that all can share it; what
# it receives as well, since a context would be 32 KiB a connection.
_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The response to a WebSocket handshake, and the parser to continue with after a 101."""

    response: Response
    parser: Parser
    deflated: bool
    """Whether the client takes compressed messages."""

    @property
    def accepted(self) -> bool:
        """Whether it is a 101, and not a refusal."""
        return self.response.status_code == 101

    @property
    def hints(self) -> tuple[tuple[str, str], ...]:
        """Header fields of a refusal: which handshakes are accepted (RFC 6455 §4.2.2, §4.4)."""
        names = ("Upgrade", "Sec-WebSocket-Version")
        headers = self.response.headers
        return tuple((name, headers[name]) for name in names if name in headers)


def upgrade(
    request: Request,
    *,
    max_payload: int,
    deflate: bool,
    subprotocols: Sequence[str] = (),
) -> Upgrade:
    """Respond to a WebSocket handshake (RFC 6455 §4.2).

    :param max_payload: bytes of a message, after decompression.
    :param deflate: whether to compress for clients that offer it (RFC 7692).
    :param subprotocols: those to select from, the best one first.
    """
    handshake, response = _accept(request, (_DEFLATE,) if deflate else (), subprotocols)
    if any(extension.local_max_window_bits != _WINDOW for extension in _deflates(handshake)):
        handshake, response = _accept(request, (), subprotocols)
    if not handshake.extensions:
        return Upgrade(response, FrameParser(max_payload), deflated=False)
    protocol = ServerProtocol(state=State.OPEN, max_size=max_payload, logger=logger)
    protocol.extensions = handshake.extensions
    return Upgrade(response, DeflatedParser(protocol), deflated=True)


def _accept(
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
        fields = [field for field in request.fields if field[0].startswith(_NEEDED)]
        response = handshake.accept(WebSocketRequest(request.target, Headers(fields)))
    else:  # RFC 6455 §4.1
        response = handshake.reject(HTTPStatus.METHOD_NOT_ALLOWED, "A WebSocket needs a GET.\n")
    if response.status_code == HTTPStatus.BAD_REQUEST and (
        request.header("sec-websocket-version") != WEBSOCKET_VERSION
    ):
        response.headers["Sec-WebSocket-Version"] = WEBSOCKET_VERSION
    return handshake, response


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    name = select_subprotocol(offered, protocol.available_subprotocols or ())
    return None if name is None else Subprotocol(name)


def _deflates(handshake: ServerProtocol) -> list[PerMessageDeflate]:
    return [each for each in handshake.extensions if isinstance(each, PerMessageDeflate)]
