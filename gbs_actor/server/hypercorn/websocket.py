"""Hypercorn's WebSocket, with bounds on memory and time per peer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hypercorn.protocol.events import Data, Event, Request, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection
from wsproto.frame_protocol import CloseReason

_EXTENSIONS: Final = b"sec-websocket-extensions"

_CLOSE_TIMEOUT: Final = 2.0
"""Seconds for the client's part of the closing handshake (RFC 6455 §7.1.1)."""


class BoundedBuffer(WebsocketBuffer):
    """Holds an unfinished message; drops one that is too large, and its further fragments.

    Hypercorn's own buffer keeps a message that is too large, and every further fragment until
    the connection ends: for seconds, in which a client can send gigabytes.
    """

    def extend(self, event: Any) -> None:
        """Add a fragment.

        :raises FrameTooLargeError: the message is too large; it is dropped.
        """
        if self.length + len(event.data) > self.max_length:
            self.value = None
            self.length = self.max_length + 1
            raise FrameTooLargeError
        super().extend(event)


class BoundedWebSocket(WSStream):
    """One WebSocket.

    A message that is too large ends the WebSocket, and so does one that arrives before the
    handshake. No extension is negotiated (RFC 6455 §9.1), as wsproto inflates without a bound.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = BoundedBuffer(self.config.websocket_max_message_size)

    async def handle(self, event: Event) -> None:
        """Handle an event of the protocol below."""
        if isinstance(event, Request):
            fields = [field for field in event.headers if field[0].lower() != _EXTENSIONS]
            event = replace(event, headers=fields)
        open_before = not self.closed
        await super().handle(event)
        refused = open_before and self.closed and isinstance(event, Data)
        if refused and self.app_put is not None:
            # Refused, as it came before the handshake was accepted: Hypercorn stops there.
            await self.app_put({"type": "websocket.disconnect", "code": 1006})
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_wsproto_event(self, event: Any) -> None:
        """Send as Hypercorn does, and end the WebSocket soon after a message that is too large.

        Hypercorn sends the close frame, does not notify the application, and continues to read
        from a client that does not close. Messages of the application are then lost without an
        error, and the client would stay in its room.
        """
        too_large = (
            isinstance(event, CloseConnection)
            and event.code == CloseReason.MESSAGE_TOO_BIG
            and self.connection.state is ConnectionState.OPEN
        )
        await super()._send_wsproto_event(event)
        if too_large:
            self.task_group.spawn(self._end)

    async def _end(self) -> None:
        await self.context.sleep(_CLOSE_TIMEOUT)
        if not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))
