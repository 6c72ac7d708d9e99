"""What other programs have changed, as triggers note it, and how it gets into the log.

See the migration: to absorb is to give what was noted of a retreat a revision. It is safe at any
time and on any server. What open transactions hold is left for later, so it never waits for them.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Final

import trio

from gbs_actor.observability import DURATION_BOUNDS, RecentHistogram
from gbs_actor.store.postgres.connection import (
    ConnectionLost,
    DbConnection,
    ServerRefused,
    connect,
)
from gbs_actor.store.postgres.database import Database
from gbs_actor.store.postgres.pool import connect_with_retries
from gbs_actor.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)

LOCK_NOT_AVAILABLE: Final = "55P03"
REGISTRATIONS_AT_ONCE: Final = 500
"""Registrations whose changes one transaction absorbs at most; a retreat is locked meanwhile."""

BRIEFLY: Final = 0.2
"""Seconds after which a check of many retreats begins no other part."""
PAUSE_RATIO: Final = 5.0
"""How many times as long as it took in vain such checks leave a retreat, of which all is held."""
LONGEST_PAUSE: Final = 1.0
"""Seconds that they leave it at most."""

_REMEMBERED: Final = 10_000
"""Retreats of which is known when such checks last absorbed something."""

_NOTED: Final = """
SELECT noted.retreat_id, noted.registration_ids,
       extract(epoch FROM clock_timestamp() - oldest.at)::float8 AS age
    FROM lineup_noted($1) AS noted
    LEFT JOIN (
        SELECT retreat_id, min(at) AS at FROM lineup_outside
            WHERE $1 IS NULL OR retreat_id = ANY ($1) GROUP BY retreat_id
    ) AS oldest USING (retreat_id)
"""
_ABSORB: Final = "SELECT lineup_absorb_2($1, $2) AS revision"
_RELOAD: Final = "SELECT lineup_reload($1) AS retreat_id"


@dataclass(frozen=True, slots=True)
class _Noted:
    """What is noted of a retreat."""

    retreat_id: int
    ids: list[int]
    """The registrations, ascending unless some are to be first."""
    since: float | None
    """Trio time at which the first of it was noted; ``None``: of profiles, it is not known."""


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A retreat of which a check has not absorbed all."""

    next_id: int
    """The registration to begin with: those before it may be held for long."""
    paused_until: float


class Outside:
    """Absorbs what other programs have changed, in whichever retreat.

    But nothing without the lease: a migration may be changing the tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lag = RecentHistogram(DURATION_BOUNDS)
        """Seconds from the first note of a retreat until some of what was noted was absorbed."""
        self._refused: set[int] = set()
        """Retreats whose changes could not be absorbed when that was last tried."""
        self._changed: set[int] = set()
        """Retreats of which something was absorbed since the last :meth:`absorb`."""
        self._unfinished: dict[int, _Unfinished] = {}
        self._tried: dict[int, float] = {}
        """When checks last absorbed something of a retreat: the latest are the last."""

    async def absorb(self) -> set[int]:
        """See :meth:`Store.absorb() <gbs_actor.store.protocol.Store.absorb>`.

        Where nothing was noted it costs one query of empty tables.
        """
        await self._database.read(partial(self.absorb_all, None))
        changed, self._changed = self._changed, set()
        return changed

    async def absorb_all(
        self, retreat_ids: Collection[int] | None, connection: DbConnection, deadline: float
    ) -> bool:
        """Absorb what was noted of retreats; return whether anything was.

        In transactions of :data:`REGISTRATIONS_AT_ONCE`: nobody waits for all of it.

        :param retreat_ids: ``None``: all.
        """
        changed = False
        if not self._database.lease.held:
            return changed
        for noted in await _noted(retreat_ids, connection, deadline):
            done, _ = await self._absorb_parts(noted, len(noted.ids), connection, deadline)
            changed |= done
        return changed

    async def absorb_briefly(
        self, retreat_ids: Collection[int], connection: DbConnection, deadline: float
    ) -> bool:
        """Absorb what was noted of retreats, for :data:`BRIEFLY`; return whether anything was.

        The next call goes on. One retreat keeps those who wait for others no longer than that, and
        while transactions hold all that was noted of it, seldom.
        """
        now = trio.current_time()
        until = now + BRIEFLY
        due = [
            id_
            for id_ in retreat_ids
            if id_ not in self._unfinished or self._unfinished[id_].paused_until <= now
        ]
        if not due or not self._database.lease.held:
            return False
        changed = False
        in_turn = sorted(
            await _noted(due, connection, deadline),
            key=lambda noted: self._tried.get(noted.retreat_id, -inf),
        )
        for position, noted in enumerate(in_turn):
            retreat_id, ids = noted.retreat_id, noted.ids
            started = trio.current_time()
            if position and started >= until:
                break
            self._tried.pop(retreat_id, None)
            self._tried[retreat_id] = started
            if (former := self._unfinished.pop(retreat_id, None)) is not None:
                first = bisect_left(ids, former.next_id)
                ids = ids[first:] + ids[:first]
            done, tried = await self._absorb_parts(
                replace(noted, ids=ids), len(ids), connection, deadline, until=until
            )
            changed |= done
            if tried < len(ids) or not done:
                now = trio.current_time()
                pause = 0.0 if done else min(PAUSE_RATIO * (now - started), LONGEST_PAUSE)
                next_id = ids[tried] if tried < len(ids) else 0
                self._unfinished[retreat_id] = _Unfinished(next_id, now + pause)
        while len(self._tried) > _REMEMBERED:
            del self._tried[next(iter(self._tried))]
        return changed

    async def absorb_first(
        self,
        retreat_id: int,
        registration_ids: Collection[int],
        connection: DbConnection,
        deadline: float,
    ) -> bool:
        """Absorb what was noted of some registrations, and of others as far as they fit in.

        What is noted of them still, transactions hold that are open.

        :returns: whether anything was absorbed.
        """
        changed = False
        if not self._database.lease.held:
            return changed
        first = frozenset(registration_ids)
        for noted in await _noted((retreat_id,), connection, deadline):
            ids = sorted(noted.ids, key=lambda id_: id_ not in first)
            count = len(first.intersection(ids))
            done, _ = await self._absorb_parts(replace(noted, ids=ids), count, connection, deadline)
            changed |= done
        return changed

    async def _absorb_parts(
        self,
        noted: _Noted,
        count: int,
        connection: DbConnection,
        deadline: float,
        *,
        until: float = inf,
    ) -> tuple[bool, int]:
        """Absorb what was noted of a retreat, part by part.

        Return whether anything was, and how many of the registrations were tried.

        :param count: how many of the registrations, from the first, are to be; others as far as
            they fit in.
        :param until: Trio time from which no other part is begun.
        """
        retreat_id, ids, changed = noted.retreat_id, noted.ids, False
        # Whoever reads has to have the rest of the time.
        until = min(until, (trio.current_time() + deadline) / 2)
        for start in range(0, count or 1, REGISTRATIONS_AT_ONCE):
            if start and trio.current_time() >= until:
                return changed, start
            end = start + REGISTRATIONS_AT_ONCE
            try:
                (row,) = await connection.fetch(
                    _ABSORB, retreat_id, ids[start:end], deadline=deadline
                )
            except ConnectionLost:
                self._changed.add(retreat_id)  # perhaps
                raise
            except ServerRefused as error:
                # It stays noted. Other retreats, and reading this one, do not depend on it. Whoever
                # has the lock may be another server that absorbs the same.
                if error.sqlstate != LOCK_NOT_AVAILABLE and retreat_id not in self._refused:
                    self._refused.add(retreat_id)
                    log.warning("changes of others in retreat %d stay noted: %s", retreat_id, error)
                return changed, end
            if row["revision"] is not None:
                if not changed and noted.since is not None:
                    now = trio.current_time()
                    self.lag.add(now - noted.since, now)
                changed = True
                self._changed.add(retreat_id)
        if retreat_id in self._refused:
            self._refused.remove(retreat_id)
            log.info("changes of others in retreat %d are absorbed again", retreat_id)
        return changed, len(ids)


async def _noted(
    retreat_ids: Collection[int] | None, connection: DbConnection, deadline: float
) -> list[_Noted]:
    """Return what is noted of retreats."""
    wanted = None if retreat_ids is None else list(retreat_ids)
    rows = await connection.fetch(_NOTED, wanted, deadline=deadline)
    now = trio.current_time()
    return [
        _Noted(
            row["retreat_id"],
            row["registration_ids"],
            None if row["age"] is None else now - row["age"],
        )
        for row in rows
    ]


async def reload(dsn: str, slug: str, deadline: float) -> bool:
    """Make all servers and clients load a retreat anew; return whether there is one.

    For changes that no trigger notes, as those of replication and restores. Servers may run.

    :param dsn: the database's address.
    :param deadline: Trio time.
    :raises StoreUnavailable: it cannot be reached, or is not of this version; may be repeated.
    """
    connection = await connect_with_retries(lambda until: connect(dsn, deadline=until), deadline)
    try:
        (row,) = await connection.fetch(_RELOAD, slug, deadline=deadline)
    except (ConnectionLost, ServerRefused) as error:
        raise StoreUnavailable(f"the retreat cannot be reloaded: {error}") from None
    finally:
        connection.terminate()
    return row["retreat_id"] is not None
