"""The audit trail over a store that fails: little is lost, and nothing is stored twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog.testing
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.gateway.audit_trail import FLUSH_TIMEOUT, MAX_QUEUED, AuditTrail
from gbs_actor.store.audit import AuditEntry, AuditQuery
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import CommitRefused, OutcomeUnknown, StoreError, StoreUnavailable


class FickleStore(MemoryStore):
    """Raises what it is told to; may store all the same; refuses some targets for good."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: StoreError | None = None
        self.stores_all_the_same = False
        self.calls = 0

    async def append_audit(self, entries: Mapping[UUID, AuditEntry]) -> None:
        self.calls += 1
        if any(entry.target == "unstorable" for entry in entries.values()):
            await trio.lowlevel.checkpoint()
            raise CommitRefused("invalid byte sequence", data_error=True)
        if self.failure is None or self.stores_all_the_same:
            await super().append_audit(entries)
        if self.failure is not None:
            raise self.failure

    async def targets(self) -> list[str]:
        records = await self.audit(AuditQuery(limit=10_000))
        return [record.target for record in reversed(records)]


def entry(target: str) -> AuditEntry:
    return AuditEntry(
        at=datetime.now(UTC),
        operator_id=7,
        operator_name="김하늘",
        action="room.stop",
        target=target,
        reason="x",
        address=None,
        outcome="done",
        details="",
    )


@pytest.mark.parametrize(
    "failure", [StoreUnavailable("down"), OutcomeUnknown("lost"), CommitRefused("disk full")]
)
@pytest.mark.parametrize("stores_all_the_same", [False, True])
async def test_what_waits_is_written_once_when_the_store_is_back(
    failure: StoreError, stores_all_the_same: bool, autojump_clock: MockClock
) -> None:
    store = FickleStore()
    trail = AuditTrail(store)
    async with trail.running():
        store.failure, store.stores_all_the_same = failure, stores_all_the_same
        for number in range(250):
            trail.add(entry(str(number)))
        await trio.sleep(100)
        assert store.calls < 100, "it does not hurry"
        assert trail.statistics().queued == 250
        store.failure = None
        await trio.sleep(15)
        assert await store.targets() == [str(number) for number in range(250)]
        assert trail.statistics().stored == 250


async def test_too_many_that_wait_are_in_the_log_only(autojump_clock: MockClock) -> None:
    store = FickleStore()
    store.failure = StoreUnavailable("down")
    trail = AuditTrail(store)
    async with trail.running():
        with structlog.testing.capture_logs() as lines:
            for number in range(MAX_QUEUED + 5):
                trail.add(entry(str(number)))
        assert len(lines) == MAX_QUEUED + 5
        statistics = trail.statistics()
        assert (statistics.queued, statistics.lost) == (MAX_QUEUED, 5)
        store.failure = None
        await trio.sleep(15)
        assert (await store.targets())[-1] == str(MAX_QUEUED - 1)


async def test_one_that_cannot_be_stored_takes_no_other_with_it(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    trail = AuditTrail(store)
    async with trail.running():
        for target in ("a", "unstorable", "b"):
            trail.add(entry(target))
        await wait_all_tasks_blocked()
        trail.add(entry("c"))
    assert await store.targets() == ["a", "b", "c"]
    assert (trail.statistics().stored, trail.statistics().lost) == (3, 1)


async def test_the_last_ones_are_written_at_the_end_if_that_is_quick(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    trail = AuditTrail(store)
    async with trail.running():
        trail.add(entry("last"))
    assert await store.targets() == ["last"]
    store.failure = StoreUnavailable("down")
    began = trio.current_time()
    async with AuditTrail(store).running():
        trail.add(entry("lost"))
    another = AuditTrail(store)
    async with another.running():
        another.add(entry("lost"))
    assert trio.current_time() - began == pytest.approx(FLUSH_TIMEOUT)
