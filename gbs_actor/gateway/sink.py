"""A Socket.IO socket as the place where a room's messages go."""

from __future__ import annotations

from gbs_actor.gateway.format import SocketIOFormat
from gbs_actor.rooms.delivery import SinkStatistics
from gbs_actor.socketio import Message, Socket


class SocketSink:
    """Implements :class:`gbs_actor.rooms.delivery.Sink` over one socket.

    :param wire_format: shared by all sinks of the namespace: what it encodes for one of
        them is delivered to all of them as the same bytes.
    """

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

    def abort(self) -> None:
        """End the connection at once."""
        self._socket.abort()

    def statistics(self) -> SinkStatistics:
        """Return how far behind the socket's outbox is."""
        outbox = self._socket.statistics()
        return SinkStatistics(
            queued=outbox.queued,
            queued_bytes=outbox.queued_bytes,
            conflated=outbox.conflated,
            behind_for=outbox.behind_for,
        )
