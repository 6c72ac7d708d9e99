"""An event of a plain WebSocket."""

from __future__ import annotations

from gbs_actor.gateway import replies
from gbs_actor.gateway.payloads import InvalidPayload
from gbs_actor.gateway.plain.frame import Said
from gbs_actor.rooms import Snapshot
from gbs_actor.socketio import Backlog, BacklogEvent, Message, Outbox


class PlainEvent(BacklogEvent):
    """Implements :class:`gbs_actor.gateway.peer.ClientEvent`.

    Its data are there until its handler has ended.
    """

    __slots__ = ("_data", "_id", "_outbox", "name")

    def __init__(self, said: Said, outbox: Outbox, backlog: Backlog) -> None:
        super().__init__(backlog, said.size, wants_ack=said.id is not None)
        self.name = said.name
        self._id = said.id
        self._data = said.data
        self._outbox = outbox

    @property
    def wants_answer(self) -> bool:
        """Whether it has an id."""
        return self.wants_ack

    def argument(self) -> bytes:
        """Return the JSON of its data.

        :raises InvalidPayload: there are none.
        """
        if self._data is None:
            raise InvalidPayload("data", f"{self.name} takes data.")
        return self._data

    def answer_joined(self, snapshot: Snapshot) -> None:
        """Send the answer to a join; its clients choose their ids, so it is one of its own."""
        self.answer(replies.joined(snapshot))

    def answer(self, json: bytes) -> None:
        """Send the answer, under the event's id.

        :param json: an object with members.
        """
        assert self._id is not None
        self._outbox.send(Message(b'{"id":%b,%b' % (self._id, json[1:])))
        self.release()

    def _drop(self) -> int:
        self._data = None
        return len(self.name) + len(self._id or b"")
