"""Bodies of full lists, each one object for all who are sent it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import msgspec
from msgspec import Raw

from gbs_actor.gateway.http.models import UserLineups
from gbs_actor.rooms.delivery import Snapshot


class ListBodies:
    """Encodes lists; a full one once, and keeps its body for as long as it lives itself.

    However many clients are slow to take it, it is in memory once.
    """

    def __init__(self) -> None:
        self._bodies: WeakKeyDictionary[Snapshot, bytes] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._bodies)

    def of(self, snapshot: Snapshot) -> bytes:
        """Return the JSON of a list."""
        body = self._bodies.get(snapshot)
        if body is None:
            answer = UserLineups(
                Raw(snapshot.rows), snapshot.revision, snapshot.epoch, snapshot.full
            )
            body = msgspec.json.encode(answer)
            if snapshot.full:
                self._bodies[snapshot] = body
        return body
