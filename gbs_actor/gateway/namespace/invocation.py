"""An event of a socket, with its acknowledgement."""

from __future__ import annotations

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.rooms import Snapshot
from gbs_actor.socketio import Event


class SocketInvocation(Invocation):
    """Implements :class:`~gbs_actor.gateway.invocation.Invocation` for Socket.IO."""

    __slots__ = ("_event",)

    def __init__(self, peer: Peer, event: Event) -> None:
        super().__init__(peer)
        self._event = event

    @property
    def name(self) -> str:
        """The event's name."""
        return self._event.name

    @property
    def wants_reply(self) -> bool:
        """Whether the client asked for an acknowledgement."""
        return self._event.wants_ack

    def argument(self) -> bytes:
        """Return the JSON of the event's first argument; further ones are ignored.

        :raises InvalidPayload: there is none, or it cannot be separated from the rest.
        """
        event = self._event
        if event.args_error is not None:
            raise InvalidPayload("", f"The payload cannot be read: {event.args_error}.")
        first = event.first
        if first is None:
            raise InvalidPayload("", f"{event.name} takes an argument.")
        return first

    def _send(self, json: bytes) -> None:
        self._event.reply_raw(json)

    def _send_joined(self, snapshot: Snapshot) -> None:
        # One message for all clients that wait for it under the same ack id.
        acks = snapshot.written(SocketInvocation, lambda _: {})
        self._event.reply_shared(replies.joined(snapshot), acks)
