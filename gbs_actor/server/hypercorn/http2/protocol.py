"""Hypercorn's HTTP/2 with each stream contained, and what a connection may cost bounded."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import h2.events
import trio
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import (
    Body,
    Data,
    EndBody,
    Request,
    Response,
    StreamClosed,
    Trailers,
)
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import BufferCompleteError, H2Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.typing import WebsocketDisconnectEvent
from hypercorn.utils import filter_pseudo_headers
from hyperframe.frame import Frame, GoAwayFrame
from priority.priority import DeadlockError, MissingStreamError
from wsproto.utilities import ProtocolError as WebSocketError

from gbs_actor.server.hypercorn.http2.exchange import Exchange
from gbs_actor.server.hypercorn.http2.outgoing import HIGH_WATER, Outgoing
from gbs_actor.server.hypercorn.http2.toll import Toll

STEP: Final = 2_048
"""Bytes that are acted on before others get their turn: frames may be as small as nine."""

LINGER: Final = 2.0
"""Seconds that the rest of a request may come after its answer."""

MAX_DROPPED: Final = 4_194_304
"""Bytes of such a rest that are dropped. Many clients look for an answer only behind it."""

MAX_FRAME: Final = 16_384
"""Bytes of a body that are sent at once: other streams wait behind them, whatever a peer allows."""

MAX_HELD: Final = 67_108_864
"""Bytes of answers that may wait for a connection's windows, where they are of several streams.

A hundred streams may ask at once for what takes half a megabyte each, and read all of it.
What several streams are sent alike counts once.
"""

CREDIT: Final = 16_384
"""Bytes that were received from which on a connection's window is opened by as many."""

CALLS: Final = 2
"""Calls of the app under way per stream that there may be: a reset one takes time to end."""

_DECODED: Final = frozenset(
    (
        b":method",
        b":path",
        b"connection",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
    )
)
"""The fields that Hypercorn decodes as ASCII, and fails where they are not."""

_GONE: Final[WebsocketDisconnectEvent] = {
    "type": "websocket.disconnect",
    "code": 1006,
}

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Rest:
    """What is still to come of a request."""

    over: trio.Event = field(default_factory=trio.Event)
    dropped: int = 0
    """Bytes that came when nobody was interested any more."""


class BoundedHttp2(H2Protocol):
    """One connection.

    What differs from Hypercorn's own: a request may be answered before it has arrived, a
    WebSocket's stream ends with it, a stream that breaks the protocol ends alone, the task
    that reads never waits for an app or for a window, ending wakes everybody who waits for a
    window, a client that says goodbye still gets its answers, priorities are ignored
    (RFC 9113 §5.3.2; a frame of 14 bytes may cost milliseconds), there is no number of
    requests after which it falls silent, bodies are not copied, and the peer's frames cost a
    toll.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stream_buffers: dict[int, Outgoing] = {}  # type: ignore[assignment]
        self._toll = Toll(trio.current_time())
        self._exchanges: dict[int, Exchange] = {}
        self._unfinished: dict[int, _Rest] = {}
        self._calls = 0
        self._credit = 0
        self._reader: object = None
        self._leaving = self._left = False
        # h2 takes a GOAWAY for the end of all streams, and drops what is on its way to the peer.
        self.connection._frame_dispatch_table[GoAwayFrame] = self._hear_goodbye

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        """Begin, perhaps with a request that came over HTTP/1.1, as a whole."""
        await super().initiate(headers, settings)
        if headers is not None:
            self._finished(1)

    async def handle(self, event: Event) -> None:
        """Act on bytes that came, or on the end of the connection."""
        if isinstance(event, RawData):
            self._reader = trio.lowlevel.current_task()
            await self._receive(event.data)
        elif isinstance(event, Closed):
            for stream_id in list(self.stream_buffers):
                self._forget(stream_id)
            for stream_id in list(self._unfinished):
                self._finished(stream_id)
            await super().handle(event)

    async def _receive(self, data: bytes) -> None:
        for start in range(0, len(data), STEP):
            if start:
                await trio.lowlevel.checkpoint()
            if self.closed or self._leaving:
                return
            piece = data[start : start + STEP]
            if not self._toll.pay(piece, trio.current_time()):
                logger.info("an HTTP/2 connection ended: too many frames for nothing")
                await self._say_goodbye(ErrorCodes.ENHANCE_YOUR_CALM)
                await self.send(Closed())
                return
            await super().handle(RawData(data=piece))

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            match event:
                case h2.events.DataReceived():
                    await self._take(event)
                case h2.events.StreamEnded(stream_id=int(stream_id)):
                    await self._request_ended(stream_id)
                case h2.events.StreamReset(stream_id=int(stream_id)):
                    await self._was_reset(stream_id)
                case h2.events.RequestReceived(stream_id=int(stream_id)):
                    if self.context.terminated.is_set():
                        await self._reset(stream_id, ErrorCodes.REFUSED_STREAM)
                    else:
                        await super()._handle_events([event])
                    if stream_id not in self.streams:
                        await self._tell_whether_idle()
                case h2.events.PriorityUpdated():
                    pass
                case h2.events.ConnectionTerminated(error_code=ErrorCodes.NO_ERROR):
                    self._left = True
                    await self._tell_whether_idle()
                case _:
                    await super()._handle_events([event])
        await self._flush()

    async def _take(self, event: h2.events.DataReceived) -> None:
        """Give a part of a request to its stream, or drop it where that has gone.

        An app that takes nothing closes the window of its stream, and not of the others.
        """
        stream_id, size = event.stream_id or 0, event.flow_controlled_length or 0
        await self._open_window(size)
        stream = self.streams.get(stream_id)
        if stream is None:
            await self._acknowledge(stream_id, size)
            rest = self._unfinished.get(stream_id)
            if rest is not None:
                rest.dropped += size
                if rest.dropped > MAX_DROPPED:
                    await self._reset(stream_id, ErrorCodes.NO_ERROR)
            return
        exchange = self._exchanges[stream_id]
        if event.data:
            try:
                await stream.handle(Body(stream_id=stream_id, data=event.data))
            except WebSocketError:
                await self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
                await self._close_stream(stream_id)
        await exchange.owe(size)
        if stream.closed:
            await self._close_stream(stream_id)

    async def _request_ended(self, stream_id: int) -> None:
        self._finished(stream_id)
        stream = self.streams.get(stream_id)
        if isinstance(stream, WSStream):
            # As the end of a TCP connection would be (RFC 8441 §5).
            await self._close_stream(stream_id)
        elif stream is not None:
            await stream.handle(EndBody(stream_id=stream_id))

    async def _was_reset(self, stream_id: int) -> None:
        """Let go of a stream. What comes for one that was reset is said to reset it again."""
        known = stream_id in self.streams or stream_id in self.stream_buffers
        self._finished(stream_id)
        self._forget(stream_id)
        await self._close_stream(stream_id)
        if known:
            await self._tell_whether_idle()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        stream_id, headers = request.stream_id or 0, request.headers or []
        if self._calls >= CALLS * self.config.h2_max_concurrent_streams:
            await self._reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._toll.take_for_fields(len(headers))
        pseudo = dict(headers)
        if b":path" not in pseudo or not all(
            value.isascii() for name, value in headers if name in _DECODED
        ):
            await self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        method = pseudo[b":method"].decode("ascii").upper()
        exchange = Exchange(
            self.task_group, partial(self._acknowledge, stream_id), self._call_ended
        )
        stream = (WSStream if method == "CONNECT" else HTTPStream)(
            self.app,
            self.config,
            self.context,
            exchange,  # type: ignore[arg-type]
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            stream_id,
        )
        self.streams[stream_id] = stream
        self._exchanges[stream_id] = exchange
        self.stream_buffers[stream_id] = Outgoing()
        self.priority.insert_stream(stream_id)
        self.priority.block(stream_id)
        if request.stream_ended is None:
            self._unfinished[stream_id] = _Rest()
        await stream.handle(
            Request(
                stream_id=stream_id,
                headers=filter_pseudo_headers(headers),
                http_version="2",
                method=method,
                raw_path=pseudo[b":path"],
                state=self.connection_state,
            )
        )
        self._calls += exchange.called
        await self.context.mark_request()

    def _call_ended(self) -> None:
        self._calls -= 1

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what a stream has to say. Waits while there is much that its window holds up."""
        if isinstance(event, (Body, Data)):
            await self._push(event.stream_id, event.data)
        elif isinstance(event, StreamClosed):
            await self._close_stream(event.stream_id)
            await self._tell_whether_idle()
        else:
            if isinstance(event, Response):
                self._toll.earn()
            await super().stream_send(event)
            if isinstance(event, Trailers):
                self._forget(event.stream_id)

    async def _push(self, stream_id: int, data: bytes) -> None:
        buffer = self.stream_buffers.get(stream_id)
        if buffer is None:
            await trio.lowlevel.checkpoint()
            return
        with suppress(MissingStreamError, BufferCompleteError):
            self.priority.unblock(stream_id)
            await self.has_data.set()
            if trio.lowlevel.current_task() is self._reader:
                bounded = buffer.push_now(data)
            else:
                bounded = len(data) < HIGH_WATER or self._has_room_for(data)
                if bounded:
                    await buffer.push(data)
            if not bounded:
                await self._reset(stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
                self._forget(stream_id)
                await self._close_stream(stream_id)

    def _has_room_for(self, data: bytes) -> bool:
        held = {id(data): len(data)}
        for buffer in self.stream_buffers.values():
            held |= buffer.held()
        return len(held) == 1 or sum(held.values()) <= MAX_HELD

    async def send_task(self) -> None:
        """Send what windows let through, and what must not wait for a reader, to the end."""
        while not self.closed:
            await self._flush()
            try:
                stream_id = next(self.priority)
            except DeadlockError:
                await self.has_data.wait()
                await self.has_data.clear()
            else:
                await self._send_data(stream_id)

    async def _send_data(self, stream_id: int) -> None:
        buffer = self.stream_buffers[stream_id]
        try:
            window = self.connection.local_flow_control_window(stream_id)
            limit = min(self.connection.max_outbound_frame_size, MAX_FRAME)
            data = buffer.pop(max(0, min(window, limit)))
            if data:
                self.connection.send_data(stream_id, data)
                held_up = len(data) == window < limit and buffer.length > 0
                self._toll.earn(len(data), dribbled=held_up)
            else:
                self.priority.block(stream_id)
            if buffer.complete:
                self.connection.end_stream(stream_id)
                self._forget(stream_id)
                if stream_id in self._unfinished:
                    self.task_group.spawn(self._linger, stream_id)
        except ProtocolError:
            self._forget(stream_id)  # the stream was closed meanwhile
        await self._flush()
        if not self.stream_buffers:
            await self._tell_whether_idle()

    async def _linger(self, stream_id: int) -> None:
        """Wait for the rest of a request that is answered, for a moment.

        Then let the client know that nobody is interested in it (RFC 9113 §8.1).
        """
        rest = self._unfinished.get(stream_id)
        if rest is None:
            return
        with trio.move_on_after(LINGER):
            await rest.over.wait()
        if not rest.over.is_set():
            await self._reset(stream_id, ErrorCodes.NO_ERROR)
            await self._close_stream(stream_id)
            await self._tell_whether_idle()

    async def _close_stream(self, stream_id: int) -> None:
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            return
        exchange = self._exchanges.pop(stream_id)
        unaware = stream.closed and exchange.called
        await stream.handle(StreamClosed(stream_id=stream_id))
        if unaware:
            await exchange.tell(_GONE)
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None and not buffer.ended:
            if isinstance(stream, WSStream) and stream.handshake.accepted:
                buffer.set_complete()
                self.priority.unblock(stream_id)
            else:
                await self._reset(stream_id, ErrorCodes.INTERNAL_ERROR)
                self._forget(stream_id)
        await self.has_data.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, in either direction."""
        return not self.streams and not self.stream_buffers

    async def _tell_whether_idle(self) -> None:
        """Have the time without a request begin or end; when all ends, so does this."""
        if self.closed or self._leaving:
            return  # it is told so already, or about to be
        idle = self.idle
        if idle and (self._left or self.context.terminated.is_set()):
            await self._say_goodbye(ErrorCodes.NO_ERROR)
        if idle and self._left:
            await self.send(Closed())
        else:
            await self.send(Updated(idle=idle))

    def _hear_goodbye(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        """Note that the peer asks for no more; its answers still come (RFC 9113 §6.8)."""
        event = h2.events.ConnectionTerminated()
        event.error_code = frame.error_code
        return [], [event]

    async def _say_goodbye(self, code: ErrorCodes) -> None:
        """Send GOAWAY (RFC 9113 §6.8); what still comes is of no interest."""
        if not self._leaving:
            self._leaving = True
            with suppress(ProtocolError):
                self.connection.close_connection(code)
            await self._flush()

    def _finished(self, stream_id: int) -> None:
        """Note that nothing more comes of a request."""
        rest = self._unfinished.pop(stream_id, None)
        if rest is not None:
            rest.over.set()

    def _forget(self, stream_id: int) -> None:
        """Drop what a stream had to send."""
        buffer = self.stream_buffers.pop(stream_id, None)
        if buffer is not None:
            buffer.close()
            self.priority.remove_stream(stream_id)

    async def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Have a stream reset, unless it is closed; nothing of it is waited for any more."""
        self._finished(stream_id)
        with suppress(ProtocolError):
            self.connection.reset_stream(stream_id, code)
        await self.has_data.set()

    async def _open_window(self, size: int) -> None:
        """Have the peer told, now or a little later, that it may send so many bytes more."""
        self._credit += size
        if self._credit >= CREDIT:
            with suppress(ProtocolError):
                self.connection.increment_flow_control_window(self._credit)
            self._credit = 0
            await self.has_data.set()

    async def _acknowledge(self, stream_id: int, size: int) -> None:
        """Have the peer told that it may send so many bytes more on a stream."""
        if size and stream_id in self.connection.streams:
            with suppress(ProtocolError):
                self.connection.increment_flow_control_window(size, stream_id)
            await self.has_data.set()
