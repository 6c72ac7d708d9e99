"""The one answer that an event gets."""

from __future__ import annotations

from gbs_actor.gateway import replies
from gbs_actor.gateway.replies import Failure
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot
from gbs_actor.socketio import Event, Message, Socket

SHOWN_NAME_LENGTH = 100
"""Characters of an event's name that an error repeats to its sender."""


class Answer:
    """Answers one event, by its ack or, where none was asked for, by an event.

    Errors then go out as event ``error``, and a join's rows as ``initial-data``. Exactly
    one of the methods is called, once, at the answer's place in what goes out on the
    connection; on a connection that has ended they do nothing.
    """

    __slots__ = ("_event", "_socket", "given")

    def __init__(self, socket: Socket, event: Event) -> None:
        self._socket = socket
        self._event = event
        self.given = False
        """Whether the answer was given."""

    def joined(self, snapshot: Snapshot) -> None:
        """Answer a join."""
        self.given = True
        if self._event.wants_ack:
            self._event.reply_raw(replies.joined(snapshot))
        else:
            self._deliver("initial-data", snapshot.rows)

    def accepted(self, outcome: Accepted) -> None:
        """Answer a mutation that took effect; without an ack the update itself says so."""
        self.given = True
        if self._event.wants_ack:
            self._event.reply_raw(replies.accepted(outcome))

    def done(self, outcome: Done) -> None:
        """Answer what has nothing to give back."""
        self.given = True
        if self._event.wants_ack:
            self._event.reply_raw(replies.done(outcome))

    def failed(self, failure: Failure) -> None:
        """Answer what was not done."""
        self.given = True
        name = self._event.name[:SHOWN_NAME_LENGTH]
        if self._event.wants_ack:
            self._event.reply_raw(replies.failed(name, failure))
        else:
            self._deliver("error", replies.error_event(name, failure))

    def _deliver(self, event: str, payload: bytes) -> None:
        self._socket.deliver(Message.raw_event(self._socket.namespace.name, event, payload))
