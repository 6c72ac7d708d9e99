"""The Socket.IO writing of a room's messages, shared by every socket of the namespace."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gbs_actor.rooms.delivery import Editing, EncodedRow, Presence
from gbs_actor.socketio import Message


class SocketIOFormat:
    """Implements :class:`gbs_actor.rooms.delivery.Format` for one Socket.IO namespace.

    A message's key is the slot it occupies while it waits in an outbox: of a row, of the
    room's presence and of each author's editing mark only the latest state waits.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def update(self, row: EncodedRow) -> Message:
        """Encode a changed row as ``lineup-updated``."""
        return Message.raw_event(self._namespace, "lineup-updated", row.json, key=("row", row.id))

    def bundle(self, updates: Sequence[Message]) -> Message:
        """Join updates into one buffer."""
        return Message.bundle(updates)

    def presence(self, presence: Presence) -> Message:
        """Encode who is in the room as ``room-presence``."""
        payload = msgspec.json.encode(presence)
        return Message.raw_event(self._namespace, "room-presence", payload, key=("presence",))

    def editing(self, editing: Editing, mark: int) -> Message:
        """Encode an editing mark as ``user-editing``."""
        payload = msgspec.json.encode(editing)
        return Message.raw_event(self._namespace, "user-editing", payload, key=("editing", mark))
