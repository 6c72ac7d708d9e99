"""A store that keeps everything in memory: for tests, demos and as the contract's model."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count, islice
from types import MappingProxyType
from uuid import UUID

import trio
from msgspec import structs

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.records import Group, Registration, Retreat
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.observability import DURATION_BOUNDS, RecentHistogram
from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord
from gbs_actor.store.history import HistoryQuery, StoredGroup
from gbs_actor.store.limits import fault_in
from gbs_actor.store.memory_lock import Hold
from gbs_actor.store.memory_nodes import MemoryNodes
from gbs_actor.store.memory_outside import absorb
from gbs_actor.store.memory_retreat import StoredRetreat
from gbs_actor.store.memory_sessions import MemorySessions
from gbs_actor.store.protocol import (
    Attempt,
    CommitRefused,
    Delta,
    LockedRetreat,
    LockLost,
    Progress,
    RetreatExists,
    RetreatVersion,
    SessionRecord,
    StoreStatistics,
    StoreUnavailable,
)
from gbs_actor.store.rows import RowKey
from gbs_actor.store.seed.layout import lay_out
from gbs_actor.store.seed.seed import RetreatSeed
from gbs_actor.store.writes import check_revisions, collapse


class _Ids:
    """Ids counted from 1, as fresh sequences of a database give them."""

    def __init__(self) -> None:
        self._univ_groups: dict[int, int] = {}
        self._grades: dict[tuple[int, int], int] = {}
        self.schedules: Iterator[int] = count(1)
        self.users: Iterator[int] = count(1)
        self.registrations: Iterator[int] = count(1)
        self.memos: Iterator[int] = count(1)
        self.audit: Iterator[int] = count(1)
        self.groups: Iterator[int] = count(1)

    def univ_group(self, number: int) -> int:
        return self._univ_groups.setdefault(number, len(self._univ_groups) + 1)

    def grade(self, univ_group_number: int, grade_number: int) -> int:
        return self._grades.setdefault((univ_group_number, grade_number), len(self._grades) + 1)


class MemoryStore:
    """Implements :class:`~gbs_actor.store.protocol.AdminStore` without a database.

    Deterministic: ids count from 1 in the order of the calls. Every async method is a
    checkpoint *before* it does anything, so a cancelled one had no effect at all, a
    commit included.

    :param identity: the epochs are derived from it; by default a new one, since
        revisions start anew with every memory store.
    :param environment: where times, and the identity by default, come from.
    :param shared: see :attr:`shared`.
    :param written_by_others: see :attr:`written_by_others`.
    """

    def __init__(
        self,
        *,
        identity: str | None = None,
        environment: Environment = SYSTEM,
        shared: bool = False,
        written_by_others: bool = False,
    ) -> None:
        self.shared = shared
        """Whether several supervisors of this process use it at the same time."""
        self.nodes = MemoryNodes(self._contact)
        """The servers on it."""
        self.written_by_others = written_by_others
        """Whether :meth:`write_outside` is to be noticed without a commit."""
        self._written: set[int] = set()
        self._environment = environment
        self._identity = environment.entropy(8).hex() if identity is None else identity
        self._ids = _Ids()
        self._retreat_ids = count(1)
        self._epochs = count(1)
        self._by_slug: dict[str, StoredRetreat] = {}
        self._by_id: dict[int, StoredRetreat] = {}
        self._sessions = MemorySessions()
        self._audit: dict[UUID, AuditRecord] = {}
        self._commits = 0
        self._commit_failures = 0

    async def _contact(self) -> None:
        """Do what each call begins with: a checkpoint here, more where calls can fail."""
        await trio.lowlevel.checkpoint()

    @property
    def slugs(self) -> tuple[str, ...]:
        """The retreats, the oldest first; reads without a checkpoint."""
        return tuple(self._by_slug)

    async def load(self, slug: str) -> Retreat | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_slug.get(slug)
        if stored is None:
            return None
        return Retreat(
            id=stored.id,
            slug=slug,
            revision=stored.revision,
            epoch=stored.epoch,
            registrations=tuple(stored.registrations.values()),
            groups=MappingProxyType(dict(stored.groups)),
            removal_revision=stored.removal_revision,
        )

    async def version(self, slug: str) -> RetreatVersion | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_slug.get(slug)
        return None if stored is None else stored.version

    async def versions(self, retreat_ids: Collection[int]) -> dict[int, RetreatVersion]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return {key: self._by_id[key].version for key in retreat_ids if key in self._by_id}

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        return None if stored is None else stored.delta(epoch, revision)

    async def absorb(self) -> Collection[int]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        written = frozenset(self._written)
        self._written.clear()
        return written

    @property
    def absorb_lag(self) -> RecentHistogram:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return RecentHistogram(DURATION_BOUNDS)  # it has what others write at once

    def write_outside(
        self,
        slug: str,
        registrations: Iterable[Registration] = (),
        *,
        removed: Iterable[int] = (),
        whole: bool = False,
    ) -> None:
        """Change a retreat as another program may do it in a database, in one step.

        :param registrations: changed and new ones, in groups that there are; their stamps and
            revisions do not count.
        :param removed: ids of registrations.
        :param whole: whether more has changed than is known.
        :raises KeyError: there is no such retreat.
        """
        stored, environment = self._by_slug[slug], self._environment
        absorb(
            *(stored, registrations, removed),
            whole=whole,
            command_id=environment.uuid(),
            at=environment.now(),
        )
        self._written.add(stored.id)

    async def committed(self, retreat_id: int, attempt_id: UUID) -> bool:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        return stored is not None and attempt_id in stored.attempts

    async def commit(self, attempt: Attempt) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        check_revisions(attempt.expected_revision, attempt.changes)
        await trio.lowlevel.checkpoint()
        await self._wait_unlocked(attempt.retreat_id)
        return self._commit_and_count(attempt)

    @asynccontextmanager
    async def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        if stored is None:
            raise StoreUnavailable(f"there is no retreat {retreat_id}")
        hold = await stored.lock.acquire()
        try:
            delta = None if stored.is_at(epoch, revision) else stored.delta(epoch, revision)
            yield _LockedRetreat(delta, hold, stored, self._commit_and_count)
        finally:
            hold.release()

    async def held_rows(self, retreat_id: int, rows: Collection[RowKey]) -> frozenset[RowKey]:
        """Return none: there are no other programs."""
        await self._contact()
        return frozenset()

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        return {} if stored is None else stored.select(ids)

    async def reserve_memo_ids(self, count: int) -> Sequence[int]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        if count < 1:
            raise ValueError("at least one memo id must be reserved")
        await self._contact()
        ids = list(islice(self._ids.memos, count))
        return range(ids[0], ids[-1] + 1)

    async def log(
        self, retreat_id: int, *, after_revision: int = 0, limit: int = 1_000
    ) -> list[LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        if stored is None:
            return []
        later = (entry for entry in stored.log if entry.revision > after_revision)
        return list(islice(later, limit))

    async def entry(self, retreat_id: int, key: UUID | int) -> LogEntry | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        if stored is None:
            return None
        if isinstance(key, UUID):
            return stored.commands.get(key)
        return next((entry for entry in stored.log if entry.revision == key), None)

    async def history(self, retreat_id: int, query: HistoryQuery) -> list[LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        return [] if stored is None else stored.history(query)

    async def revision_at(self, retreat_id: int, at: datetime) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_id.get(retreat_id)
        entries = () if stored is None else stored.log
        return max((entry.revision for entry in entries if entry.at <= at), default=0)

    async def groups(self, slug: str) -> dict[int, StoredGroup]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_slug.get(slug)
        if stored is None:
            return {}
        return {
            number: stored.stored_groups[number]
            for number, group in sorted(stored.groups.items())
            if not group.deleted
        }

    async def titles(self, slug: str | None = None) -> dict[str, str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return {
            each: stored.title
            for each, stored in reversed(self._by_slug.items())
            if slug in (None, each)
        }

    async def schedules(self, slug: str) -> tuple[Schedule, ...]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        stored = self._by_slug.get(slug)
        return () if stored is None else stored.schedules

    async def slug_of_registration(self, registration_id: int) -> str | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._slug_where(lambda stored: registration_id in stored.registrations)

    async def slug_of_memo(self, memo_id: int) -> str | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._slug_where(lambda stored: memo_id in stored.memos)

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return {
            slug: dict(stored.roles)
            for slug in slugs
            if (stored := self._by_slug.get(slug)) is not None and stored.roles
        }

    async def update_session_locations(self, records: Mapping[str, SessionRecord]) -> set[str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._sessions.update(records)

    async def find_session_location(self, sid: str) -> SessionRecord:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._sessions.find(sid)

    async def take_over_session(self, sid: str) -> SessionRecord:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._sessions.take_over(sid)

    async def sessions_taken_over(self, generations: Mapping[str, int]) -> set[str]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._sessions.taken_over(generations)

    async def prune_session_locations(self, age: float) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        return self._sessions.prune(age)

    async def ping(self) -> None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()

    async def check_write(self) -> None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()

    async def append_audit(self, entries: Mapping[UUID, AuditEntry]) -> None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        for key, entry in entries.items():
            if key not in self._audit:
                number = next(self._ids.audit)
                self._audit[key] = AuditRecord(id=number, **structs.asdict(entry))

    async def audit(self, query: AuditQuery) -> list[AuditRecord]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        await self._contact()
        wanted = (
            record
            for record in reversed(self._audit.values())
            if (query.before is None or record.id < query.before)
            and (query.operator is None or _is_of(query.operator, record))
            and record.action.startswith(query.action or "")
            and query.target in (None, record.target)
        )
        return list(islice(wanted, query.limit))

    async def prune_audit(self, before: datetime) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        old = [key for key, record in self._audit.items() if record.at < before]
        for key in old:
            del self._audit[key]
        return len(old)

    async def wait_interrupted(self, seen: int) -> int:
        """Wait until cancelled: no other process has this memory."""
        await trio.sleep_forever()

    async def retreats(self) -> list[str]:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        return sorted(self._by_slug)

    async def import_retreat(self, seed: RetreatSeed, progress: Progress | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        if seed.slug in self._by_slug:
            raise RetreatExists(seed.slug)
        layout = lay_out(seed, self._ids)
        stored = StoredRetreat(
            id=next(self._retreat_ids),
            title=seed.title,
            epoch=self._fresh_epoch(),
            registrations={registration.id: registration for registration in layout.registrations},
            groups={number: Group(number, memo) for number, memo in layout.group_memos},
            stored_groups={
                number: StoredGroup(next(self._ids.groups), self._environment.now())
                for number, _ in layout.group_memos
            },
            schedules=layout.schedules,
            roles=dict(seed.grants),
            memos={each.memo.id for each in layout.registrations if each.memo is not None},
        )
        self._by_slug[seed.slug] = self._by_id[stored.id] = stored
        if progress is not None:
            progress(len(seed.people), len(seed.people))
        return stored.id

    async def delete_retreat(self, slug: str) -> bool:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        stored = self._by_slug.get(slug)
        if stored is None:
            return False
        await stored.lock.wait_free()
        del self._by_slug[slug], self._by_id[stored.id]
        return True

    async def new_epoch(self, slug: str | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        chosen = [stored for key, stored in self._by_slug.items() if slug is None or key == slug]
        for stored in chosen:
            await stored.lock.wait_free()
            stored.epoch = self._fresh_epoch()
        return len(chosen)

    async def prune_log(self, before: datetime, progress: Progress | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        pruned = sum(stored.prune(before) for stored in self._by_id.values())
        if progress is not None and pruned:
            progress(pruned, pruned)
        return pruned

    async def pruned_revision(self, retreat_id: int) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        await trio.lowlevel.checkpoint()
        stored = self._by_id.get(retreat_id)
        return 0 if stored is None else stored.pruned_revision

    def statistics(self) -> StoreStatistics:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return StoreStatistics(
            kind="memory",
            available=True,
            commits=self._commits,
            commit_failures=self._commit_failures,
            unknown_outcomes=0,
            terminated_connections=0,
            open_connections=0,
            idle_connections=0,
            busy_connections=0,
            waiting=0,
            lease_held=True,
        )

    def _slug_where(self, holds: Callable[[StoredRetreat], bool]) -> str | None:
        return next((slug for slug, stored in self._by_slug.items() if holds(stored)), None)

    def _fresh_epoch(self) -> str:
        return f"{self._identity}-{next(self._epochs)}"

    async def _wait_unlocked(self, retreat_id: int) -> None:
        """Wait until nobody holds the lock of a retreat, if there is that retreat.

        No checkpoint lies between the moment when it is free and the return.
        """
        stored = self._by_id.get(retreat_id)
        if stored is not None:
            await stored.lock.wait_free()

    def _commit_and_count(self, attempt: Attempt) -> Delta | None:
        """Commit in one step, and count whether it took effect."""
        try:
            delta = self._commit(attempt)
        except Exception:
            self._commit_failures += 1
            raise
        if delta is None:
            self._commits += 1
        else:
            self._commit_failures += 1
        return delta

    def _commit(self, attempt: Attempt) -> Delta | None:
        """Commit in one step, whoever holds the lock; see :meth:`commit`."""
        writes = collapse(attempt.changes)
        if fault := fault_in(attempt.changes, writes):
            raise CommitRefused(fault, data_error=True)
        stored = self._by_id.get(attempt.retreat_id)
        if stored is None:
            return Delta(RetreatVersion(attempt.retreat_id, 0, "", 0), complete=False)
        return stored.commit(attempt, writes, self._ids.groups, self._environment.now())


class _LockedRetreat:
    """Implements :class:`~gbs_actor.store.protocol.LockedRetreat`."""

    def __init__(
        self,
        delta: Delta | None,
        hold: Hold,
        stored: StoredRetreat,
        commit: Callable[[Attempt], Delta | None],
    ) -> None:
        self.delta = delta
        self._hold = hold
        self._stored = stored
        self._commit = commit

    async def commit(self, attempt: Attempt) -> None:
        """See :class:`~gbs_actor.store.protocol.LockedRetreat`."""
        check_revisions(attempt.expected_revision, attempt.changes)
        await trio.lowlevel.checkpoint()
        if self._hold.ended:
            raise LockLost("the lock of the retreat is lost")
        if not self._stored.is_at(attempt.epoch, attempt.expected_revision):
            raise ValueError(f"the retreat is not at revision {attempt.expected_revision}")
        try:
            if self._commit(attempt) is not None:
                raise CommitRefused("rows are not as the changes take them to be")
        finally:
            self._hold.release()


def _is_of(operator: str, record: AuditRecord) -> bool:
    by_id = record.operator_id is not None and operator == str(record.operator_id)
    return by_id or operator == record.operator_name
