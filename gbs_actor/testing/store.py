"""A store in memory that is slow, fails and loses answers in every way a real one can, as told."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, Self, TypeVar
from uuid import UUID

import trio
from msgspec.structs import replace

from gbs_actor.environment import Environment
from gbs_actor.lineup.changes import LogEntry, fence
from gbs_actor.lineup.records import Retreat
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import (
    LOCK_TIMEOUT,
    Attempt,
    CommitRefused,
    Delta,
    LockedRetreat,
    LockLost,
    OutcomeUnknown,
    RetreatVersion,
    RowsLocked,
    StoreError,
    StoreUnavailable,
)
from gbs_actor.store.rows import RETREAT, RowKey, written_rows
from gbs_actor.store.writes import check_revisions
from gbs_actor.testing.environment import seeded_environment

T = TypeVar("T")

SLOWNESS: Final = 1.0
"""Seconds that a slow call takes longer."""
LATENESS: Final = 4.0
"""Seconds after which a late commit takes effect."""
ROWS_TIMEOUT: Final = 0.2
"""Seconds that a commit waits, with the retreat's lock, for rows that other programs hold."""
READ_TIMEOUT: Final = 5.0
"""Seconds after which a read that hangs is given up."""


class Fault(StrEnum):
    """What happens to one call of the store.

    To reads, only the first three and those that say so.
    """

    NONE = "works"
    SLOW = "takes effect after a second"
    UNAVAILABLE = "cannot be reached"
    SLOW_ANSWER = "takes effect, and answers after a second"
    REFUSED = "answers with an error"
    DATA_ERROR = "answers that a value is invalid"
    LOST_BEFORE = "connection lost, not committed"
    LOST_AFTER = "connection lost, committed"
    LATE = "connection lost, committed seconds later"
    CONTENDED = "another writer is faster"
    CONFLICTING = "serialization failures, each time that it is tried again"
    HANGS = "never answers, not committed; a read: given up after a while"
    HANGS_COMMITTED = "never answers, committed"


READ_FAULTS: Final = (Fault.NONE, Fault.SLOW, Fault.UNAVAILABLE, Fault.HANGS)
"""Those that can happen to reads."""
Operation = Literal["commit", "read"]
"""What a fault is of; a read is each call that is no commit, what it writes included."""
OnCommit = Callable[[str, tuple[LogEntry, ...], bool], None]
"""Called with the slug, the entries, and whether another server has written them."""


@dataclass(eq=False, slots=True)
class _Commit:
    """A commit that was sent and has not returned."""

    attempt: Attempt
    locked_until: float | None = None
    """Trio time at which its session loses the retreat's lock; ``None``: it has none."""
    settled: bool = False
    """Whether it has taken effect, or never will out of its own task."""
    waiting: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Around what its task does."""


class SimStore(MemoryStore):
    """Implements :class:`~gbs_actor.store.protocol.AdminStore`; fails as told, by :meth:`fail`.

    What a commit does to the data happens in one step, in which :attr:`on_commit` is called. A
    commit that was sent and is cut off, by a cancellation, an outage or the end of its server,
    takes effect at once, later, or not at all, as ``environment`` decides.

    :param environment: where chance and time of day come from; default: that of seed 0.
    :param latency: seconds, at most, that each call takes to the store, and back again.
    :param identity: as for :class:`~gbs_actor.store.memory.MemoryStore`; so are ``shared``
        and ``written_by_others``.
    """

    def __init__(
        self,
        *,
        environment: Environment | None = None,
        latency: float = 0.0,
        identity: str = "sim",
        shared: bool = False,
        written_by_others: bool = False,
    ) -> None:
        environment = seeded_environment(0) if environment is None else environment
        super().__init__(
            identity=identity,
            environment=environment,
            shared=shared,
            written_by_others=written_by_others,
        )
        self.latency = latency
        """Seconds, at most, that each call takes to the store, and back again."""
        self.on_commit: OnCommit = _ignore
        """Called in the very step in which entries become durable."""
        self.on_epoch: Callable[[str, str], None] = _ignore_epoch
        """Called with the slug and its epoch, in the very step in which that is a new one."""
        self.on_fault: Callable[[Operation, Fault], None] = _ignore_fault
        """Called when a fault happens to a call."""
        self._held: set[tuple[int, RowKey]] = set()
        self._released = trio.lowlevel.ParkingLot()
        self._attach(foreign=False)

    def _attach(self, *, foreign: bool) -> None:
        self._faults: dict[Operation, deque[Fault]] = {"commit": deque(), "read": deque()}
        self._foreign = foreign
        self._attached = True
        self._reachable = True
        self._in_flight: dict[_Commit, None] = {}
        self.nodes = self.nodes.reached_by(self._contact)
        self._reading = 0
        self._interruptions = 0
        self._interrupted = trio.lowlevel.ParkingLot()
        self.loads = 0
        """How often a retreat was loaded."""

    # -- what happens to it

    def fail(self, *faults: Fault, of: Operation = "commit") -> None:
        """Let faults happen to the next calls, one each; then all works again.

        :raises ValueError: one of them cannot happen to a read.
        """
        if of == "read" and not {*faults} <= {*READ_FAULTS}:
            raise ValueError(f"of reads there are only {', '.join(READ_FAULTS)}")
        self._faults[of].extend(faults)

    def pending(self, of: Operation = "commit") -> tuple[Fault, ...]:
        """Return the faults that have not happened yet."""
        return tuple(self._faults[of])

    def begin_outage(self) -> None:
        """Be unreachable from now on; the answers to what was sent are lost."""
        self._reachable = False
        self._cut()

    def end_outage(self) -> None:
        """Be reachable again, if it was not."""
        self._reachable = True

    @property
    def is_reachable(self) -> bool:
        """Whether there is no outage."""
        return self._reachable

    @property
    def busy(self) -> bool:
        """Whether a call has no answer yet, or a fault is still to happen."""
        return bool(self._in_flight or self._reading or any(self._faults.values()))

    def hold(self, retreat_id: int, *rows: RowKey) -> None:
        """Let a transaction of another program hold rows of a retreat, until they are released."""
        self._held.update((retreat_id, key) for key in rows)

    def release_rows(self) -> None:
        """End all transactions of other programs."""
        self._held.clear()
        self._released.unpark_all()

    def home_of_memo(self, memo_id: int) -> str | None:
        """Return the slug of the retreat that has, or had, a memo; reads without a checkpoint."""
        return self._slug_where(lambda stored: memo_id in stored.memos)

    def grant(self, slug: str, user_id: int, role: str | None) -> None:
        """Give a user a role in a retreat, as an administrator does in the database.

        :param role: ``None``: that of the user's token.
        """
        roles = self._by_slug[slug].roles
        if role is None:
            roles.pop(user_id, None)
        else:
            roles[user_id] = role

    def state_of(self, slug: str) -> tuple[int, str]:
        """Return the revision and the epoch of a retreat as they are now, whatever is failing.

        :raises KeyError: there is no such retreat.
        """
        stored = self._by_slug[slug]
        return stored.revision, stored.epoch

    def heal(self) -> None:
        """Work from now on: no fault is left, and no outage."""
        for faults in self._faults.values():
            faults.clear()
        self.end_outage()

    def interrupt(self) -> None:
        """Let it be known that another server had the retreats for a while."""
        self._interruptions += 1
        self._interrupted.unpark_all()

    def detach(self) -> Self:
        """Cut off the server that uses this store, in one step, as the end of its process does.

        What was sent takes effect now, later or never; each later call raises.

        :returns: the same data, for another server.
        """
        self._attached = False
        self._cut()
        return self._sharing(foreign=False)

    def elsewhere(self) -> Self:
        """Return the same data as another server reaches it at the same time, without faults."""
        return self._sharing(foreign=True)

    def _sharing(self, *, foreign: bool) -> Self:
        other = copy(self)
        other._attach(foreign=foreign)
        return other

    # -- what it does

    async def load(self, slug: str) -> Retreat | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        retreat = await self._answered(super().load(slug))
        self.loads += 1
        return retreat

    async def version(self, slug: str) -> RetreatVersion | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._answered(super().version(slug))

    async def versions(self, retreat_ids: Collection[int]) -> dict[int, RetreatVersion]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._answered(super().versions(retreat_ids))

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._answered(super().delta(retreat_id, epoch, revision))

    async def committed(self, retreat_id: int, attempt_id: UUID) -> bool:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._answered(super().committed(retreat_id, attempt_id))

    async def held_rows(self, retreat_id: int, rows: Collection[RowKey]) -> frozenset[RowKey]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        held = self._held.intersection((retreat_id, key) for key in rows)
        await self._answered(super().held_rows(retreat_id, rows))
        return frozenset(key for _, key in held)

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._answered(super().find_commands(retreat_id, ids))

    async def commit(self, attempt: Attempt) -> Delta | None:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        return await self._run(_Commit(attempt))

    @asynccontextmanager
    async def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        async with super().locked(retreat_id, epoch, revision) as retreat:
            until = trio.current_time() + LOCK_TIMEOUT
            await self._travel()
            self._check_reachable()
            await self._wait_released({(retreat_id, RETREAT)})
            yield _LockedRetreat(retreat.delta, until, self._run)

    async def _run(self, commit: _Commit) -> Delta | None:
        attempt = commit.attempt
        check_revisions(attempt.expected_revision, attempt.changes)
        await trio.lowlevel.checkpoint()
        self._check_reachable()
        self._in_flight[commit] = None
        try:
            return await self._carry_out(commit, self._next_fault("commit"))
        except Exception:
            self._commit_failures += 1
            raise
        finally:
            self._in_flight.pop(commit, None)
            self._leave_to_chance(commit)

    async def _carry_out(self, commit: _Commit, fault: Fault) -> Delta | None:
        with commit.waiting:
            return await self._send(commit, fault)
        raise OutcomeUnknown("connection lost")

    async def _send(self, commit: _Commit, fault: Fault) -> Delta | None:
        await self._travel()
        if fault is Fault.SLOW:
            await trio.sleep(SLOWNESS)
        if commit.locked_until is None:
            await self._wait_unlocked(commit.attempt.retreat_id)
        delta = None
        match fault:
            case Fault.UNAVAILABLE:
                commit.settled = True
                raise StoreUnavailable("no connection")
            case Fault.REFUSED | Fault.DATA_ERROR:
                commit.settled = True
                raise CommitRefused("no", data_error=fault is Fault.DATA_ERROR)
            case Fault.CONFLICTING:
                commit.settled = True
                raise CommitRefused("could not serialize access")
            case Fault.CONTENDED:
                self._write_first(commit)
            case Fault.LATE:
                self._apply_later(commit)
            case Fault.LOST_BEFORE | Fault.HANGS:
                commit.settled = True
        if not commit.settled:
            await self._wait_for_rows(commit)
            delta = self._apply(commit)
        match fault:
            case Fault.SLOW_ANSWER:
                await trio.sleep(SLOWNESS)
            case Fault.HANGS | Fault.HANGS_COMMITTED:
                await trio.sleep_forever()
            case Fault.LOST_BEFORE | Fault.LOST_AFTER | Fault.LATE:
                raise OutcomeUnknown("connection lost")
        await self._travel()
        return delta

    async def _wait_for_rows(self, commit: _Commit) -> None:
        """Wait for rows that other programs hold, while no other server can commit.

        :raises RowsLocked: it takes too long.
        """
        attempt = commit.attempt
        key, epoch, revision = attempt.retreat_id, attempt.epoch, attempt.expected_revision
        rows = {(key, row) for change in attempt.changes for row in written_rows(change)}
        stored = self._by_id.get(key)
        if stored is None or not stored.is_at(epoch, revision) or self._held.isdisjoint(rows):
            return
        hold = await stored.lock.acquire() if commit.locked_until is None else None
        try:
            await self._wait_released(rows)
        except RowsLocked:
            commit.settled = True
            raise
        finally:
            if hold is not None:
                hold.release()

    async def _wait_released(self, rows: Set[tuple[int, RowKey]]) -> None:
        """Wait while other programs hold any of some rows; costs no checkpoint if they hold none.

        :raises RowsLocked: it takes too long.
        """
        with trio.move_on_after(ROWS_TIMEOUT):
            while not self._held.isdisjoint(rows):
                await self._released.park()
            return
        raise RowsLocked("another program holds rows")

    async def new_epoch(self, slug: str | None = None) -> int:
        """See :class:`~gbs_actor.store.protocol.AdminStore`."""
        count = await super().new_epoch(slug)
        for each, stored in self._by_slug.items():
            if slug in (None, each):
                self.on_epoch(each, stored.epoch)
        return count

    def _apply(self, commit: _Commit) -> Delta | None:
        """Let a commit take effect, unless the retreat is elsewhere.

        :raises StoreError: it cannot.
        """
        commit.settled = True
        attempt, until = commit.attempt, commit.locked_until
        if until is not None and trio.current_time() >= until:
            raise OutcomeUnknown("the session has ended")
        delta = self._commit_and_count(attempt)
        if delta is None and attempt.changes:
            self._committed(attempt, foreign=self._foreign)
        return delta

    def _committed(self, attempt: Attempt, *, foreign: bool) -> None:
        stored = self._by_id[attempt.retreat_id]
        slug = next(slug for slug, each in self._by_slug.items() if each is stored)
        self.on_commit(slug, tuple(stored.log[-len(attempt.changes) :]), foreign)

    def _write_first(self, commit: _Commit) -> None:
        """Let another server take the revision that a commit is to have."""
        if commit.locked_until is not None:
            return  # no other can
        theirs, now = commit.attempt, self._environment.now()
        change = fence(theirs.expected_revision + 1, self._environment.uuid(), now)
        attempt = replace(
            theirs, id=self._environment.uuid(), changes=(change,), repeatable=frozenset()
        )
        if self._commit(attempt) is None:  # else that has happened already
            self._committed(attempt, foreign=True)

    # -- what is cut off

    def _cut(self) -> None:
        """Lose the connections: decide what becomes of all that was sent."""
        for commit in tuple(self._in_flight):
            self._leave_to_chance(commit)
            commit.waiting.cancel()
        self._in_flight.clear()

    def _leave_to_chance(self, commit: _Commit) -> None:
        """Decide what becomes of a commit whose server no longer waits for it."""
        if commit.settled:
            return
        chance = self._environment.chance()
        if chance < 1 / 3:
            commit.settled = True
        elif chance < 2 / 3:
            self._apply_quietly(commit)
        else:
            self._apply_later(commit)

    def _apply_later(self, commit: _Commit, seconds: float = LATENESS) -> None:
        commit.settled = True
        # What a database is about to do belongs to no server: it outlives them all.
        trio.lowlevel.spawn_system_task(self._apply_late, commit, seconds)

    async def _apply_late(self, commit: _Commit, seconds: float) -> None:
        await trio.sleep(seconds)
        if commit.locked_until is None:
            await self._wait_unlocked(commit.attempt.retreat_id)
        self._apply_quietly(commit)

    def _apply_quietly(self, commit: _Commit) -> None:
        stored = self._by_id.get(commit.attempt.retreat_id)
        if commit.locked_until is None and stored is not None and stored.lock.held:
            self._apply_later(commit, 0.0)  # it waits for the lock
            return
        try:
            self._apply(commit)
        except StoreError:
            return  # it was too late, and nobody waits for it

    # -- what reads meet

    async def wait_interrupted(self, seen: int) -> int:
        """See :class:`~gbs_actor.store.protocol.Store`."""
        while self._interruptions <= seen:
            await self._interrupted.park()
        return self._interruptions

    async def _contact(self) -> None:
        await trio.lowlevel.checkpoint()
        self._check_reachable()
        self._reading += 1
        try:
            await self._reach(self._next_fault("read"))
        finally:
            self._reading -= 1

    async def _reach(self, fault: Fault) -> None:
        if fault is Fault.UNAVAILABLE:
            raise StoreUnavailable("no connection")
        if fault is Fault.SLOW:
            await trio.sleep(SLOWNESS)
        elif fault is Fault.HANGS:
            await trio.sleep(READ_TIMEOUT)
            raise StoreUnavailable("no answer in time")
        await self._travel()
        self._check_reachable()

    async def _answered(self, read: Awaitable[T]) -> T:
        """Return what was read, after its way back: it may be old by then."""
        result = await read
        await self._travel()
        self._check_reachable()
        return result

    async def _travel(self) -> None:
        if self.latency:
            await trio.sleep(self.latency * self._environment.chance())

    def _next_fault(self, of: Operation) -> Fault:
        if not self._faults[of]:
            return Fault.NONE
        fault = self._faults[of].popleft()
        self.on_fault(of, fault)
        return fault

    def _check_reachable(self) -> None:
        if not (self._attached and self._reachable):
            raise StoreUnavailable("no connection")


class _LockedRetreat:
    """Implements :class:`~gbs_actor.store.protocol.LockedRetreat`."""

    def __init__(
        self,
        delta: Delta | None,
        until: float,
        run: Callable[[_Commit], Awaitable[Delta | None]],
    ) -> None:
        self.delta = delta
        self._until = until
        self._run = run

    async def commit(self, attempt: Attempt) -> None:
        """See :class:`~gbs_actor.store.protocol.LockedRetreat`."""
        if trio.current_time() >= self._until:
            raise LockLost("the lock of the retreat is lost")
        delta = await self._run(_Commit(attempt, self._until))
        if delta is not None:
            raise ValueError(f"the retreat is not at revision {attempt.expected_revision}")


def _ignore(slug: str, entries: tuple[LogEntry, ...], foreign: bool) -> None:
    """Observe nothing."""


def _ignore_epoch(slug: str, epoch: str) -> None:
    """Observe nothing."""


def _ignore_fault(of: Operation, fault: Fault) -> None:
    """Observe nothing."""
