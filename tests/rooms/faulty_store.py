"""A store that fails in every way a real one can, as told."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from uuid import UUID, uuid4

import trio

from gbs_actor.lineup.changes import Change, LogEntry, fence
from gbs_actor.lineup.records import Retreat
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.store.audit import AuditEntry, AuditQuery, AuditRecord
from gbs_actor.store.history import HistoryQuery, StoredGroup
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    RetreatVersion,
    SessionLocation,
    StoreError,
    StoreStatistics,
    StoreUnavailable,
)


class Fault(Enum):
    """What happens to one call of the store."""

    NONE = "works"
    SLOW = "works after a second"
    UNAVAILABLE = "cannot be reached"
    REFUSED = "answers with an error"
    LOST_BEFORE = "connection lost, not committed"
    LOST_AFTER = "connection lost, committed"
    LATE = "connection lost, committed seconds later"
    CONTENDED = "another writer is faster"
    HANGS = "never answers, not committed"
    HANGS_COMMITTED = "never answers, committed"


class FaultyStore:
    """Wraps a :class:`MemoryStore`; the faults are used up one a call, then all works.

    :param nursery: where late commits run.
    """

    def __init__(
        self,
        inner: MemoryStore,
        nursery: trio.Nursery,
        commits: Iterable[Fault] = (),
        reads: Iterable[Fault] = (),
    ) -> None:
        self.inner = inner
        self.commits = deque(commits)
        self.reads = deque(reads)
        self.late_by = 4.0
        self.loads = 0
        self._interruptions = 0
        self._interrupted = trio.lowlevel.ParkingLot()
        self._nursery = nursery

    async def load(self, slug: str) -> Retreat | None:
        await self._read()
        self.loads += 1
        return await self.inner.load(slug)

    async def version(self, slug: str) -> RetreatVersion | None:
        await self._read()
        return await self.inner.version(slug)

    async def commit(
        self,
        retreat_id: int,
        expected_revision: int,
        changes: Sequence[Change],
        repeatable: Collection[UUID] = (),
    ) -> None:
        fault = self.commits.popleft() if self.commits else Fault.NONE
        call = (retreat_id, expected_revision, tuple(changes), frozenset(repeatable))
        if fault is Fault.SLOW:
            await trio.sleep(1)
        if fault is Fault.UNAVAILABLE:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable("no connection")
        if fault is Fault.REFUSED:
            await trio.lowlevel.checkpoint()
            raise CommitRefused("disk full")
        if fault is Fault.LATE:
            self._nursery.start_soon(self._commit_late, call)
        if fault is Fault.CONTENDED:
            other = fence(expected_revision + 1, uuid4(), datetime.now(UTC))
            await self._commit_quietly((retreat_id, expected_revision, (other,), frozenset()))
        if fault in (Fault.NONE, Fault.SLOW, Fault.CONTENDED):
            await self.inner.commit(*call)
            return
        if fault in (Fault.LOST_AFTER, Fault.HANGS_COMMITTED):
            await self._commit_quietly(call)
        if fault in (Fault.HANGS, Fault.HANGS_COMMITTED):
            await trio.sleep_forever()
        await trio.sleep(0.01)
        raise OutcomeUnknown("connection lost")

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        await self._read()
        return await self.inner.find_commands(retreat_id, ids)

    async def reserve_memo_ids(self, count: int) -> range:
        await self._read()
        return await self.inner.reserve_memo_ids(count)

    async def log(
        self, retreat_id: int, *, after_revision: int = 0, limit: int = 1_000
    ) -> list[LogEntry]:
        return await self.inner.log(retreat_id, after_revision=after_revision, limit=limit)

    async def entry(self, retreat_id: int, key: UUID | int) -> LogEntry | None:
        await self._read()
        return await self.inner.entry(retreat_id, key)

    async def history(self, retreat_id: int, query: HistoryQuery) -> list[LogEntry]:
        await self._read()
        return await self.inner.history(retreat_id, query)

    async def revision_at(self, retreat_id: int, at: datetime) -> int:
        await self._read()
        return await self.inner.revision_at(retreat_id, at)

    async def pruned_revision(self, retreat_id: int) -> int:
        await self._read()
        return await self.inner.pruned_revision(retreat_id)

    async def titles(self, slug: str | None = None) -> dict[str, str]:
        await self._read()
        return await self.inner.titles(slug)

    async def schedules(self, slug: str) -> tuple[Schedule, ...]:
        await self._read()
        return await self.inner.schedules(slug)

    async def groups(self, slug: str) -> dict[int, StoredGroup]:
        await self._read()
        return await self.inner.groups(slug)

    async def slug_of_registration(self, registration_id: int) -> str | None:
        await self._read()
        return await self.inner.slug_of_registration(registration_id)

    async def slug_of_memo(self, memo_id: int) -> str | None:
        await self._read()
        return await self.inner.slug_of_memo(memo_id)

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        return await self.inner.grants(slugs)

    async def update_session_locations(self, places: Mapping[str, SessionLocation | None]) -> None:
        await self._read()
        await self.inner.update_session_locations(places)

    async def find_session_location(self, sid: str) -> SessionLocation | None:
        await self._read()
        return await self.inner.find_session_location(sid)

    async def prune_session_locations(self, age: float) -> int:
        await self._read()
        return await self.inner.prune_session_locations(age)

    async def ping(self) -> None:
        await self._read()

    async def check_write(self) -> None:
        await self._read()

    async def append_audit(self, entries: Mapping[UUID, AuditEntry]) -> None:
        await self._read()
        await self.inner.append_audit(entries)

    async def audit(self, query: AuditQuery) -> list[AuditRecord]:
        await self._read()
        return await self.inner.audit(query)

    async def wait_interrupted(self, seen: int) -> int:
        while self._interruptions <= seen:
            await self._interrupted.park()
        return self._interruptions

    def interrupt(self) -> None:
        """Let it be known that another server had the retreats for a while."""
        self._interruptions += 1
        self._interrupted.unpark_all()

    def statistics(self) -> StoreStatistics:
        return self.inner.statistics()

    async def _read(self) -> None:
        fault = self.reads.popleft() if self.reads else Fault.NONE
        await trio.lowlevel.checkpoint()
        if fault is Fault.SLOW:
            await trio.sleep(1)
        elif fault is not Fault.NONE:
            raise StoreUnavailable("no connection")

    async def _commit_quietly(
        self, call: tuple[int, int, tuple[Change, ...], frozenset[UUID]]
    ) -> None:
        try:
            await self.inner.commit(*call)
        except StoreError:
            await trio.lowlevel.checkpoint()

    async def _commit_late(
        self, call: tuple[int, int, tuple[Change, ...], frozenset[UUID]]
    ) -> None:
        await trio.sleep(self.late_by)
        await self._commit_quietly(call)
