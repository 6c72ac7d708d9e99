"""What other servers are sent of the rooms here: who is in them, and what they edit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from gbs_actor.bus import Bus
from gbs_actor.bus.presence import (
    MAX_MARKS,
    MAX_NAME,
    MAX_USERS,
    ConnectionMark,
    Mark,
    People,
    Person,
)
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.presence import Editor, MarkChange, people_here
from gbs_actor.rooms.subscriber import Subscriber

INTERVAL: Final = 2.0
"""Seconds between two messages about who is in a room, at least."""
ANSWER_INTERVAL: Final = 0.5
"""The same where another server asks."""
MAX_ABSENT: Final = 10_000
"""Rooms that are not here and were asked for, at most, until that is sent; further ones are asked
for again."""


@dataclass(slots=True, eq=False)
class _Room:
    retreat_id: int
    handle: RoomHandle
    sent: People
    """What the others were sent last."""
    sent_at: float = -inf
    asked: bool = False
    """Whether it is to be sent even if it has not changed, and all marks as well."""
    editors: dict[int, Editor] = field(default_factory=dict)
    """Whose marks the others were sent."""

    @property
    def due(self) -> float:
        return self.sent_at + (ANSWER_INTERVAL if self.asked else INTERVAL)

    def people(self) -> People:
        """Return who is in the room now."""
        users = people_here(self.handle.subscribers)
        marks = self.handle.marks
        return People(
            self.retreat_id,
            len(users),
            tuple(Person(id_, name[:MAX_NAME], count) for id_, name, count in users[:MAX_USERS]),
            tuple(
                number
                for number, editor in self.editors.items()
                if marks.edited_field(editor) is not None
            ),
        )

    def mark(self, number: int) -> ConnectionMark:
        """Return the mark of a connection now."""
        editor = self.editors[number]
        edited = self.handle.marks.edited_field(editor)
        if edited is None:
            return ConnectionMark(self.retreat_id, number)
        author = editor.author
        mark = Mark(
            edited.lineup_id,
            edited.field,
            author.user_id,
            author.admin_user_id,
            author.name[:MAX_NAME],
        )
        return ConnectionMark(self.retreat_id, number, mark)


class Announcements:
    """Sends what is new of each room, not too often, and all of it where another server asks.

    Of many rooms that goes in parts, as the bus has sent the former ones.

    :param bus: to all other servers.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._send = bus.send
        self._rooms: dict[str, _Room] = {}
        self._by_id: dict[int, _Room] = {}
        self._changed: dict[_Room, None] = {}
        self._absent: dict[int, None] = {}
        """Retreats that were asked for, and had no room."""

    @property
    def retreat_ids(self) -> Iterable[int]:
        """The retreats whose rooms are open, and have run."""
        return self._by_id.keys()

    def room(self, retreat_id: int) -> RoomHandle | None:
        """Return the room of a retreat, if it is open."""
        room = self._by_id.get(retreat_id)
        return None if room is None else room.handle

    def rooms(self) -> Iterator[RoomHandle]:
        """Return the rooms that are open."""
        for room in self._by_id.values():
            yield room.handle

    def open(self, retreat_id: int, handle: RoomHandle) -> None:
        """Send who is in a room from now on; it may run again."""
        known = self._rooms.get(handle.slug)
        if known is not None and (known.retreat_id, known.handle) == (retreat_id, handle):
            return
        self.close(handle.slug)
        room = _Room(retreat_id, handle, People(retreat_id))
        self._rooms[handle.slug] = self._by_id[retreat_id] = room
        self._changed[room] = None

    def close(self, slug: str) -> int | None:
        """Send that nobody is in a room, which has ended; return its retreat if it was open."""
        room = self._rooms.pop(slug, None)
        if room is None:
            return None
        if self._by_id.get(room.retreat_id) is room:  # a retreat may have got another slug
            del self._by_id[room.retreat_id]
        self._changed.pop(room, None)
        if room.sent.total or room.editors:
            self._send(People(room.retreat_id))
        return room.retreat_id

    def change(self, slug: str) -> None:
        """Send who is in a room as soon as it is time, if that has changed."""
        room = self._rooms.get(slug)
        if room is not None:
            self._changed[room] = None

    def ask(self, retreat_ids: Iterable[int]) -> None:
        """Send who is in rooms as soon as it is time, even if there are none."""
        for retreat_id in retreat_ids:
            room = self._by_id.get(retreat_id)
            if room is not None:
                room.asked = True
                self._changed[room] = None
            elif len(self._absent) < MAX_ABSENT:
                self._absent[retreat_id] = None

    def send_marks(self, slug: str, changes: Iterable[MarkChange]) -> None:
        """Send what those in a room are sent of marks; those of other servers are left out."""
        room = self._rooms.get(slug)
        if room is None:
            return
        for change in changes:
            editor = change.editor
            if not isinstance(editor, Subscriber):
                continue
            known = editor.number in room.editors
            if change.edited_field is not None and (known or len(room.editors) < MAX_MARKS):
                room.editors[editor.number] = editor
                self._send(room.mark(editor.number))
            elif change.edited_field is None and known:
                self._send(room.mark(editor.number))
                del room.editors[editor.number]

    def due(self) -> float:
        """Return the Trio time at which :meth:`send_due` has something to do (``inf``: never)."""
        return -inf if self._absent else min((room.due for room in self._changed), default=inf)

    def send_due(self, now: float) -> None:
        """Send what is due, or the first part of it."""
        while self._absent and not self._bus.congested:
            retreat_id = next(iter(self._absent))
            del self._absent[retreat_id]
            if retreat_id in self._by_id:
                self.ask((retreat_id,))  # it has been opened meanwhile
            else:
                self._send(People(retreat_id))
        for room in [room for room in self._changed if room.due <= now]:
            if self._bus.congested:
                return
            del self._changed[room]
            people = room.people()
            if room.asked or (people.total, people.users) != (room.sent.total, room.sent.users):
                room.sent, room.sent_at = people, now
                self._send(people)
            if room.asked:
                room.asked = False
                for number in people.marked:
                    self._send(room.mark(number))
