"""Encodes a room's messages, once for all clients of the same protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from functools import partial

import msgspec

from gbs_actor.contract.events import ServerEvent
from gbs_actor.rooms.delivery import Editing, Presence, Snapshot
from gbs_actor.rooms.encoded import EncodedRow, PartsUpdate
from gbs_actor.socketio import DivisibleMessage, Message


class EventFormat(ABC):
    """Implements :class:`gbs_actor.rooms.delivery.Format`; one object a protocol and form.

    A room's rows are encoded once for all clients that join between two changes.

    A message's key is its slot in an outbox: only the latest state of a row, of the room's
    presence, and of an author's editing mark at one field is queued.

    :param batched: for clients in the batch form.
    """

    __slots__ = ("batched",)

    repeats_recent = False
    """See :class:`gbs_actor.rooms.delivery.Format`."""

    def __init__(self, *, batched: bool = False) -> None:
        self.batched = batched
        """See :class:`gbs_actor.rooms.delivery.Format`."""

    @abstractmethod
    def event(self, name: str, payload: bytes, key: Hashable | None = None) -> Message:
        """Encode an event.

        :param payload: JSON.
        :param key: the slot it occupies; ``None``: one of its own.
        """

    def stamped(self, name: str, payload: bytes, key: Hashable | None, revision: int) -> Message:
        """Encode an event of a room; most formats leave its revision out."""
        return self.event(name, payload, key)

    def initial_data(self, snapshot: Snapshot) -> Message:
        """Encode a room's rows as ``initial-data``; the same message for all clients."""
        message: Message = snapshot.written(self, self._initial_data)
        return message

    def _initial_data(self, snapshot: Snapshot) -> Message:
        return self.stamped(ServerEvent.INITIAL_DATA, snapshot.rows, None, snapshot.revision)

    def update(self, row: EncodedRow) -> Message:
        """Encode a changed row as ``lineup-updated``."""
        key = ("row", row.id)
        return self.stamped(ServerEvent.LINEUP_UPDATED, row.json, key, row.revision)

    def lineups(self, update: PartsUpdate) -> Message:
        """Encode changed rows and groups as ``lineups-updated``, or as one for each of them."""
        whole = self._lineups(update, None)
        return DivisibleMessage(whole.text, partial(self._divide, update))

    def _divide(self, update: PartsUpdate) -> list[Message]:
        return [self._lineups(part, part.key) for part in update.divided()]

    def _lineups(self, update: PartsUpdate, key: Hashable | None) -> Message:
        payload = update.json()
        return self.stamped(ServerEvent.LINEUPS_UPDATED, payload, key, update.revision)

    def bundle(self, updates: Sequence[Message]) -> Message:
        """Join messages into one buffer."""
        return Message.bundle(updates)

    def cut(self, bundle: Message, start: int, end: int) -> Message:
        """Return some messages of a bundle as one."""
        return bundle.cut(start, end)

    def presence(self, presence: Presence, revision: int) -> Message:
        """Encode who is in the room as ``room-presence``."""
        payload = msgspec.json.encode(presence)
        return self.stamped(ServerEvent.ROOM_PRESENCE, payload, ("presence",), revision)

    def editing(self, editing: Editing, mark: int, revision: int) -> Message:
        """Encode an editing mark as ``user-editing``."""
        payload = msgspec.json.encode(editing)
        # A mark that moves ends at its former field: that must not be lost to the next.
        key = ("editing", mark, editing.lineup_id, editing.field)
        return self.stamped(ServerEvent.USER_EDITING, payload, key, revision)
