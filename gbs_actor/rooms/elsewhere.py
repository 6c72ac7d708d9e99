"""Who is in a room on other servers, and what they are editing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from gbs_actor.bus.presence import MAX_MARKS, ConnectionMark, Mark, People
from gbs_actor.lineup.commands import Author
from gbs_actor.rooms.presence import EditingMarks, MarkChange


class OtherServers(Protocol):
    """The other servers on the store, as a room reaches them; no method blocks."""

    def committed(self, retreat_id: int, epoch: str, revision: int) -> None:
        """Hint at what has been committed."""
        ...

    def room_started(self, slug: str) -> None:
        """Note that a room runs, or runs again: ask who is there."""
        ...

    def people_changed(self, slug: str) -> None:
        """Note that somebody has joined a room here, or left it."""
        ...

    def marks_changed(self, slug: str, changes: Iterable[MarkChange]) -> None:
        """Send what those in a room here are sent of editing marks."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RemoteEditor:
    """A connection to another server that has an editing mark, or had one."""

    author: Author
    number: int
    """Unique among those who have marks in the room."""


class Elsewhere:
    """What other nodes have sent of one room.

    :param marks: of the room; those of others are among them, and expire like all.
    """

    def __init__(self, marks: EditingMarks) -> None:
        self._marks = marks
        self._people: dict[str, People] = {}
        self._editors: dict[str, dict[int, RemoteEditor]] = {}
        self._numbers = count(-1, -1)  # those of subscribers are positive

    def people(self) -> Iterator[People]:
        """Return who is in the room, by node, in the order of their names."""
        for node in sorted(self._people):
            yield self._people[node]

    def editors(self) -> Iterator[RemoteEditor]:
        """Return the connections that may have marks, in the order of nodes and connections."""
        for node in sorted(self._editors):
            for connection in sorted(self._editors[node]):
                yield self._editors[node][connection]

    def set_people(self, node: str, people: People) -> bool:
        """Set who is there through a node, and end marks; return whether anything has changed."""
        former = self._people.pop(node, None)
        if people.total:
            self._people[node] = people
        marked = set(people.marked)
        ended = False
        for connection, editor in self._editors.get(node, {}).items():
            if connection not in marked:
                ended |= self._marks.end(editor)
        shown = None if former is None else (former.total, former.users)
        return ended or shown != ((people.total, people.users) if people.total else None)

    def set_mark(self, node: str, change: ConnectionMark, now: float) -> bool:
        """Set, renew or end the mark of a connection; return whether anything has changed.

        :param now: Trio time, from which on it lasts.
        """
        editors = self._editors.setdefault(node, {})
        editor, mark = editors.get(change.connection), change.mark
        if mark is None:
            return editor is not None and self._marks.end(editor)
        if editor is None:
            editor = self._add(editors, change.connection, mark)
            if editor is None:
                return False
        before = self._marks.edited_field(editor)
        self._marks.begin(editor, mark.registration_id, mark.field, now)
        return self._marks.edited_field(editor) != before

    def _add(
        self, editors: dict[int, RemoteEditor], connection: int, mark: Mark
    ) -> RemoteEditor | None:
        """Return who may have a mark from now on; ``None``: too many have one.

        Those whose marks have ended are kept until then: they may begin anew while their end is
        being sent, which must stay in this order.
        """
        if len(editors) >= MAX_MARKS:
            for other, editor in list(editors.items()):
                if self._marks.edited_field(editor) is None:
                    del editors[other]
        if len(editors) >= MAX_MARKS:
            return None
        author = Author(user_id=mark.user_id, name=mark.name, admin_user_id=mark.admin_user_id)
        editors[connection] = RemoteEditor(author, next(self._numbers))
        return editors[connection]

    def remove(self, node: str) -> bool:
        """Remove all that is of a node; return whether there was anything."""
        editors = self._editors.pop(node, {})
        for editor in editors.values():
            self._marks.end(editor)
        return (self._people.pop(node, None) is not None) or bool(editors)
