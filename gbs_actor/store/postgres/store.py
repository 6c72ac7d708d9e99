"""Retreats in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import TypeVar
from uuid import UUID

import trio

from gbs_actor.concurrency import background
from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.records import Retreat
from gbs_actor.store.limits import INT8, fault_in
from gbs_actor.store.postgres import queries
from gbs_actor.store.postgres.access import Patience, Sessions
from gbs_actor.store.postgres.bridge import (
    Bridge,
    ConnectionLost,
    ServerRefused,
    Session,
    open_bridge,
)
from gbs_actor.store.postgres.importing import Import
from gbs_actor.store.postgres.migrate import (
    Migration,
    SchemaMismatch,
    migrate,
    pending_migrations,
    shipped_migrations,
)
from gbs_actor.store.postgres.pool import connect_patiently
from gbs_actor.store.postgres.safety import check_safety
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RepeatedCommands,
    RetreatVersion,
    SessionLocation,
    StaleRevision,
    StoreStatistics,
    StoreUnavailable,
)
from gbs_actor.store.seed.seed import RetreatSeed
from gbs_actor.store.writes import check_revisions, collapse

T = TypeVar("T")

_STALE = "GB001"
_REPEATED = "GB002"
_COMMAND_ID = "lineup_change_command"
_ONE_LIVE_MEMO = "one_live_lineup_memo"
_TRY_AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: nothing is wrong with the commit itself."""
_DATA_ERRORS = ("21", "22", "23", "44", "54")
"""Classes of errors that the same values would meet again."""
_ATTEMPTS = 4
_CLOSING_TIME = 2.0


class PostgresStore:
    """Implements :class:`~gbs_actor.store.protocol.Store` on PostgreSQL.

    Opened by :meth:`open` only. Every call is bounded in time, and none holds its caller
    longer than that, whatever state the database is in. After a failure the next call
    works as soon as the database is back.
    """

    def __init__(
        self,
        bridge: Bridge,
        dsn: str,
        *,
        patience: Patience,
        pool_size: int,
    ) -> None:
        self._bridge = bridge
        self._patience = patience
        self._sessions = Sessions(bridge, dsn, patience=patience, pool_size=pool_size)
        self.migrated: tuple[Migration, ...] = ()
        """The migrations that were applied when the store was opened."""
        self._commits = 0
        self._commit_failures = 0
        self._unknown_outcomes = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        *,
        commit_timeout: float = 5.0,
        read_timeout: float = 10.0,
        connect_timeout: float = 5.0,
        lock_timeout: float = 3.0,
        migrate_timeout: float = 60.0,
        pool_size: int = 4,
        migrating: bool = False,
    ) -> AsyncIterator[PostgresStore]:
        """Open a store for the time of a block, as the only server of its database.

        :param dsn: ``postgresql://…``; it appears in no message, since it may hold a password.
        :param commit_timeout: seconds until a commit without an answer counts as unknown.
        :param read_timeout: seconds for everything that changes nothing.
        :param connect_timeout: seconds to wait for a connection.
        :param lock_timeout: seconds to wait for another server to release the database.
        :param migrate_timeout: seconds that each migration may take.
        :param pool_size: connections at most, besides the one that holds the lock.
        :param migrating: bring the schema up to date instead of refusing an older one.
        :raises StoreUnavailable: the database cannot be reached.
        :raises UnsafeDatabase: it may lose what it confirms.
        :raises SchemaMismatch: its schema is not the one of this program.
        :raises DatabaseInUse: another server serves it.
        """
        async with open_bridge() as bridge:
            patience = Patience(commit_timeout, read_timeout, connect_timeout)
            store = cls(bridge, dsn, patience=patience, pool_size=pool_size)
            try:
                await store._sessions.lease.take(lock_timeout)
                await store._check(migrate_timeout if migrating else None)
                async with background(store._sessions.lease.keep):
                    yield store
            finally:
                await store._sessions.aclose()

    async def load(self, slug: str) -> Retreat | None:
        """Return the retreat as of one consistent moment, or ``None`` where there is none."""
        if not _is_storable(slug):
            return None

        async def read(session: Session, deadline: float) -> Retreat | None:
            mode = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
            async with session.transaction(mode, deadline=deadline):
                heads = await session.fetch(queries.RETREAT, slug, deadline=deadline)
                if not heads:
                    return None
                key = heads[0]["id"]
                groups = await session.fetch(queries.GROUPS, key, deadline=deadline)
                people = await session.fetch(queries.REGISTRATIONS, key, deadline=deadline)
            return queries.retreat(slug, heads[0], groups, people)

        return await self._sessions.read(read)

    async def version(self, slug: str) -> RetreatVersion | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if not _is_storable(slug):
            return None
        rows = await self._sessions.fetch(queries.RETREAT, slug)
        return queries.version(rows[0]) if rows else None

    async def commit(
        self,
        retreat_id: int,
        expected_revision: int,
        changes: Sequence[Change],
        repeatable: Collection[UUID] = (),
    ) -> None:
        """Make changes durable, all or none of them, in one transaction and one round trip.

        It ends within ``commit_timeout``. A cancellation ends it at once, and its
        connection with it; the commit may nevertheless take effect.

        :raises ValueError: the changes are not numbered from ``expected_revision + 1``.
        :raises RepeatedCommands: one of ``repeatable`` is in the log.
        :raises StaleRevision: the retreat is at another revision, or a row to be
            changed is not there.
        :raises CommitRefused: the database refused; nothing took effect.
        :raises OutcomeUnknown: connection lost or time-out under way.
        :raises StoreUnavailable: nothing was sent, for want of a connection.
        """
        check_revisions(expected_revision, changes)
        writes = collapse(changes)
        if fault := fault_in(changes, writes):
            self._commit_failures += 1
            raise CommitRefused(fault, data_error=True)
        try:
            await self._commit(
                queries.commit_arguments(retreat_id, expected_revision, repeatable, changes, writes)
            )
        except BaseException as error:
            self._commit_failures += 1
            if isinstance(error, ServerRefused):
                raise await self._refusal(error, retreat_id, changes, repeatable) from None
            raise
        self._commits += 1

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """Return what the log has of these command ids."""
        rows = await self._sessions.fetch(queries.COMMANDS, retreat_id, list(ids))
        entries = [queries.log_entry(row) for row in rows]
        return {entry.command_id: entry for entry in entries}

    async def reserve_memo_ids(self, count: int) -> range:
        """Reserve ``count`` fresh memo ids; those not used are lost, which is fine.

        :raises ValueError: ``count`` is not positive.
        """
        if count < 1:
            raise ValueError("at least one memo id must be reserved")
        rows = await self._sessions.fetch(queries.RESERVE_MEMO_IDS, count)
        return range(rows[0]["lowest"], rows[0]["lowest"] + count)

    async def log(
        self, retreat_id: int, *, after_revision: int = 0, limit: int = 1_000
    ) -> list[LogEntry]:
        """Return at most ``limit`` log entries after ``after_revision``, ascending."""
        rows = await self._sessions.fetch(queries.LOG, retreat_id, after_revision, limit)
        return [queries.log_entry(row) for row in rows]

    async def role_in_retreat(self, slug: str, user_id: int) -> str | None:
        """Return the role that a grant gives this user in this retreat, if there is one."""
        if not _is_storable(slug) or user_id not in INT8:
            return None
        rows = await self._sessions.fetch(queries.ROLE, slug, user_id)
        return rows[0]["role"] if rows else None

    async def update_session_locations(self, places: Mapping[str, SessionLocation | None]) -> None:
        """Note where sessions are, or forget it, in one transaction; see the protocol.

        :raises CommitRefused: the database refused; nothing has changed.
        :raises OutcomeUnknown: connection lost or time-out under way; it may be repeated.
        """
        arguments = queries.place_arguments(places)

        async def update(session: Session) -> None:
            deadline = trio.current_time() + self._patience.commit
            await session.fetch(queries.UPDATE_PLACES, *arguments, deadline=deadline)

        await self._write(update)

    async def find_session_location(self, sid: str) -> SessionLocation | None:
        """Return where a session is, if that was noted and neither forgotten nor pruned."""
        rows = await self._sessions.fetch(queries.PLACE, queries.session_key(sid))
        return queries.place(rows[0]) if rows else None

    async def prune_session_locations(self, age: float) -> int:
        """Forget the places noted longer ago than ``age`` seconds; return how many.

        :raises OutcomeUnknown: the connection was lost under way.
        """

        async def prune(session: Session) -> int:
            deadline = trio.current_time() + self._patience.read
            rows = await session.fetch(queries.PRUNE_PLACES, age, deadline=deadline)
            return int(rows[0]["pruned"])

        return await self._write(prune)

    async def ping(self) -> None:
        """Return once the database has answered and we are its only server."""
        await self._sessions.wait_for_lease(trio.current_time() + self._patience.connect)
        await self._sessions.fetch("SELECT 1")

    async def wait_interrupted(self, seen: int) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`: the lock was lost and taken again."""
        return await self._sessions.lease.wait_retaken(seen)

    async def retreats(self) -> list[str]:
        """Return the slugs of all retreats, sorted."""
        return [row["slug"] for row in await self._sessions.fetch(queries.SLUGS)]

    async def import_retreat(
        self, seed: RetreatSeed, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Add a retreat at revision 0, whole or not at all, and return its id.

        :param progress: called with the people done so far and in all.
        :raises RetreatExists: there is one with this slug.
        :raises ValueError: the parts of the seed do not fit together.
        :raises CommitRefused: the database does not take one of the values.
        :raises OutcomeUnknown: the connection was lost under way.
        """

        async def add(session: Session) -> int:
            return await Import(session, seed, patience=self._patience.read).run(progress)

        return await self._write(add)

    async def delete_retreat(self, slug: str) -> bool:
        """Remove a retreat with its log, and say whether there was one.

        The people stay: they are not the retreat's alone.
        """
        if not _is_storable(slug):
            return False

        async def delete(session: Session) -> bool:
            deadline = trio.current_time() + self._patience.read
            return bool(await session.fetch(queries.DELETE, slug, deadline=deadline))

        return await self._write(delete)

    async def new_epoch(self, slug: str | None = None) -> int:
        """Give one retreat, or all of them, a new epoch, and return how many got one.

        To be done after a backup was restored: revisions that clients have seen may come
        again, with other content.
        """
        if slug is not None and not _is_storable(slug):
            return 0

        async def renew(session: Session) -> int:
            deadline = trio.current_time() + self._patience.read
            return len(await session.fetch(queries.NEW_EPOCH, slug, deadline=deadline))

        return await self._write(renew)

    def statistics(self) -> StoreStatistics:
        """Return counters; never blocks."""
        pool = self._sessions.pool.statistics()
        return StoreStatistics(
            kind="postgres",
            available=self._sessions.reachable and self._sessions.lease.held,
            commits=self._commits,
            commit_failures=self._commit_failures,
            unknown_outcomes=self._unknown_outcomes,
            terminated_connections=self._bridge.counters.terminated,
            open_connections=pool.open + self._sessions.lease.held,
            idle_connections=pool.idle,
            background_errors=self._bridge.counters.background_errors,
        )

    # ---- how it is done

    async def _check(self, migrate_patience: float | None) -> None:
        """Refuse a database that is not safe or not of this version."""
        deadline = trio.current_time() + self._patience.connect
        session = await connect_patiently(self._sessions.connect_plainly, deadline)
        migrations = shipped_migrations()
        try:
            await check_safety(session, deadline=deadline)
            if migrate_patience is not None:
                self.migrated = tuple(await migrate(session, migrations, patience=migrate_patience))
            elif pending := await pending_migrations(session, migrations, deadline=deadline):
                raise SchemaMismatch(
                    f"the database's schema lacks {len(pending)} of {len(migrations)} migrations; "
                    "migrate it first"
                )
        except (ConnectionLost, ServerRefused) as error:
            raise StoreUnavailable(f"the database cannot be prepared: {error}") from None
        finally:
            with trio.CancelScope(shield=True):
                await session.close(deadline=trio.current_time() + _CLOSING_TIME)

    async def _commit(self, arguments: tuple[object, ...]) -> None:
        """Run the commit, again where it is certain that it had no effect."""
        deadline = trio.current_time() + self._patience.commit
        for attempt in count(1):
            await self._sessions.wait_for_lease(deadline)
            try:
                async with self._sessions.lend(deadline) as session:
                    try:
                        await session.fetch(queries.COMMIT, *arguments, deadline=deadline)
                    except trio.Cancelled:
                        self._unknown_outcomes += session.lost.is_set()
                        raise
            except ServerRefused as error:
                if error.sqlstate not in _TRY_AGAIN or attempt == _ATTEMPTS:
                    raise
            except ConnectionLost as error:
                if error.sent:
                    self._unknown_outcomes += 1
                    raise OutcomeUnknown(f"the answer to a commit was lost: {error}") from None
                if attempt == _ATTEMPTS:
                    raise StoreUnavailable(f"the database cannot be reached: {error}") from None
            else:
                return

    async def _refusal(
        self,
        error: ServerRefused,
        retreat_id: int,
        changes: Sequence[Change],
        repeatable: Collection[UUID],
    ) -> StaleRevision | RepeatedCommands | CommitRefused:
        """Return what a server's error means for the caller of a commit."""
        if error.sqlstate == _STALE or error.constraint == _ONE_LIVE_MEMO:
            return StaleRevision(str(error))
        if error.sqlstate == _REPEATED:
            return RepeatedCommands(await self.find_commands(retreat_id, repeatable))
        if error.constraint == _COMMAND_ID:
            ids = [change.command_id for change in changes]
            if entries := await self.find_commands(retreat_id, ids):
                return RepeatedCommands(entries)
        return _refused(error)

    async def _write(self, change: Callable[[Session], Awaitable[T]]) -> T:
        """Run a transaction that is no commit of a room."""
        deadline = trio.current_time() + self._patience.connect
        await self._sessions.wait_for_lease(deadline)
        try:
            async with self._sessions.lend(deadline) as session:
                return await change(session)
        except ServerRefused as error:
            raise _refused(error) from None
        except ConnectionLost as error:
            if error.sent:
                raise OutcomeUnknown(f"the answer of the database was lost: {error}") from None
            raise StoreUnavailable(f"the database cannot be reached: {error}") from None


def _refused(error: ServerRefused) -> CommitRefused:
    return CommitRefused(str(error), data_error=error.sqlstate.startswith(_DATA_ERRORS))


def _is_storable(text: str) -> bool:
    """Return whether PostgreSQL could hold this text: if not, it holds it nowhere."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
