"""Hypercorn's internal names that are used or replaced.

Hypercorn gives no guarantee for them. The start fails if one is missing, and a test fails if the
source of one has changed: review it then.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, Final

from hypercorn import protocol as protocols
from hypercorn.protocol import h11 as http1

from gbs_actor.server.hypercorn.http1 import StrictHttp1
from gbs_actor.server.hypercorn.websocket import BoundedWebSocket

TOUCHED: Final = {
    # Called.
    "hypercorn.app_wrappers:ASGIWrapper": "the app as TCPServer calls it",
    "hypercorn.trio.tcp_server:TCPServer": "serves one HttpStream; asks for TLS by its attributes",
    "hypercorn.trio.worker_context:WorkerContext": "asked for its events by TCPServer",
    "hypercorn.protocol:ProtocolWrapper": "speaks HTTP/1.1 unless ALPN says h2",
    # Relied on in their current behaviour.
    "hypercorn.protocol.h11:H11Protocol": "base of StrictHttp1",
    "hypercorn.protocol.h11:H11Protocol._create_stream": "makes the WSStream that is replaced",
    "hypercorn.protocol.h11:H11Protocol._maybe_recycle": "closes after an early response",
    "hypercorn.trio.task_group:_handle": "logs what the app raises",
    # Replaced or built on.
    "hypercorn.logging:Logger": "its `exception` is quieter if a peer broke the protocol",
    "h11._connection:Connection": "its reader of heads is replaced",
    "h11._events:Request": "made without its own checks of fields",
    "hypercorn.events:Updated": "ends the idle timer of a connection that is refused",
    "hypercorn.protocol:H11Protocol": "replaced by StrictHttp1",
    "hypercorn.protocol.h11:WSStream": "replaced by BoundedWebSocket",
    "hypercorn.protocol.events:Data": "what BoundedWebSocket gets before or behind a handshake",
    "hypercorn.protocol.events:Event": "what BoundedWebSocket gets",
    "hypercorn.protocol.events:Request": "loses its field Sec-WebSocket-Extensions",
    "hypercorn.protocol.events:StreamClosed": "ends a BoundedWebSocket",
    "hypercorn.protocol.ws_stream:FrameTooLargeError": "raised by BoundedBuffer",
    "hypercorn.protocol.ws_stream:Handshake": "gets no extensions to agree on",
    "hypercorn.protocol.ws_stream:WebsocketBuffer": "base of BoundedBuffer",
    "hypercorn.protocol.ws_stream:WSStream": "base of BoundedWebSocket",
    "hypercorn.trio.run:worker_serve": "wrapped by prepare_worker",
    "hypercorn.utils:LifespanFailureError": "raised by it if the app does not start",
}
"""By ``module:name``, what each is used for. Its settings and its typing are public."""


_REPLACED: Final[tuple[tuple[Any, str, Any], ...]] = (
    (http1, "WSStream", BoundedWebSocket),
    (protocols, "H11Protocol", StrictHttp1),
)


def limit_hypercorn() -> None:
    """Make Hypercorn keep limits from now on, in this whole process.

    Its WebSockets become :class:`BoundedWebSocket`, its HTTP/1.1 :class:`StrictHttp1`. So no
    connection in plain text turns to HTTP/2. Over TLS ``alpn_protocols`` decides that.

    :raises RuntimeError: this version of Hypercorn lacks one of the names.
    """
    for name in TOUCHED:
        try:
            resolve_name(name)
        except (ImportError, AttributeError):
            raise RuntimeError(
                f"Hypercorn has no {name} any more: its limits cannot be kept"
            ) from None
    for owner, name, ours in _REPLACED:
        setattr(owner, name, ours)
