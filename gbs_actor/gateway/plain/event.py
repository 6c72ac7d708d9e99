"""An event of a plain WebSocket."""

from __future__ import annotations

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.gateway import replies
from gbs_actor.gateway.plain.frame import Said
from gbs_actor.rooms import Snapshot
from gbs_actor.socketio import Backlog, Message, Outbox


class PlainEvent:
    """Implements :class:`gbs_actor.gateway.peer.ClientEvent`.

    As long as anybody holds it, it counts against its client.
    """

    __slots__ = ("_answered", "_backlog", "_outbox", "_said")

    def __init__(self, said: Said, outbox: Outbox, backlog: Backlog) -> None:
        self._said = said
        self._outbox = outbox
        self._backlog = backlog
        self._answered = False
        backlog.hold(said.size)
        if self.wants_answer:
            backlog.expect_answer()

    @property
    def name(self) -> str:
        """The event's name."""
        return self._said.name

    @property
    def wants_answer(self) -> bool:
        """Whether it has an id."""
        return self._said.id is not None

    def argument(self) -> bytes:
        """Return the JSON of its data.

        :raises InvalidPayload: there are none.
        """
        if self._said.data is None:
            raise InvalidPayload("data", f"{self.name} takes data.")
        return self._said.data

    def answer_joined(self, snapshot: Snapshot) -> None:
        """Send the answer to a join; its clients choose their ids, so it is one of its own."""
        self.answer(replies.joined(snapshot))

    def answer(self, json: bytes) -> None:
        """Send the answer, under the event's id.

        :param json: an object with members.
        """
        assert self._said.id is not None
        self._outbox.send(Message.bare(b'{"id":%b,%b' % (self._said.id, json[1:])))
        self._answered = True
        self._backlog.release()

    def __del__(self) -> None:
        if self.wants_answer and not self._answered:
            self._backlog.release()  # nobody is left who could answer it
        self._backlog.forget(self._said.size)
