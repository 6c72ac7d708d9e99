"""An end for WebSockets that Hypercorn closes by itself: it would wait for ever."""

from __future__ import annotations

from typing import Any, Final

from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection
from wsproto.frame_protocol import CloseReason

_PATIENCE: Final = 2.0
"""Seconds for the client's end of the closing handshake (RFC 6455 §7.1.1)."""

_send = WSStream._send_wsproto_event


async def send_and_end(stream: WSStream, event: Any) -> None:
    """Send as Hypercorn does, and end a stream soon after a message that is too large.

    Hypercorn sends the close frame, tells the application nothing, and goes on reading from a
    client that does not answer. What the application sends meanwhile is lost without an
    error, so that it takes the client for a member of the room.
    """
    too_large = (
        isinstance(event, CloseConnection)
        and event.code == CloseReason.MESSAGE_TOO_BIG
        and stream.connection.state is ConnectionState.OPEN
    )
    await _send(stream, event)
    if too_large:
        stream.task_group.spawn(_end, stream)


async def _end(stream: WSStream) -> None:
    await stream.context.sleep(_PATIENCE)
    if not stream.closed:
        await stream.send(StreamClosed(stream_id=stream.stream_id))
