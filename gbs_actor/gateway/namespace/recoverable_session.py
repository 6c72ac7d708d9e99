"""The session of a connection that its client may come back to on another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.rooms import Snapshot, Subscriber
from gbs_actor.store.protocol import SessionLocation


class RecoverableSession:
    """Where one session is.

    :param sid: the id of its socket.
    """

    __slots__ = ("_over", "_whereabouts", "place", "sid")

    def __init__(self, sid: str, whereabouts: SessionLocations) -> None:
        self.sid = sid
        self.place: SessionLocation | None = None
        self._whereabouts = whereabouts
        self._over = False

    def resumed(self, place: SessionLocation) -> None:
        """Note that the session goes on where it was on an earlier connection."""
        self._be_at(place)

    def joined(self, slug: str, snapshot: Snapshot, subscriber: Subscriber) -> None:
        """Note that a room was joined, with what it was answered.

        Where the session was there already, offsets from before count as much.
        """
        stay = self.place
        if stay is None or (stay.slug, stay.epoch) != (slug, snapshot.epoch):
            known = subscriber.known_elsewhere
            self._be_at(SessionLocation(slug, snapshot.epoch, snapshot.revision, known))

    async def leave(self, slug: str) -> None:
        """Note that a room is about to be left, if that is where the session is."""
        if self.place is not None and self.place.slug == slug:
            self.place = None
            await self._whereabouts.forget(self.sid)

    @asynccontextmanager
    async def moving(self, slug: str, subscriber: Subscriber) -> AsyncIterator[None]:
        """Let another room be joined within the block.

        The former one is forgotten before: an offset must never be taken for one of a room
        that it is not from. It is where the session is still if nothing comes of the join.
        """
        former = self.place
        if former is not None and former.slug != slug:
            await self.leave(former.slug)
        try:
            yield
        finally:
            if self.place is None and former is not None and subscriber.room_slug == former.slug:
                self._be_at(former)

    def end(self) -> None:
        """Note that the session has ended for good."""
        if not self._over:
            self._over = True
            self._whereabouts.forget_soon(self.sid)

    def _be_at(self, place: SessionLocation) -> None:
        self.place = place
        if not self._over:
            self._whereabouts.remember(self.sid, place)
