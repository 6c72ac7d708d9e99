"""An event of a socket, with its acknowledgement."""

from __future__ import annotations

from collections import Counter

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.rooms import Snapshot
from gbs_actor.socketio import Event


class SocketInvocation(Invocation):
    """Implements :class:`~gbs_actor.gateway.invocation.Invocation` for Socket.IO."""

    __slots__ = ("_event",)

    def __init__(self, peer: Peer, event: Event, errors: Counter[str]) -> None:
        # super() costs
        Invocation.__init__(self, peer, event.name, event.wants_ack, event.received_at, errors)
        self._event = event

    def argument(self) -> bytes:
        """Return the JSON of the event's first argument; further ones are ignored.

        :raises InvalidPayload: there is none, or it cannot be separated from the rest.
        """
        first = self._event.first
        if first is not None:
            return first
        if self._event.args_error is not None:
            raise InvalidPayload("", f"The payload cannot be read: {self._event.args_error}.")
        raise InvalidPayload("", f"{self.name} takes an argument.")

    def _send(self, json: bytes) -> None:
        self._event.reply_raw(json)

    def _send_joined(self, snapshot: Snapshot) -> None:
        # One message for all clients that wait for it under the same ack id.
        acks = snapshot.written(SocketInvocation, lambda _: {})
        self._event.reply_shared(replies.joined(snapshot), acks)
