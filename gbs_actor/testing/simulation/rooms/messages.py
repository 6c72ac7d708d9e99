"""What a room sends to a simulated client, decoded: the formats of both forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gbs_actor.contract.events import ServerEvent
from gbs_actor.rooms import Editing, EncodedRow, PartsUpdate, Presence

_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Message:
    """An event to a client."""

    event: str
    payload: Any
    revision: int
    """The client may come back with it after this message."""
    slot: object
    """A newer message of the same slot replaces it while it waits."""
    update: PartsUpdate | None = None
    """What can be divided if it does not go out at once."""
    _parts: list[Message] = field(default_factory=list, compare=False, repr=False)
    """The parts, once it was divided for anybody."""

    def divided(self) -> Sequence[Message]:
        """Return the messages that wait in its place."""
        if self.update is None:
            return (self,)
        if not self._parts:
            for part in self.update.divided():
                payload = _decode(part.json())
                self._parts.append(Message(self.event, payload, part.revision, ("part", part.key)))
        return self._parts


@dataclass(frozen=True, slots=True)
class Bundle:
    """Messages that go out together."""

    messages: tuple[Message, ...]


class RowsFormat:
    """Implements :class:`~gbs_actor.rooms.Format` for clients that get rows one by one."""

    batched = False
    repeats_recent = True

    def update(self, row: EncodedRow) -> Message:
        """See :class:`~gbs_actor.rooms.Format`."""
        slot = ("row", row.id)
        return Message(ServerEvent.LINEUP_UPDATED, _decode(row.json), row.revision, slot)

    def lineups(self, update: PartsUpdate) -> Message:
        """See :class:`~gbs_actor.rooms.Format`."""
        payload = _decode(update.json())
        return Message(ServerEvent.LINEUPS_UPDATED, payload, update.revision, None, update)

    def bundle(self, updates: Sequence[Message]) -> Bundle:
        """See :class:`~gbs_actor.rooms.Format`."""
        return Bundle(tuple(updates))

    def cut(self, bundle: Bundle, start: int, end: int) -> Bundle:
        """See :class:`~gbs_actor.rooms.Format`."""
        return Bundle(bundle.messages[start:end])

    def presence(self, presence: Presence, revision: int) -> Message:
        """See :class:`~gbs_actor.rooms.Format`."""
        payload = msgspec.to_builtins(presence)
        return Message(ServerEvent.ROOM_PRESENCE, payload, revision, "presence")

    def editing(self, editing: Editing, mark: int, revision: int) -> Message:
        """See :class:`~gbs_actor.rooms.Format`."""
        slot = ("editing", mark, editing.lineup_id, editing.field)
        return Message(ServerEvent.USER_EDITING, msgspec.to_builtins(editing), revision, slot)


class BatchFormat(RowsFormat):
    """The same for clients in the batch form."""

    batched = True
    repeats_recent = False


FORMATS: Final = {"rows": RowsFormat(), "batch": BatchFormat()}
"""By form; rooms compare formats by identity."""
