"""Who is in a room and what they are editing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from gbs_actor.rooms.config import RoomConfig
from gbs_actor.rooms.delivery import EditedField, Editing, Presence, PresentUser
from gbs_actor.rooms.subscriber import Subscriber

SHOWN_USERS = 100


@dataclass(frozen=True, slots=True)
class _Place:
    registration_id: int
    field: str | None
    expires: float

    def same_as(self, other: _Place) -> bool:
        """Return whether this is the same field of the same person."""
        return (self.registration_id, self.field) == (other.registration_id, other.field)


@dataclass(frozen=True, slots=True)
class MarkChange:
    """What the others are to be told of one connection's mark."""

    subscriber: Subscriber
    editings: tuple[Editing, ...]
    _place: _Place | None
    """The mark that they know once they are told."""


class EditingMarks:
    """The editing marks of a room: one a connection, each for a limited time.

    Marks may change far more often than anybody can look. The others are told now and
    then how things have come to stand: a mark that began and ended in between is nothing
    to them. The last state of every mark is told in any case.

    :param config: gives how long a mark lasts, and how often, and of how many at once, the
        others are told.
    """

    def __init__(self, config: RoomConfig) -> None:
        self._config = config
        # In the order of expiry, since all last equally long: the first is due first.
        self._places: dict[Subscriber, _Place] = {}
        # Whose marks have changed since the others were told, and what those know.
        self._unsent: dict[Subscriber, _Place | None] = {}
        self._throttle = Throttle(config, config.editing_interval, config.editing_interval_large)

    def __len__(self) -> int:
        return len(self._places)

    def place(self, subscriber: Subscriber) -> EditedField | None:
        """Return where a connection is editing."""
        place = self._places.get(subscriber)
        return None if place is None else EditedField(place.registration_id, place.field)

    def begin(
        self, subscriber: Subscriber, registration_id: int, field: str | None, now: float
    ) -> None:
        """Set or renew a connection's mark."""
        former = self._places.pop(subscriber, None)
        self._unsent.setdefault(subscriber, former)
        expires = now + self._config.editing_timeout
        self._places[subscriber] = _Place(registration_id, field, expires)

    def end(self, subscriber: Subscriber) -> bool:
        """Remove a connection's mark; return whether it had one."""
        former = self._places.pop(subscriber, None)
        if former is None:
            return False
        self._unsent.setdefault(subscriber, former)
        return True

    def subscribers(self) -> list[Subscriber]:
        """Return the connections that have a mark."""
        return list(self._places)

    def expired(self, now: float) -> list[Subscriber]:
        """Return the connections whose marks have run out, for :meth:`end`."""
        due = []
        for subscriber, place in self._places.items():
            if place.expires > now:
                break
            due.append(subscriber)
        return due

    def next_expiry(self) -> float:
        """Return the time at which the next mark runs out (``inf``: none)."""
        for place in self._places.values():
            return place.expires
        return inf

    def due(self, subscribers: int) -> float:
        """Return the time at which the others are to be told (``inf``: there is no news)."""
        return self._throttle.due(subscribers) if self._unsent else inf

    def changes(self) -> list[MarkChange]:
        """Return what the others are to be told now, for :meth:`sent` once they are.

        Who has waited longest for that comes first; of many connections, or of many of one
        user, some wait for the next time.
        """
        found: list[MarkChange] = []
        of_user: dict[int, int] = {}
        for subscriber, known in list(self._unsent.items()):
            place = self._places.get(subscriber)
            if known is None and place is None:
                del self._unsent[subscriber]
                continue
            user = subscriber.author.user_id
            if of_user.get(user, 0) >= self._config.editing_news_per_user:
                continue
            of_user[user] = of_user.get(user, 0) + 1
            editings = _between(subscriber, known, place)
            found.append(MarkChange(subscriber, editings, place))
            if len(found) >= self._config.editing_news:
                break
        return found

    def sent(self, changes: Iterable[MarkChange], now: float) -> None:
        """Note that the others have been told."""
        self._throttle.sent(now)
        for each in changes:
            subscriber = each.subscriber
            del self._unsent[subscriber]
            if self._places.get(subscriber) is not each._place:  # it has changed meanwhile
                self._unsent[subscriber] = each._place


def _between(
    subscriber: Subscriber, known: _Place | None, place: _Place | None
) -> tuple[Editing, ...]:
    sent = []
    if known is not None and (place is None or not place.same_as(known)):
        sent.append(_editing(subscriber, known, editing=False))
    if place is not None:
        sent.append(_editing(subscriber, place, editing=True))
    return tuple(sent)


def _editing(subscriber: Subscriber, place: _Place, *, editing: bool) -> Editing:
    author = subscriber.author
    return Editing(
        lineup_id=place.registration_id,
        user_retreat_registration_id=place.registration_id,
        user_id=author.user_id,
        admin_user_id=author.admin_user_id,
        user_name=author.name,
        field=place.field,
        editing=editing,
    )


class Throttle:
    """How often a room may say something to everybody.

    :param interval: seconds between two times at least.
    :param interval_large: the same in large rooms.
    """

    def __init__(self, config: RoomConfig, interval: float, interval_large: float) -> None:
        self._large_room = config.large_room
        self._interval = interval
        self._interval_large = interval_large
        self._last_sent = -inf

    def due(self, subscribers: int) -> float:
        """Return the time from which on it may be said again."""
        large = subscribers > self._large_room
        return self._last_sent + (self._interval_large if large else self._interval)

    def sent(self, now: float) -> None:
        """Note that it was said."""
        self._last_sent = now


class PresenceThrottle:
    """When the next presence message may go out: on change, and not too often.

    :param config: gives the intervals.
    """

    def __init__(self, config: RoomConfig) -> None:
        self._changed = False
        self._throttle = Throttle(config, config.presence_interval, config.presence_interval_large)

    def change(self) -> None:
        """Note that who is present, or what they edit, has changed."""
        self._changed = True

    def due(self, subscribers: int) -> float:
        """Return the time at which a message is due (``inf``: nothing has changed)."""
        return self._throttle.due(subscribers) if self._changed else inf

    def sent(self, now: float) -> None:
        """Note that a message has gone out."""
        self._changed = False
        self._throttle.sent(now)


def present_users(subscribers: Iterable[Subscriber], marks: EditingMarks) -> Presence:
    """Return who is present, in the order in which they came, one entry a user."""
    names: dict[int, str] = {}
    connections: dict[int, int] = {}
    places: dict[int, list[EditedField]] = {}
    for subscriber in subscribers:
        user = subscriber.author.user_id
        names.setdefault(user, subscriber.author.name)
        connections[user] = connections.get(user, 0) + 1
        place = marks.place(subscriber)
        if place is not None:
            places.setdefault(user, []).append(place)
    shown = tuple(
        PresentUser(user, name, connections[user], tuple(places.get(user, ())))
        for user, name in list(names.items())[:SHOWN_USERS]
    )
    return Presence(users=shown, total=len(names))
