"""Who is in a room and what they are editing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

from gbs_actor.rooms.delivery import EditedField, Editing, Format, Presence, PresentUser
from gbs_actor.rooms.subscriber import Subscriber
from gbs_actor.settings import RoomSettings

SHOWN_USERS = 100


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

    subscriber: Subscriber
    editings: tuple[Editing, ...]
    _mark: _Mark | None
    """The mark that the others know once they are sent this."""


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
        self._marks: dict[Subscriber, _Mark] = {}
        # Whose marks have changed since the others were sent them, and what those know.
        self._unsent: dict[Subscriber, _Mark | None] = {}
        self._throttle = Throttle(config, config.editing_interval, config.editing_interval_large)

    def __len__(self) -> int:
        return len(self._marks)

    def edited_field(self, subscriber: Subscriber) -> EditedField | None:
        """Return what a connection is editing."""
        mark = self._marks.get(subscriber)
        return None if mark is None else EditedField(mark.registration_id, mark.field)

    def begin(
        self, subscriber: Subscriber, registration_id: int, field: str | None, now: float
    ) -> None:
        """Set or renew a connection's mark."""
        former = self._marks.pop(subscriber, None)
        self._unsent.setdefault(subscriber, former)
        expires = now + self._config.editing_timeout
        self._marks[subscriber] = _Mark(registration_id, field, expires)

    def end(self, subscriber: Subscriber) -> bool:
        """Remove a connection's mark; return whether it had one."""
        former = self._marks.pop(subscriber, None)
        if former is None:
            return False
        self._unsent.setdefault(subscriber, former)
        return True

    def subscribers(self) -> list[Subscriber]:
        """Return the connections that have a mark."""
        return list(self._marks)

    def expired(self, now: float) -> list[Subscriber]:
        """Return the connections whose marks have expired, for :meth:`end`."""
        due = []
        for subscriber, mark in self._marks.items():
            if mark.expires > now:
                break
            due.append(subscriber)
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
        for subscriber, known in list(self._unsent.items()):
            mark = self._marks.get(subscriber)
            if known is None and mark is None:
                del self._unsent[subscriber]
                continue
            user = subscriber.author.user_id
            if of_user.get(user, 0) >= self._config.editing_batch_per_user:
                continue
            of_user[user] = of_user.get(user, 0) + 1
            editings = _between(subscriber, known, mark)
            found.append(MarkChange(subscriber, editings, mark))
            if len(found) >= self._config.editing_batch_size:
                break
        return found

    def sent(self, changes: Iterable[MarkChange], now: float) -> None:
        """Note that the others were sent these changes."""
        self._throttle.sent(now)
        for change in changes:
            subscriber = change.subscriber
            del self._unsent[subscriber]
            if self._marks.get(subscriber) is not change._mark:  # it has changed meanwhile
                self._unsent[subscriber] = change._mark


def _between(
    subscriber: Subscriber, known: _Mark | None, mark: _Mark | None
) -> tuple[Editing, ...]:
    editings = []
    if known is not None and (mark is None or not mark.same_field(known)):
        editings.append(_editing(subscriber, known, editing=False))
    if mark is not None:
        editings.append(_editing(subscriber, mark, editing=True))
    return tuple(editings)


def _editing(subscriber: Subscriber, mark: _Mark, *, editing: bool) -> Editing:
    author = subscriber.author
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
    """

    def __init__(self, config: RoomSettings) -> None:
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
        self._shown = present_users(subscribers, marks)
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


def present_users(subscribers: Iterable[Subscriber], marks: EditingMarks) -> Presence:
    """Return who is present, in the order in which they came, one entry a user."""
    names: dict[int, str] = {}
    connections: dict[int, int] = {}
    edited: dict[int, list[EditedField]] = {}
    for subscriber in subscribers:
        user = subscriber.author.user_id
        names.setdefault(user, subscriber.author.name)
        connections[user] = connections.get(user, 0) + 1
        field = marks.edited_field(subscriber)
        if field is not None:
            edited.setdefault(user, []).append(field)
    shown = tuple(
        PresentUser(user, name, connections[user], tuple(edited.get(user, ())))
        for user, name in list(names.items())[:SHOWN_USERS]
    )
    return Presence(users=shown, total=len(names))
