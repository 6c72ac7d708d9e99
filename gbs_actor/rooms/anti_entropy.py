"""Lets rooms find out what others have changed, where nobody asks anything of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import inf
from typing import Final

import trio

from gbs_actor.rooms.freshness import Freshness
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.statistics import RoomState
from gbs_actor.store.protocol import Store, StoreUnavailable

log = logging.getLogger(__name__)

ALL_INTERVAL: Final = 5.0
"""Seconds after which a single server compares all rooms with the store, not only those of which it
has absorbed something: another process may have, as ``gbs-actor reload`` does."""
TOO_FAR_BEHIND: Final = 5.0
"""Seconds by which a comparison of one of several servers may be late, beyond its interval."""


class AntiEntropy:
    """Compares all running rooms with the store, again and again; those that differ catch up.

    Where no other server changes retreats, that is done every :data:`ALL_INTERVAL` only; in between
    what other programs have changed is asked for.

    :param handles: the open rooms, by slug.
    :param store: where the retreats are durable.
    :param freshness: asks for their versions.
    :param interval: seconds between two comparisons.
    """

    def __init__(
        self,
        handles: Mapping[str, RoomHandle],
        store: Store,
        freshness: Freshness,
        interval: float,
    ) -> None:
        self._handles = handles
        self._store = store
        self._freshness = freshness
        self._interval = interval
        self._compared_at: float | None = None
        self._all_at = -inf
        self._failed = False

    @property
    def behind(self) -> float:
        """Seconds since the last comparison that succeeded began: what rooms lack is newer."""
        return 0.0 if self._compared_at is None else trio.current_time() - self._compared_at

    def failure(self) -> str | None:
        """Return in one sentence that open rooms lack what other servers change, if so."""
        late = self.behind >= self._interval + TOO_FAR_BEHIND
        if not (late and self._freshness.shared and self._handles):
            return None
        return f"What other servers have changed was last read {self.behind:.0f} s ago."

    async def run(self) -> None:
        """Compare until cancelled."""
        if self._compared_at is None:
            self._compared_at = trio.current_time()
        while True:
            started = trio.current_time()
            await self.try_compare()
            self._log_failure()
            await trio.sleep_until(started + self._interval)

    def _log_failure(self) -> None:
        failure = self.failure()
        if failure is not None and not self._failed:
            log.warning("rooms lack changes: %s", failure)
        elif failure is None and self._failed:
            log.info("rooms have the changes of other servers again")
        self._failed = failure is not None

    async def try_compare(self) -> None:
        """Compare now; with the store out of reach, it has no effect."""
        started = trio.current_time()
        try:
            await self._compare()
        except StoreUnavailable:
            pass  # rooms that need the store say so
        else:
            self._compared_at = started

    async def _compare(self) -> None:
        rooms = [each for each in self._handles.values() if each.state is RoomState.RUNNING]
        before = {room: room.version for room in rooms}
        ids = {version.id for version in before.values() if version is not None}
        if self._freshness.shared and ids:
            _, versions = await self._freshness.versions(ids)
        elif ids and trio.current_time() >= self._all_at:
            self._all_at = trio.current_time() + ALL_INTERVAL
            versions = await self._store.versions(ids)
        else:
            changed = await self._store.absorb()
            for room in self._handles.values():
                # One that is being loaded may be loaded as of before.
                if changed and (room.version is None or room.version.id in changed):
                    room.compare_with_store()
            return
        for room, former in before.items():
            # What it has in hand, it commits or checks itself.
            if former is None or room.batch is not None or room.version is not former:
                continue
            if versions.get(former.id) != former:
                room.compare_with_store()
