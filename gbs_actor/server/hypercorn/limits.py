"""Limits that Hypercorn lacks, and has no settings for."""

from __future__ import annotations

from typing import Any, Final

import hypercorn.protocol
import trio
from hypercorn.events import Event, RawData
from hypercorn.protocol import ws_stream
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.tcp_server import TCPServer

from gbs_actor.server.hypercorn.closing import send_and_end
from gbs_actor.server.hypercorn.http2 import BoundedHttp2


class BoundedBuffer(ws_stream.WebsocketBuffer):
    """Holds an unfinished message; drops one that is too large, and the rest of it as it comes.

    Hypercorn's own keeps what is too large before it complains, and every further fragment
    until the connection ends. That is seconds, in which a client can send gigabytes.
    """

    def extend(self, event: Any) -> None:
        """Add a fragment.

        :raises FrameTooLargeError: the message is too large; nothing of it is kept.
        """
        if self.length + len(event.data) > self.max_length:
            self.value = None
            self.length = self.max_length + 1
            raise ws_stream.FrameTooLargeError
        super().extend(event)


_protocol_send = TCPServer.protocol_send


async def _send_as_a_whole(server: TCPServer, event: Event) -> None:
    """Send what has left the protocol's hands, even where whoever sends is cancelled.

    A request that is taken back cancels its app, perhaps while that waits for its turn to
    write; what is lost then are bytes of the whole connection, and its next header block
    cannot be read (RFC 9113 §4.3). The wait is for writes of others, as bounded as they are.
    """
    with trio.CancelScope(shield=isinstance(event, RawData)):
        await _protocol_send(server, event)


def _no_extensions(_offered: object, _supported: object) -> None:
    return None


_REPLACED: Final[tuple[tuple[Any, str, Any], ...]] = (
    (ws_stream, "WebsocketBuffer", BoundedBuffer),
    (ws_stream, "server_extensions_handshake", _no_extensions),
    (ws_stream.WSStream, "_send_wsproto_event", send_and_end),
    (hypercorn.protocol, "H2Protocol", BoundedHttp2),
    (TCPServer, "protocol_send", _send_as_a_whole),
)

_OVERRIDDEN: Final = tuple(
    (H2Protocol, name)
    for name in (
        "_close_stream",
        "_create_stream",
        "_flush",
        "_handle_events",
        "_send_data",
        "handle",
        "idle",
        "initiate",
        "send_task",
        "stream_send",
    )
)
"""What :class:`BoundedHttp2` is built on: were one renamed, it would be called no more."""


def limit_hypercorn() -> None:
    """Have Hypercorn keep limits from now on, whoever runs it in this process.

    Messages are bounded as they come, and end their stream where they are too large.
    Compression is not negotiated, as wsproto inflates without a bound, and whatever extensions
    a client offers is ignored (RFC 6455 §9.1). HTTP/2 is :class:`BoundedHttp2`. What is sent
    is sent as a whole.

    :raises RuntimeError: this version of Hypercorn has something else in these places.
    """
    for owner, name in (*((owner, name) for owner, name, _ in _REPLACED), *_OVERRIDDEN):
        if not hasattr(owner, name):
            raise RuntimeError(
                f"Hypercorn has no {owner.__name__}.{name} any more: its limits cannot be kept"
            )
    for owner, name, limited in _REPLACED:
        setattr(owner, name, limited)
