"""Retreats in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import trio

from gbs_actor.concurrency import background
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.records import Retreat
from gbs_actor.lineup.schedules import Schedule, ScheduleKind
from gbs_actor.observability import RecentHistogram
from gbs_actor.settings import RoomSettings, StoreSettings
from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord
from gbs_actor.store.history import HistoryQuery, StoredGroup
from gbs_actor.store.limits import is_storable
from gbs_actor.store.postgres import audit, history, queries
from gbs_actor.store.postgres.adoption import Plan, adopt
from gbs_actor.store.postgres.commit import Commits
from gbs_actor.store.postgres.commit_statements import COMMIT
from gbs_actor.store.postgres.connection import (
    ConnectionLost,
    DbConnection,
    Row,
    ServerRefused,
)
from gbs_actor.store.postgres.database import CLOSE_TIMEOUT, Database, Timeouts
from gbs_actor.store.postgres.deltas import Deltas
from gbs_actor.store.postgres.held_rows import held_rows
from gbs_actor.store.postgres.importing import Import
from gbs_actor.store.postgres.locking import Locks
from gbs_actor.store.postgres.migrate import (
    Migration,
    check_schema,
    migrate,
    pending_migrations,
    shipped_migrations,
)
from gbs_actor.store.postgres.nodes import PostgresNodes
from gbs_actor.store.postgres.outside import Outside
from gbs_actor.store.postgres.pool import connect_with_retries
from gbs_actor.store.postgres.safety import check_safety
from gbs_actor.store.postgres.session_locations import SessionLocationTable
from gbs_actor.store.protocol import (
    Attempt,
    Delta,
    LockedRetreat,
    Progress,
    RetreatVersion,
    SessionRecord,
    StoreStatistics,
    StoreUnavailable,
)
from gbs_actor.store.rows import RowKey
from gbs_actor.store.seed.seed import RetreatSeed

_ROOMS, _STORE = RoomSettings(), StoreSettings()

MIGRATION_WAIT: Final = 60.0
"""Seconds that a migration waits, in all, for other programs to release their locks."""
PRUNE_CHUNK: Final = 1_000
"""How many log entries one transaction of a pruning removes at most."""
_MEMO_ID_DRAWS: Final = 12
"""How often memo ids are drawn, each time twice as many, until enough of them are free."""


class PostgresStore:
    """Implements :class:`~gbs_actor.store.protocol.AdminStore` on PostgreSQL.

    Opened by :meth:`open` only. Every call is bounded in time, in any state of the database.
    After a failure the next call succeeds as soon as the database is available again.
    """

    def __init__(self, dsn: str, *, timeouts: Timeouts, pool_size: int, node: str | None) -> None:
        self._timeouts = timeouts
        self._node = node
        self._migrations = shipped_migrations()
        self._database = Database(
            dsn,
            timeouts=timeouts,
            pool_size=pool_size,
            schema_version=len(self._migrations),
            check=self._check,
            prepare=(COMMIT,),
            node=node,
        )
        self._outside = Outside(self._database)
        self._deltas = Deltas(self._database, self._outside)
        self._commits = Commits(
            self._database, self._deltas, self._outside, timeout=timeouts.commit
        )
        # Reads, and the commits of the other rooms, find a connection meanwhile.
        most = max(1, pool_size - 2)
        self._locks = Locks(
            self._database, self._deltas, self._commits, most=most, timeout=timeouts.commit
        )
        self._session_locations = SessionLocationTable(self._database, timeout=timeouts.commit)
        self.nodes = PostgresNodes(self._database, timeouts.read)
        """The servers on the database."""
        self.migrated: tuple[Migration, ...] = ()
        """The migrations that were applied when the store was opened."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        *,
        commit_timeout: float = _ROOMS.commit_timeout,
        read_timeout: float = _STORE.read_timeout,
        database_connect_timeout: float = _STORE.database_connect_timeout,
        lock_timeout: float = _STORE.lock_timeout,
        migrate_timeout: float = 60.0,
        pool_size: int = _STORE.pool_size,
        node: str | None = _STORE.node,
        migrating: bool = False,
    ) -> AsyncIterator[PostgresStore]:
        """Open a store within the block, as the only server of its database or one of several.

        :param dsn: ``postgresql://…``; it appears in no message, since it may hold a password.
        :param commit_timeout: seconds until a commit without a reply counts as unknown.
        :param read_timeout: seconds for reads.
        :param database_connect_timeout: seconds to wait for a connection.
        :param lock_timeout: seconds to wait for another server to release the database.
        :param migrate_timeout: seconds that each migration may take.
        :param pool_size: connections at most, besides the one that holds the lease.
        :param node: the name of this server among several; ``None``: it is to be the only one.
        :param migrating: bring the schema up to date instead of refusing an older one. Servers
            that it is not compatible with may not run meanwhile.
        :raises StoreUnavailable: the database cannot be reached.
        :raises UnsafeDatabase: it may lose what it confirms.
        :raises SchemaMismatch: its schema is not one that this program can serve.
        :raises DatabaseInUse: another server serves it alone, has the same name, or is in the way
            of a migration.
        :raises LocksHeld: another program is in the way of a migration.
        """
        timeouts = Timeouts(commit_timeout, read_timeout, database_connect_timeout)
        store = cls(dsn, timeouts=timeouts, pool_size=pool_size, node=node)
        try:
            if migrating:
                await store._migrate(lock_timeout, migrate_timeout, MIGRATION_WAIT)
            # Before the pool opens: its connections cache the types they have read.
            await store._database.lease.take(lock_timeout)
            async with background(store._database.lease.keep):
                yield store
        finally:
            await store._database.aclose()

    @classmethod
    async def migrate(
        cls,
        dsn: str,
        *,
        database_connect_timeout: float = _STORE.database_connect_timeout,
        lock_timeout: float = _STORE.lock_timeout,
        migrate_timeout: float = 60.0,
        wait: float = MIGRATION_WAIT,
    ) -> Sequence[Migration]:
        """Bring a database's schema up to date, beside servers that it is compatible with.

        :param lock_timeout: seconds to wait for other servers to end.
        :param migrate_timeout: seconds that each migration may take.
        :param wait: seconds to wait, in all, for other programs to release their locks.
        :returns: what was applied.
        :raises StoreError: as of :meth:`open`.
        """
        timeouts = Timeouts(migrate_timeout, migrate_timeout, database_connect_timeout)
        store = cls(dsn, timeouts=timeouts, pool_size=1, node=None)
        await store._migrate(lock_timeout, migrate_timeout, wait)
        return store.migrated

    @classmethod
    async def adopt(
        cls,
        dsn: str,
        *,
        role: str | None = None,
        apply: bool = False,
        database_connect_timeout: float = _STORE.database_connect_timeout,
        lock_timeout: float = _STORE.lock_timeout,
        migrate_timeout: float = 60.0,
        wait: float = MIGRATION_WAIT,
    ) -> Plan:
        """Return what a database that other programs have made lacks, and add it if asked to.

        :param role: the user of the servers; ``None``: that of the address.
        :param lock_timeout, migrate_timeout, wait: see :meth:`migrate`.
        :raises StoreError: as of :meth:`open`; nothing was changed.
        """
        timeouts = Timeouts(migrate_timeout, migrate_timeout, database_connect_timeout)
        store = cls(dsn, timeouts=timeouts, pool_size=1, node=None)
        async with (
            store._preparing() as (connection, deadline),
            store._preparing() as (observer, _),
        ):
            await check_safety(connection, deadline=deadline)
            return await adopt(
                connection,
                store._migrations,
                role=role,
                apply=apply,
                step_timeout=migrate_timeout,
                servers_wait=lock_timeout,
                locks_wait=wait,
                observer=observer,
            )

    # -- what rooms need

    @property
    def shared(self) -> bool:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return self._node is not None

    @property
    def written_by_others(self) -> bool:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return True

    async def load(self, slug: str) -> Retreat | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if not is_storable(slug):
            return None

        async def read(connection: DbConnection, deadline: float) -> Retreat | None:
            mode = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
            if await self._deltas.head(connection, slug, deadline=deadline) is None:
                return None
            async with connection.transaction(mode, deadline=deadline):
                heads = await connection.fetch(queries.RETREAT, slug, deadline=deadline)
                if not heads:
                    return None
                version = self._deltas.version(heads[0], connection)
                key = version.id
                groups = await connection.fetch(queries.GROUPS, key, deadline=deadline)
                people = await connection.fetch(queries.REGISTRATIONS, key, deadline=deadline)
            return queries.retreat(slug, version, groups, people)

        return await self._database.read(read)

    async def version(self, slug: str) -> RetreatVersion | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if not is_storable(slug):
            return None

        async def read(connection: DbConnection, deadline: float) -> RetreatVersion | None:
            return await self._deltas.head(connection, slug, deadline=deadline)

        return await self._database.read(read)

    async def commit(self, attempt: Attempt) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`.

        It ends within ``commit_timeout``. Cancellation ends it at once, together
        with its connection; the commit may nevertheless take effect.
        """
        return await self._commits.run(attempt)

    def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AbstractAsyncContextManager[LockedRetreat]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return self._locks.hold(retreat_id, epoch, revision)

    async def held_rows(self, retreat_id: int, rows: Collection[RowKey]) -> frozenset[RowKey]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await held_rows(self._database, self._outside, retreat_id, rows)

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._deltas.delta(retreat_id, epoch, revision)

    async def versions(self, retreat_ids: Collection[int]) -> dict[int, RetreatVersion]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._deltas.versions(retreat_ids)

    async def absorb(self) -> Collection[int]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._outside.absorb()

    @property
    def absorb_lag(self) -> RecentHistogram:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return self._outside.lag

    async def committed(self, retreat_id: int, attempt_id: UUID) -> bool:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return bool(await self._database.fetch(queries.COMMITTED, retreat_id, attempt_id))

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(queries.COMMANDS, retreat_id, list(ids))
        entries = [queries.log_entry(row) for row in rows]
        return {entry.command_id: entry for entry in entries}

    async def reserve_memo_ids(self, count: int) -> Sequence[int]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if count < 1:
            raise ValueError("at least one memo id must be reserved")
        ids: list[int] = []
        for doublings in range(_MEMO_ID_DRAWS):
            rows = await self._database.fetch(queries.DRAW_MEMO_IDS, count << doublings)
            ids.extend(row["id"] for row in rows)
            if len(ids) >= count:
                return ids[:count]
        raise StoreUnavailable("the sequence of memo ids is far behind the memos that there are")

    async def log(
        self, retreat_id: int, *, after_revision: int = 0, limit: int = 1_000
    ) -> list[LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(queries.LOG, retreat_id, after_revision, limit)
        return [queries.log_entry(row) for row in rows]

    async def entry(self, retreat_id: int, key: UUID | int) -> LogEntry | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        by_command = isinstance(key, UUID)
        sql = history.ENTRY_BY_COMMAND if by_command else history.ENTRY_BY_REVISION
        rows = await self._database.fetch(sql, retreat_id, key)
        return queries.log_entry(rows[0]) if rows else None

    async def pruned_revision(self, retreat_id: int) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(queries.PRUNED_REVISION, retreat_id)
        return rows[0]["pruned_revision"] if rows else 0

    # -- what the gateway and health checks need

    async def history(self, retreat_id: int, query: HistoryQuery) -> list[LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        arguments = history.read_arguments(retreat_id, query)
        rows = await self._database.fetch(history.READ, *arguments)
        return [queries.log_entry(row) for row in rows]

    async def revision_at(self, retreat_id: int, at: datetime) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(history.REVISION_AT, retreat_id, at)
        return rows[0]["revision"] if rows else 0

    async def groups(self, slug: str) -> dict[int, StoredGroup]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if not is_storable(slug):
            return {}
        rows = await self._database.fetch(history.GROUPS, slug)
        return {row["number"]: StoredGroup(row["id"], row["created_at"]) for row in rows}

    async def titles(self, slug: str | None = None) -> dict[str, str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if slug is not None and not is_storable(slug):
            return {}
        rows = await self._database.fetch(queries.TITLES, slug)
        return {row["slug"]: row["title"] for row in rows}

    async def schedules(self, slug: str) -> tuple[Schedule, ...]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if not is_storable(slug):
            return ()
        rows = await self._database.fetch(queries.SCHEDULES, slug)
        return tuple(
            Schedule(row["id"], row["starts_at"], ScheduleKind(row["kind"]), row["name"])
            for row in rows
        )

    async def slug_of_registration(self, registration_id: int) -> str | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(queries.SLUG_OF_REGISTRATION, registration_id)
        return rows[0]["slug"] if rows else None

    async def slug_of_memo(self, memo_id: int) -> str | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(queries.SLUG_OF_MEMO, memo_id)
        return rows[0]["slug"] if rows else None

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        known = [slug for slug in slugs if is_storable(slug)]
        found: dict[str, dict[int, str]] = {}
        for row in await self._database.fetch(queries.GRANTS, known):
            found.setdefault(row["slug"], {})[row["user_id"]] = row["role"]
        return found

    async def update_session_locations(self, records: Mapping[str, SessionRecord]) -> set[str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._session_locations.update(records)

    async def find_session_location(self, sid: str) -> SessionRecord:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._session_locations.find(sid)

    async def take_over_session(self, sid: str) -> SessionRecord:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._session_locations.take_over(sid)

    async def sessions_taken_over(self, generations: Mapping[str, int]) -> set[str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._session_locations.taken_over(generations)

    async def prune_session_locations(self, age: float) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._session_locations.prune(age)

    async def ping(self) -> None:
        """Return once the database has responded and this server may serve it."""
        await self._database.wait_for_lease(trio.current_time() + self._timeouts.connect)
        await self._database.fetch("SELECT 1")

    async def check_write(self) -> None:
        """See :class:`~gbs_actor.store.protocol.Store`. Does not wait for the lock."""
        if not self._database.lease.held:
            raise StoreUnavailable("this server does not hold the lock on the database")
        await self._write(queries.WRITE_CHECK)

    async def append_audit(self, entries: Mapping[UUID, AuditEntry]) -> None:
        """See :class:`~gbs_actor.store.protocol.Store`. One statement."""
        await self._write(audit.APPEND, *audit.append_arguments(entries))

    async def audit(self, query: AuditQuery) -> list[AuditRecord]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        rows = await self._database.fetch(audit.READ, *audit.read_arguments(query))
        return [audit.record(row) for row in rows]

    async def wait_interrupted(self, seen: int) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`: the lock was lost and taken again."""
        return await self._database.lease.wait_retaken(seen)

    @property
    def identity(self) -> str:
        """Of the database, short: the same for all servers on it, and behind a failover."""
        return self._database.lease.identity

    @property
    def name_taken(self) -> bool:
        """Whether another process has the name of this server, as far as is known.

        It is not while the database is away: nobody can take the name then.
        """
        return self._database.lease.name_taken

    def statistics(self) -> StoreStatistics:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        pool = self._database.pool.statistics()
        return StoreStatistics(
            kind="postgres",
            available=self._database.reachable and self._database.lease.held,
            commits=self._commits.succeeded,
            commit_failures=self._commits.failed,
            unknown_outcomes=self._commits.unknown,
            terminated_connections=self._database.counters.terminated,
            open_connections=pool.open + self._database.lease.held,
            idle_connections=pool.idle,
            busy_connections=pool.open - pool.idle,
            waiting=pool.waiting,
            lease_held=self._database.lease.held,
        )

    # -- what operators need

    async def retreats(self) -> list[str]:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        return [row["slug"] for row in await self._database.fetch(queries.SLUGS)]

    async def import_retreat(self, seed: RetreatSeed, progress: Progress | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""

        async def add(connection: DbConnection) -> int:
            return await Import(connection, seed, timeout=self._timeouts.read).run(progress)

        return await self._database.write(add)

    async def delete_retreat(self, slug: str) -> bool:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        return is_storable(slug) and bool(await self._write(queries.DELETE, slug))

    async def new_epoch(self, slug: str | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        if slug is not None and not is_storable(slug):
            return 0
        return len(await self._write(queries.NEW_EPOCH, slug))

    async def prune_log(self, before: datetime, progress: Progress | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`.

        Each chunk is a transaction of its own. It locks the retreat's row, as a commit does,
        for some milliseconds.
        """
        prefixes = await self._database.fetch(queries.PRUNABLE, before)
        total = sum(row["last"] - row["pruned_revision"] for row in prefixes)
        done = pruned = 0
        for row in prefixes:
            first, last = row["pruned_revision"], row["last"]
            while first < last:
                through = min(first + PRUNE_CHUNK, last)
                rows = await self._write(queries.PRUNE_LOG, row["id"], through)
                pruned += rows[0]["pruned"]
                done += through - first
                first = through
                if progress is not None:
                    progress(done, total)
        return pruned

    async def prune_audit(self, before: datetime) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        rows = await self._write(audit.PRUNE, before)
        return int(rows[0]["pruned"])

    # -- how it is done

    async def _check(self, connection: DbConnection, deadline: float) -> None:
        """Refuse a database that is not safe, or that this version cannot serve."""
        await check_safety(connection, deadline=deadline)
        await check_schema(connection, self._migrations, deadline=deadline)

    async def _migrate(self, servers_wait: float, migrate_timeout: float, wait: float) -> None:
        async with self._preparing() as (connection, deadline):
            await check_safety(connection, deadline=deadline)
            if not await pending_migrations(connection, self._migrations, deadline=deadline):
                return
            async with self._preparing() as (observer, _):
                applied = await migrate(
                    connection,
                    self._migrations,
                    step_timeout=migrate_timeout,
                    servers_wait=servers_wait,
                    locks_wait=wait,
                    observer=observer,
                )
        self.migrated = tuple(applied)

    @asynccontextmanager
    async def _preparing(self) -> AsyncIterator[tuple[DbConnection, float]]:
        """Open a connection that is none of the pool; the second value is the deadline."""
        deadline = trio.current_time() + self._timeouts.connect
        connection = await connect_with_retries(self._database.connect_without_limits, deadline)
        try:
            yield connection, deadline
        except (ConnectionLost, ServerRefused) as error:
            raise StoreUnavailable(f"the database cannot be prepared: {error}") from None
        finally:
            with trio.CancelScope(shield=True):
                await connection.close(deadline=trio.current_time() + CLOSE_TIMEOUT)

    async def _write(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Run one statement that changes something, and return its rows."""

        async def change(connection: DbConnection) -> Sequence[Row]:
            deadline = trio.current_time() + self._timeouts.read
            return await connection.fetch(sql, *arguments, deadline=deadline)

        return await self._database.write(change)
