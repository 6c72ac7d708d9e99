"""Updates of a retreat, and feeds of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import msgspec
import trio

from gbs_actor.lineup.records import Row


@dataclass(frozen=True, slots=True)
class RowUpdated:
    """A row has changed."""

    row: Row


@dataclass(frozen=True, slots=True)
class ListReplaced:
    """The whole list was replaced, by a join or after a reconnection."""

    rows: tuple[Row, ...]
    """In list order."""
    revision: int


class EditingMarked(msgspec.Struct, frozen=True, rename="camel"):
    """Another user starts or ends editing a field."""

    lineup_id: int
    user_id: int
    admin_user_id: int
    user_name: str
    field: str | None
    editing: bool


class PresentPerson(msgspec.Struct, frozen=True, rename="camel"):
    """One user in the room."""

    user_id: int
    user_name: str
    connections: int


class PresenceChanged(msgspec.Struct, frozen=True, rename="camel"):
    """Who is in the room."""

    users: tuple[PresentPerson, ...]
    """At most 100."""
    total: int
    """Users, not connections."""


class ServerError(msgspec.Struct, frozen=True):
    """An event ``error``, which belongs to no call, such as ``TOKEN_EXPIRED``."""

    code: str
    message: str = ""


Update = RowUpdated | ListReplaced | EditingMarked | PresenceChanged | ServerError


def _slot(update: Update) -> Hashable:
    """Return the slot of an update: a newer one in the same slot replaces it."""
    match update:
        case RowUpdated(row=row):
            return ("row", row.id)
        case EditingMarked(admin_user_id=user, lineup_id=row_id):
            return ("editing", user, row_id)
        case _:
            return type(update).__name__


class UpdateFeed:
    """An async iterator over :data:`Update`, conflated while its reader is slow.

    Updates are queued in the order of arrival. A newer state of a row replaces the queued
    older one and goes to the end; presence and errors have one slot each, editing marks one
    per author and row, and a replaced list removes all queued rows. So the queue is bounded
    by the number of rows, plus these slots.

    One task reads it. A cancelled wait loses nothing. It ends when the client is closed;
    if the client gave up, it raises :attr:`Client.failure`.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Update] = {}
        self._arrived = trio.Event()
        self._ended = False
        self._failure: Exception | None = None
        self._conflated = 0

    @property
    def conflated(self) -> int:
        """How many queued updates a newer one has replaced."""
        return self._conflated

    @property
    def waiting(self) -> int:
        """How many updates are queued."""
        return len(self._waiting)

    def put(self, update: Update) -> None:
        """Queue an update; called by the client."""
        if self._ended:
            return
        if isinstance(update, ListReplaced):
            for key in [key for key, it in self._waiting.items() if isinstance(it, RowUpdated)]:
                del self._waiting[key]
                self._conflated += 1
        key = _slot(update)
        if self._waiting.pop(key, None) is not None:
            self._conflated += 1
        self._waiting[key] = update
        self._arrived.set()

    def end(self, failure: Exception | None) -> None:
        """End once the reader has read what is queued; called by the client."""
        self._ended = True
        self._failure = failure
        self._arrived.set()

    def __aiter__(self) -> UpdateFeed:
        return self

    async def __anext__(self) -> Update:
        while not self._waiting:
            if self._ended:
                await trio.lowlevel.checkpoint()
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._arrived = trio.Event()
            await self._arrived.wait()
        await trio.lowlevel.checkpoint()
        return self._waiting.pop(next(iter(self._waiting)))
