"""A client of the Socket.IO namespace."""

from __future__ import annotations

from gbs_actor.auth import TokenSource
from gbs_actor.gateway import replies
from gbs_actor.gateway.format import RecoverableFormat, SocketIOFormat
from gbs_actor.gateway.namespace.offset import OUTSIDE
from gbs_actor.gateway.payloads import InvalidPayload
from gbs_actor.gateway.peer import behind
from gbs_actor.rooms import SinkStatistics, Snapshot, Subscriber
from gbs_actor.socketio import CloseCode, Event, Message, Socket


class SocketPeer:
    """Implements :class:`gbs_actor.gateway.peer.Peer` over one socket.

    :param wire_format: shared by all sockets of the namespace: what it encodes for one of
        them is delivered to all of them as the same bytes.
    """

    __slots__ = ("_format", "_socket")

    def __init__(self, socket: Socket, wire_format: SocketIOFormat) -> None:
        self._socket = socket
        self._format = wire_format

    @property
    def format(self) -> SocketIOFormat:
        """The format shared with the other sockets of the namespace."""
        return self._format

    def deliver(self, message: Message) -> None:
        """Send now, or queue in the socket's outbox; never blocks."""
        self._socket.deliver(message)

    def tell(self, event: str, payload: bytes) -> None:
        """Send an event."""
        self._socket.deliver(self._format.event(event, payload))

    def send_list(self, snapshot: Snapshot) -> None:
        """Send a room's rows as event ``initial-data``."""
        self._socket.deliver(self._format.initial_data(snapshot))

    def end_expired(self, source: TokenSource) -> None:
        """End the connection as its token's time is over; see :class:`Peer`."""
        if source is TokenSource.COOKIE:
            # The page cannot renew a cookie by itself, and a namespace disconnect would
            # leave it dead for good. It comes back with the cookie the browser has by
            # then: a newer one, or it learns TOKEN_EXPIRED as its connect_error.
            self._socket.close_transport(CloseCode.SERVICE_RESTART, "token expired")
        else:
            self._socket.disconnect()

    def abort(self) -> None:
        """End the connection at once."""
        self._socket.abort()

    def statistics(self) -> SinkStatistics:
        """Return how far behind the socket's outbox is."""
        return behind(self._socket.statistics())


class RecoverablePeer(SocketPeer):
    """A client that may come back: all that it is sent without an ack ends with an offset."""

    __slots__ = ("_stamped", "subscriber")

    def __init__(self, socket: Socket, wire_format: RecoverableFormat) -> None:
        super().__init__(socket, wire_format)
        self._stamped = wire_format
        self.subscriber: Subscriber | None = None
        """Knows how far the client has followed its room."""

    def tell(self, event: str, payload: bytes) -> None:
        """Send an event."""
        revision, subscriber = OUTSIDE, self.subscriber
        if subscriber is not None:
            if subscriber.room_slug is None:
                subscriber.known_elsewhere = max(subscriber.known_elsewhere, OUTSIDE)
            else:
                revision = subscriber.sent_revision
        self.deliver(self._stamped.stamped(event, payload, None, revision))


class SocketEvent:
    """Implements :class:`gbs_actor.gateway.peer.ClientEvent` over an event of a socket."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    @property
    def name(self) -> str:
        """The event's name."""
        return self._event.name

    @property
    def wants_answer(self) -> bool:
        """Whether the client asked for an acknowledgement."""
        return self._event.wants_ack

    def argument(self) -> bytes:
        """Return the JSON of the event's first argument; further ones are ignored.

        :raises InvalidPayload: there is none, or it cannot be told from the rest.
        """
        event = self._event
        if event.args_error is not None:
            raise InvalidPayload("", f"The payload cannot be read: {event.args_error}.")
        first = event.first
        if first is None:
            raise InvalidPayload("", f"{event.name} takes an argument.")
        return first

    def answer_joined(self, snapshot: Snapshot) -> None:
        """Acknowledge a join, with one message for all who wait for it alike."""
        acks = snapshot.written(SocketEvent, lambda _: {})
        self._event.reply_shared(replies.joined(snapshot), acks)

    def answer(self, json: bytes) -> None:
        """Acknowledge the event."""
        self._event.reply_raw(json)
