"""Who is in a room and what they are editing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any, Protocol

from gbs_actor.bus.presence import People
from gbs_actor.lineup.commands import Author
from gbs_actor.rooms.delivery import EditedField, Editing, Format, Presence, PresentUser
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.settings import RoomSettings

SHOWN_USERS = 100


class Editor(Protocol):
    """A connection that may have an editing mark, to this server or to another one."""

    @property
    def author(self) -> Author:
        """Who is connected."""
        ...

    @property
    def number(self) -> int:
        """Unique among those who have marks in the room."""
        ...


class Others(Protocol):
    """Who is in a room on other servers."""

    def people(self) -> Iterable[People]:
        """Return who is in the room, by server."""
        ...

    def editors(self) -> Iterable[Editor]:
        """Return the connections that may have marks."""
        ...


@dataclass(frozen=True, slots=True)
class _Mark:
    registration_id: int
    field: str | None
    expires: float

    def same_field(self, other: _Mark) -> bool:
        """Return whether this is the same field of the same person."""
        return (self.registration_id, self.field) == (other.registration_id, other.field)


@dataclass(frozen=True, slots=True)
class MarkChange:
    """What the others are to be sent about one connection's mark."""

    editor: Editor
    editings: tuple[Editing, ...]
    _mark: _Mark | None
    """The mark that the others know once they are sent this."""

    @property
    def edited_field(self) -> EditedField | None:
        """What the others then know the connection to edit."""
        return _edited(self._mark)


class EditingMarks:
    """The editing marks of a room: one a connection, each for a limited time.

    Marks may change far more often than anybody can look. The others are sent the present
    state now and then: of a mark that began and ended in between they get nothing. The
    last state of every mark is sent in any case.

    :param config: how long a mark lasts, and how often, and of how many connections at
        once, changes are sent.
    """

    def __init__(self, config: RoomSettings) -> None:
        self._config = config
        # In the order of expiry, since all last equally long: the first expires first.
        self._marks: dict[Editor, _Mark] = {}
        # Whose marks have changed since the others were sent them, and what those know.
        self._unsent: dict[Editor, _Mark | None] = {}
        self._throttle = Throttle(config, config.editing_interval, config.editing_interval_large)

    def __len__(self) -> int:
        return len(self._marks)

    def edited_field(self, editor: Editor) -> EditedField | None:
        """Return what a connection is editing."""
        return _edited(self._marks.get(editor))

    def begin(self, editor: Editor, registration_id: int, field: str | None, now: float) -> None:
        """Set or renew a connection's mark."""
        former = self._marks.pop(editor, None)
        self._unsent.setdefault(editor, former)
        expires = now + self._config.editing_timeout
        self._marks[editor] = _Mark(registration_id, field, expires)

    def end(self, editor: Editor) -> bool:
        """Remove a connection's mark; return whether it had one."""
        former = self._marks.pop(editor, None)
        if former is None:
            return False
        self._unsent.setdefault(editor, former)
        return True

    def editors(self) -> list[Editor]:
        """Return the connections that have a mark."""
        return list(self._marks)

    def expired(self, now: float) -> list[Editor]:
        """Return the connections whose marks have expired, for :meth:`end`."""
        due = []
        for editor, mark in self._marks.items():
            if mark.expires > now:
                break
            due.append(editor)
        return due

    def next_expiry(self) -> float:
        """Return the time at which the next mark expires (``inf``: none)."""
        for mark in self._marks.values():
            return mark.expires
        return inf

    def due(self, subscribers: int) -> float:
        """Return the time at which changes are to be sent (``inf``: there are none)."""
        return self._throttle.due(subscribers) if self._unsent else inf

    def changes(self) -> list[MarkChange]:
        """Return what the others are to be sent now, for :meth:`sent` once they were.

        The longest unsent come first; of many connections, or of many of one user, some
        are left for the next time.
        """
        found: list[MarkChange] = []
        of_user: dict[int, int] = {}
        for editor, known in list(self._unsent.items()):
            mark = self._marks.get(editor)
            if known is None and mark is None:
                del self._unsent[editor]
                continue
            user = editor.author.user_id
            if of_user.get(user, 0) >= self._config.editing_batch_per_user:
                continue
            of_user[user] = of_user.get(user, 0) + 1
            editings = _between(editor, known, mark)
            found.append(MarkChange(editor, editings, mark))
            if len(found) >= self._config.editing_batch_size:
                break
        return found

    def sent(self, changes: Iterable[MarkChange], now: float) -> None:
        """Note that the others were sent these changes."""
        self._throttle.sent(now)
        for change in changes:
            editor = change.editor
            del self._unsent[editor]
            if self._marks.get(editor) is not change._mark:  # it has changed meanwhile
                self._unsent[editor] = change._mark


def _between(editor: Editor, known: _Mark | None, mark: _Mark | None) -> tuple[Editing, ...]:
    editings = []
    if known is not None and (mark is None or not mark.same_field(known)):
        editings.append(_editing(editor, known, editing=False))
    if mark is not None:
        editings.append(_editing(editor, mark, editing=True))
    return tuple(editings)


def _edited(mark: _Mark | None) -> EditedField | None:
    return None if mark is None else EditedField(mark.registration_id, mark.field)


def _editing(editor: Editor, mark: _Mark, *, editing: bool) -> Editing:
    author = editor.author
    return Editing(
        lineup_id=mark.registration_id,
        user_retreat_registration_id=mark.registration_id,
        user_id=author.user_id,
        admin_user_id=author.admin_user_id,
        user_name=author.name,
        field=mark.field,
        editing=editing,
    )


class Throttle:
    """How often a room sends one kind of message to everybody.

    :param interval: least seconds between two of them.
    :param interval_large: the same in large rooms.
    :param rate: messages per second at most, one to each connection counted.
    """

    def __init__(
        self, config: RoomSettings, interval: float, interval_large: float, rate: float = inf
    ) -> None:
        self._large_room = config.presence_large_room
        self._interval = interval
        self._interval_large = interval_large
        self._rate = rate
        self._last_sent = -inf

    def due(self, subscribers: int) -> float:
        """Return the time from which on the next one may be sent."""
        large = subscribers > self._large_room
        interval = self._interval_large if large else self._interval
        return self._last_sent + max(interval, subscribers / self._rate)

    def sent(self, now: float) -> None:
        """Note that one was sent."""
        self._last_sent = now


class RoomPresence:
    """Who is present, as everybody was sent it last; the next is due on change, not too often.

    Who joins in between gets the same bytes as the others who do.

    :param config: gives the intervals.
    :param elsewhere: who is there on other servers.
    """

    def __init__(self, config: RoomSettings, elsewhere: Others) -> None:
        self._elsewhere = elsewhere
        self._changed = False
        intervals = config.presence_interval, config.presence_interval_large
        self._sent = Throttle(config, *intervals, config.presence_rate)
        self._built = Throttle(config, *intervals, config.presence_rate)
        self._shown: Presence | None = None
        self._revision = 0
        self._encoded: dict[Format, Any] = {}

    @property
    def shown(self) -> Presence | None:
        """Who is present, as it was built last; ``None``: it was not yet."""
        return self._shown

    def change(self) -> None:
        """Note that who is present, or what they edit, has changed."""
        self._changed = True

    def due(self, subscribers: int) -> float:
        """Return the time at which a message to everybody is due (``inf``: nothing has changed)."""
        return self._sent.due(subscribers) if self._changed else inf

    def outdated(self, subscribers: int, now: float) -> bool:
        """Return whether to :meth:`build` it before a message to one who joins."""
        outdated = self._changed and self._built.due(subscribers) <= now
        return outdated or self._shown is None

    def build(self, subscribers: Iterable[Subscriber], marks: EditingMarks, now: float) -> None:
        """Show who is present now, in the messages that are made from here on."""
        self._shown = present_users(subscribers, marks, self._elsewhere)
        self._encoded.clear()
        self._built.sent(now)

    def message(self, form: Format, revision: int) -> Any:
        """Return the message; encoded once per format and revision.

        :param revision: the room's.
        """
        assert self._shown is not None
        if revision != self._revision:
            self._revision = revision
            self._encoded.clear()
        if form not in self._encoded:
            self._encoded[form] = form.presence(self._shown, revision)
        return self._encoded[form]

    def sent(self, now: float) -> None:
        """Note that everybody is sent it as it was built."""
        self._changed = False
        self._sent.sent(now)


def people_here(subscribers: Iterable[Subscriber]) -> list[tuple[int, str, int]]:
    """Return id, name and connections of each user, in the order in which they came."""
    names: dict[int, str] = {}
    connections: dict[int, int] = {}
    for subscriber in subscribers:
        user = subscriber.author.user_id
        names.setdefault(user, subscriber.author.name)
        connections[user] = connections.get(user, 0) + 1
    return [(user, name, connections[user]) for user, name in names.items()]


def present_users(
    subscribers: Iterable[Subscriber], marks: EditingMarks, elsewhere: Others
) -> Presence:
    """Return who is present, one entry a user: those who are here, as they came, then the others.

    Of many users a server sends some by name alone. Each of the others counts as another one, even
    if the same user is here, or among those of two servers.
    """
    subscribers = tuple(subscribers)
    users = {user: (name, connections) for user, name, connections in people_here(subscribers)}
    unnamed = 0
    for people in elsewhere.people():
        unnamed += max(0, people.total - len(people.users))
        for person in people.users:
            name, connections = users.get(person.user_id, (person.name, 0))
            users[person.user_id] = (name, connections + person.connections)
    edited: dict[int, list[EditedField]] = {}
    if len(marks):
        for editor in (*subscribers, *elsewhere.editors()):
            field = marks.edited_field(editor)
            if field is not None:
                edited.setdefault(editor.author.user_id, []).append(field)
    shown = tuple(
        PresentUser(user, name, connections, tuple(edited.get(user, ())))
        for user, (name, connections) in islice(users.items(), SHOWN_USERS)
    )
    return Presence(users=shown, total=len(users) + unnamed)
