"""The session of a client that can resume on another connection, and its offsets.

An offset is the room's revision at the last event that the client received.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.lineup.rules import LAST_ID
from gbs_actor.rooms import Snapshot, Subscriber
from gbs_actor.store.protocol import SessionLocation, SessionRecord

OUTSIDE: Final = 0
"""The offset of an event outside of any room."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_offset(offset: object) -> int | None:
    """Return the revision in an offset; ``None``: the server has sent no such offset."""
    if not isinstance(offset, str) or _DECIMAL.fullmatch(offset) is None:
        return None
    revision = int(offset)
    return revision if revision <= LAST_ID else None


class StoredSession:
    """A recoverable session, whose location is kept in the store.

    Implements :class:`gbs_actor.gateway.client.RecoverableSession`.

    :param sid: the id of its socket.
    :param when_received: see :meth:`gbs_actor.socketio.Session.when_received`.
    :param close: closes the connection.
    """

    __slots__ = (
        "_close",
        "_ended",
        "_locations",
        "_when_received",
        "generation",
        "location",
        "sid",
    )

    def __init__(
        self,
        sid: str,
        locations: SessionLocations,
        when_received: Callable[[Callable[[], None]], None],
        close: Callable[[], None],
    ) -> None:
        self.sid = sid
        self.location: SessionLocation | None = None
        self.generation = 0
        """See :class:`~gbs_actor.store.protocol.SessionRecord`."""
        self._locations = locations
        self._when_received = when_received
        self._close = close
        self._ended = False

    def begun(self) -> None:
        """Record that the session begins on this connection."""
        self._locations.connected(self)

    def resumed(self, location: SessionLocation) -> None:
        """Record that the session continues in its room on this connection."""
        self._locations.connected(self)
        self._set(location)

    def taken_over(self) -> None:
        """Close the connection: the session continues on another one."""
        self._close()

    def joined(self, slug: str, snapshot: Snapshot, subscriber: Subscriber) -> None:
        """Record that a room was joined, and the reply to the join.

        If the session was in that room already, earlier offsets remain valid. Where an offset of
        another room may be taken for one of this room, the session can be resumed once the client
        is known to have received the reply: without that, it has not the room's list.
        """
        former = self.location
        if former is None or (former.slug, former.epoch) != (slug, snapshot.epoch):
            known = subscriber.known_elsewhere
            location = SessionLocation(slug, snapshot.epoch, snapshot.revision, known)
            self._set(location)
            if known >= snapshot.revision:
                self._when_received(partial(self._received, location, subscriber))

    def _received(self, location: SessionLocation, subscriber: Subscriber) -> None:
        """Record that the client has received the reply to a join, and the event behind it."""
        if self.location is location and subscriber.room_slug == location.slug:
            subscriber.known_elsewhere = -1
            self._set(replace(location, known_elsewhere=-1))

    async def leave(self, slug: str) -> None:
        """Record that a room is about to be left, if the session is in it."""
        if self.location is not None and self.location.slug == slug:
            self.location = None
            await self._locations.remove(self.sid, self.generation)

    @asynccontextmanager
    async def moving(self, slug: str, subscriber: Subscriber) -> AsyncIterator[None]:
        """Join another room within the block.

        The former location is removed first, so that an offset is never used for a room that
        it is not from. It is restored if the join fails and the client is still in that room.
        """
        former = self.location
        if former is not None and former.slug != slug:
            await self.leave(former.slug)
        try:
            yield
        finally:
            if self.location is None and former is not None and subscriber.room_slug == former.slug:
                self._set(former)

    def end(self) -> None:
        """Record that the session has ended and cannot be resumed."""
        if not self._ended:
            self._ended = True
            self._locations.set(self.sid, SessionRecord(None, self.generation))

    def _set(self, location: SessionLocation) -> None:
        self.location = location
        if not self._ended:
            self._locations.set(self.sid, SessionRecord(location, self.generation))
