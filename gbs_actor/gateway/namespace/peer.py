"""How rooms send to the clients of the Socket.IO namespace."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from gbs_actor.auth import AuthErrorCode, TokenSource
from gbs_actor.gateway.client import ClientTracer, sink_statistics
from gbs_actor.gateway.format import EventFormat
from gbs_actor.gateway.namespace.recoverable_session import OUTSIDE
from gbs_actor.gateway.namespace.tracer import SocketTracer
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import SinkStatistics, Snapshot, Subscriber
from gbs_actor.socketio import CloseCode, Message, Outbox, Socket, encode_raw_event


class SocketIOFormat(EventFormat):
    """Encodes for the sockets of one Socket.IO namespace."""

    __slots__ = ("_namespace", "repeats_recent")

    def __init__(self, namespace: str, *, batched: bool = False) -> None:
        super().__init__(batched=batched)
        self._namespace = namespace
        # The page in use loads its list over HTTP and ignores that of the join.
        self.repeats_recent = not batched

    def event(self, name: str, payload: bytes, key: Hashable | None = None) -> Message:
        """Encode an event as an EVENT packet; see :class:`EventFormat`."""
        return encode_raw_event(self._namespace, name, payload, key)


class RecoverableFormat(SocketIOFormat):
    """Encodes for those of the namespace's sockets whose sessions are recoverable.

    Every event to them ends with an offset, which the client sends when it reconnects: the
    revision up to which it was sent everything.
    """

    __slots__ = ()

    def stamped(self, name: str, payload: bytes, key: Hashable | None, revision: int) -> Message:
        """Encode an event with its offset."""
        return encode_raw_event(self._namespace, name, payload, key, offset=str(revision))


class SocketPeer:
    """Implements :class:`gbs_actor.gateway.client.Peer` over one socket.

    :param wire_format: shared by all sockets of the namespace, so that all of them are sent
        the same bytes.
    """

    __slots__ = ("_format", "_socket")

    protocol: ClassVar[str] = "socket.io"

    def __init__(self, socket: Socket, wire_format: SocketIOFormat) -> None:
        self._socket = socket
        self._format = wire_format

    @property
    def format(self) -> SocketIOFormat:
        """The format shared with the other sockets of the namespace."""
        return self._format

    @property
    def outbox(self) -> Outbox:
        """The queue of the socket's connection."""
        return self._socket.outbox

    @property
    def address(self) -> str | None:
        """See :class:`~gbs_actor.gateway.client.Peer`."""
        return self._socket.session.handshake.remote_address

    @property
    def user_agent(self) -> str | None:
        """See :class:`~gbs_actor.gateway.client.Peer`."""
        return self._socket.session.handshake.headers.get("user-agent")

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last ping of the socket's session to its pong, or ``None``."""
        return self._socket.session.round_trip

    def trace(self, tracer: ClientTracer | None) -> None:
        """Report the socket's events; see :class:`~gbs_actor.gateway.client.Peer`."""
        self._socket.trace(None if tracer is None else SocketTracer(tracer))

    def deliver(self, message: Message) -> None:
        """Send now, or queue in the socket's outbox; never blocks."""
        self._socket.deliver(message)

    def hold(self) -> None:
        """Hold back what is sent on the socket's connection, up to :meth:`release`."""
        self._socket.outbox.hold()

    def release(self) -> None:
        """Send what was held back, by one write if possible."""
        self._socket.outbox.release()

    def send_event(self, name: str, payload: bytes) -> None:
        """Send an event."""
        self._socket.deliver(self._format.event(name, payload))

    def send_list(self, snapshot: Snapshot) -> None:
        """Send a room's rows as event ``initial-data``."""
        self._socket.deliver(self._format.initial_data(snapshot))

    def close_expired(self, source: TokenSource) -> None:
        """Close the connection as its token has expired; see :class:`Peer`."""
        if source is TokenSource.COOKIE:
            # The page cannot renew a cookie by itself, and after a namespace disconnect it
            # would not reconnect. So it reconnects with the cookie that the browser has by
            # then: a newer one, or it gets TOKEN_EXPIRED as its connect_error.
            self._socket.close_transport(CloseCode.SERVICE_RESTART, AuthErrorCode.TOKEN_EXPIRED)
        else:
            self._socket.disconnect()

    def close_forbidden(self) -> None:
        """Disconnect the client from the namespace; it does not reconnect by itself."""
        self._socket.disconnect()

    def close_restarting(self) -> None:
        """Close the connection; the client comes back with a back-off."""
        self._socket.close_transport(CloseCode.SERVICE_RESTART, Code.ROOM_RESTARTED)

    def abort(self) -> None:
        """End the connection at once."""
        self._socket.abort()

    def statistics(self) -> SinkStatistics:
        """Return how far behind the socket's outbox is."""
        socket = self._socket
        return sink_statistics(
            socket.statistics(),
            self.protocol,
            transport=socket.transport,
            round_trip=self.round_trip,
        )


class RecoverablePeer(SocketPeer):
    """A client that can resume: every event to it ends with an offset."""

    __slots__ = ("_stamped", "subscriber")

    def __init__(self, socket: Socket, wire_format: RecoverableFormat) -> None:
        super().__init__(socket, wire_format)
        self._stamped = wire_format
        self.subscriber: Subscriber | None = None
        """The subscriber; has the revision up to which the client was sent everything."""

    def send_event(self, name: str, payload: bytes) -> None:
        """Send an event."""
        revision, subscriber = OUTSIDE, self.subscriber
        if subscriber is not None:
            if subscriber.room_slug is None:
                subscriber.known_elsewhere = max(subscriber.known_elsewhere, OUTSIDE)
            else:
                revision = subscriber.sent_revision
        self.deliver(self._stamped.stamped(name, payload, None, revision))
