"""One client of a plain WebSocket, from its handshake to its end."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Final

import trio

from gbs_actor.auth import TokenSource
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.events import LineupEvents, TooManyConnections
from gbs_actor.gateway.format import PlainFormat
from gbs_actor.gateway.payloads import JoinRequest
from gbs_actor.gateway.peer import behind
from gbs_actor.gateway.plain import closing
from gbs_actor.gateway.plain.closing import Closing
from gbs_actor.gateway.plain.entrance import Entrance
from gbs_actor.gateway.plain.event import PlainEvent
from gbs_actor.gateway.plain.frame import Said, take_apart
from gbs_actor.gateway.replies import Failure
from gbs_actor.rooms import SinkStatistics, Snapshot
from gbs_actor.socketio import (
    Backlog,
    CloseCode,
    LiveChannel,
    Message,
    OnEnd,
    ProtocolViolation,
    ServerOptions,
    Timers,
    Transport,
)

_PING: Final = Message.ping()


class PlainConnection(LiveChannel):
    """The channel of one client; also its :class:`gbs_actor.gateway.peer.Peer`.

    :param entrance: what is known of it from its handshake.
    :param wire_format: shared by all plain connections.

    The other parameters are those of :class:`~gbs_actor.socketio.LiveChannel`.
    """

    __slots__ = ("_backlog", "_client", "_entrance", "_events", "_format")

    def __init__(
        self,
        transport: Transport,
        nursery: trio.Nursery,
        *,
        entrance: Entrance,
        events: LineupEvents,
        wire_format: PlainFormat,
        options: ServerOptions,
        timers: Timers,
        on_end: OnEnd,
    ) -> None:
        super().__init__(transport, nursery, options, on_end)
        self._entrance = entrance
        self._events = events
        self._format = wire_format
        self._backlog = Backlog(self, options)
        self._client: Connection | None = None
        if transport.pings:
            self.start_liveness(timers)

    # What the transport calls.

    def open(self) -> None:
        """Join the room, or close: a WebSocket tells more than the answer to its handshake."""
        who = self._entrance.who
        if isinstance(who, Closing):
            self.close(who.code, who.reason)
            return
        try:
            self._client = self._events.connect(self, who)
        except TooManyConnections:
            refused = closing.TOO_MANY_OF_USER
            self.close(refused.code, refused.reason)
        else:
            self._backlog.submit(partial(self._join, self._client))

    def _join(self, client: Connection) -> Awaitable[None]:
        return self._events.join(client, JoinRequest(self._entrance.slug), _Welcome(self))

    def receive_text(self, text: str) -> None:
        """Take an event."""
        if self._client is not None:
            said = take_apart(text)
            event = PlainEvent(said, self.outbox, self._backlog)
            self._backlog.submit_event(event, partial(self._handle, self._client, said, event))

    def _handle(self, client: Connection, said: Said, event: PlainEvent) -> Awaitable[None] | None:
        if self.reason is not None:
            return None
        if said.problem is None:
            return self._events.handle(client, event)
        self._events.reject(client, event, said.problem)
        return None

    def receive_binary(self, payload: bytes) -> None:
        """Close: nothing here is binary."""
        self.violated(
            ProtocolViolation("binary messages are not understood", CloseCode.UNSUPPORTED_DATA)
        )

    def receive_pong(self) -> None:
        """Take the answer to a ping."""
        self.pong_received()

    # As the client's peer.

    @property
    def format(self) -> PlainFormat:
        """The format shared with the other plain connections."""
        return self._format

    def deliver(self, message: Message) -> None:
        """Send now, or queue in the outbox; never blocks."""
        self.outbox.send(message)

    def tell(self, event: str, payload: bytes) -> None:
        """Send an event."""
        self.outbox.send(self._format.event(event, payload))

    def send_list(self, snapshot: Snapshot) -> None:
        """Send a room's rows as event ``initial-data``."""
        self.outbox.send(self._format.initial_data(snapshot))

    def end_expired(self, source: TokenSource) -> None:
        """End the connection as its token's time is over."""
        self.close(closing.EXPIRED.code, closing.EXPIRED.reason)

    def statistics(self) -> SinkStatistics:
        """Return how far behind the outbox is."""
        return behind(self.outbox.statistics())

    # Back-pressure, heartbeat, end.

    @property
    def backlogged(self) -> bool:
        """Whether so much is unanswered that nothing more should be read."""
        return self._backlog.full

    @property
    def ping_message(self) -> Message:
        """A WebSocket ping (RFC 6455 §5.5.2)."""
        return _PING

    async def run_disconnect_handlers(self) -> None:
        """Leave the room, once whatever still runs for this client has ended."""
        await self._backlog.stop()
        client, self._client = self._client, None
        if client is not None:
            self._events.disconnected(client)

    def __repr__(self) -> str:
        return f"<PlainConnection to {self._entrance.slug!r}>"


class _Welcome:
    """The answer to the join that connecting is: the list, or the end of the connection."""

    __slots__ = ("_connection", "given")

    def __init__(self, connection: PlainConnection) -> None:
        self._connection = connection
        self.given = False
        """Whether the answer was given."""

    def joined(self, snapshot: Snapshot) -> None:
        """Send the rows."""
        self.given = True
        self._connection.send_list(snapshot)

    def failed(self, failure: Failure) -> None:
        """Close."""
        self.given = True
        refused = closing.for_failure(failure)
        self._connection.close(refused.code, refused.reason)
