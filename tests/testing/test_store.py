"""The simulated store: what each fault does, when it takes effect, and who learns of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.lineup.changes import Change, LogEntry, fence
from gbs_actor.store.protocol import (
    LOCK_TIMEOUT,
    Attempt,
    CommitRefused,
    Delta,
    LockLost,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)
from gbs_actor.testing.environment import seeded_environment
from gbs_actor.testing.scheduling import run
from gbs_actor.testing.store import LATENESS, READ_TIMEOUT, SLOWNESS, Fault, SimStore
from tests.rooms.retreats import small_seed

AT = datetime(2024, 1, 1, tzinfo=UTC)
Outcome = tuple[type[Exception] | None, float, list[tuple[float, int, bool]]]


@dataclass
class Observed:
    """When entries became durable, which, and whether others have written them."""

    commits: list[tuple[float, int, bool]] = field(default_factory=list)
    started: float = field(default_factory=trio.current_time)

    def __call__(self, slug: str, entries: tuple[LogEntry, ...], foreign: bool) -> None:
        assert slug == "winter"
        now = trio.current_time() - self.started
        self.commits += [(now, entry.revision, foreign) for entry in entries]


class Behind(Exception):
    """The retreat was elsewhere."""


_ids: Iterator[int] = count(1)


def change(revision: int) -> Change:
    return fence(revision, UUID(int=next(_ids)), AT)


def attempt(revision: int) -> Attempt:
    """Return one to take the revision behind this one."""
    return Attempt(UUID(int=next(_ids)), 1, "sim-1", revision, (change(revision + 1),))


async def winter(seed: int = 0, latency: float = 0.0) -> tuple[SimStore, Observed]:
    store = SimStore(environment=seeded_environment(seed), latency=latency)
    await store.import_retreat(small_seed())
    observed = Observed()
    store.on_commit = observed
    return store, observed


async def _error_of(call: Callable[[], Awaitable[object]]) -> type[Exception] | None:
    try:
        delta = await call()
    except StoreError as error:
        return type(error)
    return Behind if isinstance(delta, Delta) else None


LOST = OutcomeUnknown
EXPECTED: dict[Fault, Outcome] = {
    Fault.NONE: (None, 0, [(0, 1, False)]),
    Fault.SLOW: (None, SLOWNESS, [(SLOWNESS, 1, False)]),
    Fault.SLOW_ANSWER: (None, SLOWNESS, [(0, 1, False)]),
    Fault.UNAVAILABLE: (StoreUnavailable, 0, []),
    Fault.REFUSED: (CommitRefused, 0, []),
    Fault.DATA_ERROR: (CommitRefused, 0, []),
    Fault.LOST_BEFORE: (LOST, 0, []),
    Fault.LOST_AFTER: (LOST, 0, [(0, 1, False)]),
    Fault.LATE: (LOST, 0, [(LATENESS, 1, False)]),
    Fault.CONTENDED: (Behind, 0, [(0, 1, True)]),
    Fault.CONFLICTING: (CommitRefused, 0, []),
    Fault.HANGS: (None, 100, []),
    Fault.HANGS_COMMITTED: (None, 100, [(0, 1, False)]),
}


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_each_fault_of_a_commit(fault: Fault, autojump_clock: MockClock) -> None:
    store, observed = await winter()
    faults: list[Fault] = []
    store.on_fault = lambda _, met: faults.append(met)
    store.fail(fault)
    error = None
    with trio.move_on_after(100):
        error = await _error_of(lambda: store.commit(attempt(0)))
    took = trio.current_time() - observed.started
    await trio.sleep(LATENESS + 1)
    assert (error, took, observed.commits) == EXPECTED[fault]
    assert faults == [fault]
    assert store.pending() == ()
    revision = len(observed.commits)
    await store.commit(attempt(revision))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.NONE, (None, 0)),
        (Fault.SLOW, (None, SLOWNESS)),
        (Fault.UNAVAILABLE, (StoreUnavailable, 0)),
        (Fault.HANGS, (StoreUnavailable, READ_TIMEOUT)),
    ],
)
async def test_each_fault_of_a_read(
    fault: Fault, expected: tuple[object, float], autojump_clock: MockClock
) -> None:
    store, observed = await winter()
    store.fail(fault, of="read")
    error = await _error_of(lambda: store.load("winter"))
    assert (error, trio.current_time() - observed.started) == expected
    assert await store.load("winter") is not None


async def test_what_only_happens_to_commits_is_refused_for_reads() -> None:
    store, _ = await winter()
    with pytest.raises(ValueError, match="of reads there are only"):
        store.fail(Fault.LATE, of="read")


async def test_a_late_commit_finds_its_revision_taken(autojump_clock: MockClock) -> None:
    store, observed = await winter()
    store.fail(Fault.LATE)
    assert await _error_of(lambda: store.commit(attempt(0))) is OutcomeUnknown
    assert await store.commit(attempt(0)) is None
    await trio.sleep(2 * LATENESS)
    assert observed.commits == [(0, 1, False)]


async def test_what_others_send_waits_for_the_lock(autojump_clock: MockClock) -> None:
    store, observed = await winter()
    store.fail(Fault.CONTENDED)
    locked = store.elsewhere().locked(1, "sim-1", 0)
    async with trio.open_nursery() as nursery, locked as retreat:
        assert retreat.delta is None
        nursery.start_soon(_error_of, lambda: store.commit(attempt(0)))
        await trio.sleep(LOCK_TIMEOUT / 2)
        await retreat.commit(attempt(0))
    assert [(revision, foreign) for _, revision, foreign in observed.commits] == [(1, True)]


LOCKED: dict[Fault, tuple[type[Exception] | None, int]] = {
    Fault.NONE: (None, 1),
    Fault.CONTENDED: (None, 1),
    Fault.SLOW: (OutcomeUnknown, 0),
    Fault.SLOW_ANSWER: (None, 1),
    Fault.UNAVAILABLE: (StoreUnavailable, 0),
    Fault.REFUSED: (CommitRefused, 0),
    Fault.LOST_BEFORE: (OutcomeUnknown, 0),
    Fault.LOST_AFTER: (OutcomeUnknown, 1),
    Fault.LATE: (OutcomeUnknown, 0),
}


@pytest.mark.parametrize("fault", LOCKED, ids=lambda fault: fault.name.lower())
async def test_each_fault_of_a_commit_under_the_lock(
    fault: Fault, autojump_clock: MockClock
) -> None:
    store, observed = await winter()
    store.fail(fault)
    async with store.locked(1, "sim-1", 0) as retreat:
        error = await _error_of(lambda: retreat.commit(attempt(0)))
    await trio.sleep(2 * LATENESS)
    assert (error, len(observed.commits)) == LOCKED[fault]


async def test_whoever_holds_the_lock_for_too_long_loses_it(autojump_clock: MockClock) -> None:
    store, observed = await winter()
    async with store.locked(1, "sim-1", 0) as retreat:
        assert await store.elsewhere().commit(attempt(0)) is None
        assert await _error_of(lambda: retreat.commit(attempt(1))) is LockLost
    assert observed.commits == [(LOCK_TIMEOUT, 1, True)]


async def test_in_an_outage_nothing_can_be_reached_and_answers_are_lost(
    autojump_clock: MockClock,
) -> None:
    store, _ = await winter(latency=1)
    errors: list[type[Exception] | None] = []

    async def commit() -> None:
        errors.append(await _error_of(lambda: store.commit(attempt(0))))

    async def read() -> None:
        errors.append(await _error_of(lambda: store.load("winter")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit)
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        store.begin_outage()
    assert sorted(map(str, errors)) == sorted(map(str, (OutcomeUnknown, StoreUnavailable)))
    assert await _error_of(store.ping) is StoreUnavailable
    assert await _error_of(lambda: store.commit(attempt(0))) is StoreUnavailable
    store.end_outage()
    await store.ping()


def test_what_is_cut_off_takes_effect_now_later_or_never() -> None:
    async def kill(seed: int) -> list[float]:
        store, observed = await winter(seed, latency=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_error_of, lambda: store.commit(attempt(0)))
            await wait_all_tasks_blocked()
            restarted = store.detach()
            assert [at for at, _, _ in observed.commits] in ([], [0])  # in this very step
        await trio.sleep(2 * LATENESS)
        assert await _error_of(store.ping) is StoreUnavailable
        assert await _error_of(lambda: store.commit(attempt(0))) is StoreUnavailable
        loaded = await restarted.load("winter")
        assert loaded is not None
        assert loaded.revision == len(observed.commits)
        return [at for at, _, _ in observed.commits]

    seen = [run(kill, seed, seed=seed) for seed in range(30)]
    assert {tuple(each) for each in seen} == {(), (0.0,), (LATENESS,)}
    assert seen == [run(kill, seed, seed=seed) for seed in range(30)]


async def test_what_another_server_writes_is_foreign_and_meets_no_fault(
    autojump_clock: MockClock,
) -> None:
    store, observed = await winter()
    store.fail(Fault.UNAVAILABLE)
    store.fail(Fault.UNAVAILABLE, of="read")
    elsewhere = store.elsewhere()
    assert await elsewhere.load("winter") is not None
    await elsewhere.commit(attempt(0))
    assert observed.commits == [(0, 1, True)]


async def test_an_interruption_is_noticed_by_who_waits_for_one() -> None:
    store, _ = await winter()
    store.interrupt()
    assert await store.wait_interrupted(0) == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.wait_interrupted, 1)
        await wait_all_tasks_blocked()
        store.interrupt()


async def test_healing_ends_every_fault() -> None:
    store, _ = await winter()
    store.fail(Fault.UNAVAILABLE)
    store.fail(Fault.UNAVAILABLE, of="read")
    store.begin_outage()
    store.heal()
    await store.ping()
    await store.commit(attempt(0))


async def test_a_call_takes_its_time_to_the_store_and_back(autojump_clock: MockClock) -> None:
    store, observed = await winter(latency=1)
    await store.commit(attempt(0))
    ((at, _, _),) = observed.commits
    assert 0 < at < trio.current_time() - observed.started < 2
