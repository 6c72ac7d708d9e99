"""How a room's messages are written, once for all clients that speak the same protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Literal

import msgspec
from msgspec import Raw

from gbs_actor.rooms.delivery import Editing, EncodedRow, Presence, Snapshot
from gbs_actor.socketio import Message, encode_raw_event


class EventFormat(ABC):
    """Implements :class:`gbs_actor.rooms.delivery.Format`; one object a protocol.

    A room's rows are written once for all who join it in between two changes.

    A message's key is the slot it occupies while it waits in an outbox: of a row, of the
    room's presence, and of an author's editing mark at one place, only the latest state waits.
    """

    __slots__ = ()

    @abstractmethod
    def event(self, name: str, payload: bytes, key: Hashable | None = None) -> Message:
        """Encode an event.

        :param payload: JSON.
        :param key: the slot it occupies; ``None``: one of its own.
        """

    def stamped(self, name: str, payload: bytes, key: Hashable | None, revision: int) -> Message:
        """Encode an event of a room; most clients are not told of what revision it is."""
        return self.event(name, payload, key)

    def initial_data(self, snapshot: Snapshot) -> Message:
        """Encode a room's rows as ``initial-data``; the same message for all who get them."""
        message: Message = snapshot.written(self, self._initial_data)
        return message

    def _initial_data(self, snapshot: Snapshot) -> Message:
        return self.stamped("initial-data", snapshot.rows, None, snapshot.revision)

    def update(self, row: EncodedRow) -> Message:
        """Encode a changed row as ``lineup-updated``."""
        return self.stamped("lineup-updated", row.json, ("row", row.id), row.revision)

    def bundle(self, updates: Sequence[Message]) -> Message:
        """Join messages into one buffer."""
        return Message.bundle(updates)

    def presence(self, presence: Presence, revision: int) -> Message:
        """Encode who is in the room as ``room-presence``."""
        payload = msgspec.json.encode(presence)
        return self.stamped("room-presence", payload, ("presence",), revision)

    def editing(self, editing: Editing, mark: int, revision: int) -> Message:
        """Encode an editing mark as ``user-editing``."""
        payload = msgspec.json.encode(editing)
        # A mark that moves ends at its former place: that word must not be lost to the next.
        slot = ("editing", mark, editing.lineup_id, editing.field)
        return self.stamped("user-editing", payload, slot, revision)


class _InitialData(msgspec.Struct, frozen=True):
    event: Literal["initial-data"]
    data: Raw
    revision: int
    epoch: str
    full: bool


class PlainFormat(EventFormat):
    """Writes for plain WebSockets: ``{"event": name, "data": …}`` in a text frame."""

    __slots__ = ()

    def event(self, name: str, payload: bytes, key: Hashable | None = None) -> Message:
        """Encode an event; see :class:`EventFormat`."""
        return Message(b'{"event":%b,"data":%b}' % (msgspec.json.encode(name), payload), key=key)

    def _initial_data(self, snapshot: Snapshot) -> Message:
        # Beside the rows what a client needs to ask for less later.
        rows, revision = Raw(snapshot.rows), snapshot.revision
        frame = _InitialData("initial-data", rows, revision, snapshot.epoch, snapshot.full)
        return Message(msgspec.json.encode(frame))


class SocketIOFormat(EventFormat):
    """Writes for the sockets of one Socket.IO namespace."""

    __slots__ = ("_namespace",)

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def event(self, name: str, payload: bytes, key: Hashable | None = None) -> Message:
        """Encode an event as an EVENT packet; see :class:`EventFormat`."""
        return encode_raw_event(self._namespace, name, payload, key)


class RecoverableFormat(SocketIOFormat):
    """Writes for those of the namespace's sockets whose sessions can be come back to.

    Their every event ends with an offset, which the client shows when it comes back: the
    revision up to which it has been sent everything.
    """

    __slots__ = ()

    def stamped(self, name: str, payload: bytes, key: Hashable | None, revision: int) -> Message:
        """Encode an event with its offset."""
        return encode_raw_event(self._namespace, name, payload, key, offset=str(revision))
