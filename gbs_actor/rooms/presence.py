"""Who is in a room and what they are editing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from gbs_actor.rooms.config import RoomConfig
from gbs_actor.rooms.delivery import Editing, EditingPlace, Presence, PresentUser
from gbs_actor.rooms.subscriber import Subscriber

SHOWN_USERS = 100


@dataclass(frozen=True, slots=True)
class _Place:
    registration_id: int
    field: str | None
    expires: float


class EditingMarks:
    """The editing marks of a room: one a connection, each for a limited time.

    :param timeout: seconds a mark lasts without renewal.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        # In the order of expiry, since all last equally long: the first is due first.
        self._places: dict[Subscriber, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def place(self, subscriber: Subscriber) -> EditingPlace | None:
        """Return where a connection is editing."""
        place = self._places.get(subscriber)
        return None if place is None else EditingPlace(place.registration_id, place.field)

    def begin(
        self, subscriber: Subscriber, registration_id: int, field: str | None, now: float
    ) -> list[Editing]:
        """Set or renew a connection's mark; return what the others are to be told."""
        told = []
        former = self._places.pop(subscriber, None)
        if former is not None and (former.registration_id, former.field) != (
            registration_id,
            field,
        ):
            told.append(_editing(subscriber, former, editing=False))
        place = _Place(registration_id, field, now + self.timeout)
        self._places[subscriber] = place
        told.append(_editing(subscriber, place, editing=True))
        return told

    def end(self, subscriber: Subscriber) -> list[Editing]:
        """Remove a connection's mark; return what the others are to be told."""
        place = self._places.pop(subscriber, None)
        return [] if place is None else [_editing(subscriber, place, editing=False)]

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


class PresenceClock:
    """When the next presence message may go out: on change, and not too often.

    :param config: gives the intervals.
    """

    def __init__(self, config: RoomConfig) -> None:
        self._config = config
        self._changed = False
        self._last_sent = -inf

    def change(self) -> None:
        """Note that who is present, or what they edit, has changed."""
        self._changed = True

    def due(self, subscribers: int) -> float:
        """Return the time at which a message is due (``inf``: nothing has changed)."""
        if not self._changed:
            return inf
        large = subscribers > self._config.large_room
        return self._last_sent + (
            self._config.presence_interval_large if large else self._config.presence_interval
        )

    def sent(self, now: float) -> None:
        """Note that a message has gone out."""
        self._changed = False
        self._last_sent = now


def present_users(subscribers: Iterable[Subscriber], marks: EditingMarks) -> Presence:
    """Return who is present, in the order in which they came, one entry a user."""
    names: dict[int, str] = {}
    connections: dict[int, int] = {}
    places: dict[int, list[EditingPlace]] = {}
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
