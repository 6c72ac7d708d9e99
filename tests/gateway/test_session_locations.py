from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.gateway.namespace import session_locations as module
from gbs_actor.gateway.namespace.session_locations import (
    CHECK_INTERVAL,
    LAST_WRITE_TIMEOUT,
    PRUNE_INTERVAL,
    WRITE_TIMEOUT,
    SessionLocations,
)
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    SessionLocation,
    SessionRecord,
    StoreError,
    StoreUnavailable,
)

HERE = SessionRecord(SessionLocation("winter", "epoch", joined_revision=3, known_elsewhere=-1))
THERE = SessionRecord(SessionLocation("summer", "epoch", joined_revision=0, known_elsewhere=3))
NOWHERE = SessionRecord(None)


class FickleStore(MemoryStore):
    """Fails, or waits, when told to, and notes what is written."""

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__(shared=shared)
        self.failure: Exception | None = None
        self.may_go_on = trio.Event()
        self.may_go_on.set()
        self.written: list[dict[str, SessionRecord]] = []
        self.pruned: list[float] = []
        self.prune_failure: Exception | None = None

    async def update_session_locations(self, records: Mapping[str, SessionRecord]) -> set[str]:
        self.written.append(dict(records))
        await self.may_go_on.wait()
        if self.failure is not None:
            raise self.failure
        return await super().update_session_locations(records)

    async def prune_session_locations(self, age: float) -> int:
        self.pruned.append(trio.current_time())
        if self.prune_failure is not None:
            raise self.prune_failure
        return await super().prune_session_locations(age)


class Session:
    """A session of a connected client, which counts how often it was told to close that."""

    def __init__(self, sid: str, generation: int = 0) -> None:
        self.sid = sid
        self.generation = generation
        self.closed = 0

    def taken_over(self) -> None:
        self.closed += 1


@asynccontextmanager
async def running(store: FickleStore) -> AsyncIterator[SessionLocations]:
    locations = SessionLocations(store, max_age=43_200)
    async with locations.running():
        await wait_all_tasks_blocked()
        yield locations


async def test_what_is_noted_is_known_at_once_and_kept_soon(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as locations:
        locations.set("one", HERE)
        assert store.written == []
        assert await locations.take_over("one") == HERE
        await wait_all_tasks_blocked()
        assert await store.find_session_location("one") == HERE


async def test_what_another_process_noted_is_asked_of_the_store(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    await store.update_session_locations({"one": HERE})
    async with running(store) as locations:
        assert await locations.take_over("one") == HERE
        assert await locations.take_over("two") == NOWHERE


async def test_what_comes_together_is_written_together_and_the_latest_counts(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    async with running(store) as locations:
        locations.set("one", HERE)
        locations.set("two", HERE)
        locations.set("one", THERE)
        locations.set("two", NOWHERE)
        await wait_all_tasks_blocked()
        assert store.written == [{"one": THERE, "two": NOWHERE}]


async def test_to_forget_waits_for_the_store(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as locations:
        locations.set("one", HERE)
        await wait_all_tasks_blocked()
        await locations.remove("one", generation=0)
        assert await store.find_session_location("one") == NOWHERE


async def test_what_is_in_flight_counts_already(autojump_clock: MockClock) -> None:
    store = FickleStore()
    await store.update_session_locations({"one": HERE})
    async with running(store) as locations:
        store.may_go_on = trio.Event()
        locations.set("one", NOWHERE)
        await wait_all_tasks_blocked()
        assert await locations.take_over("one") == NOWHERE
        locations.set("one", THERE)
        assert await locations.take_over("one") == THERE
        store.may_go_on.set()
        await wait_all_tasks_blocked()
        assert await store.find_session_location("one") == THERE


@pytest.mark.parametrize(
    "failure", [OutcomeUnknown("lost"), StoreError("down"), CommitRefused("locked")]
)
async def test_what_fails_is_written_again_until_it_is_kept(
    autojump_clock: MockClock, failure: StoreError
) -> None:
    store = FickleStore()
    async with running(store) as locations:
        store.failure = failure
        locations.set("one", HERE)
        locations.set("two", HERE)
        await trio.sleep(20)
        assert len(store.written) > 3
        locations.set("two", THERE)
        store.failure = None
        await trio.sleep(10)
        assert await store.find_session_location("one") == HERE
        assert await store.find_session_location("two") == THERE


async def test_without_the_store_to_forget_does_not_wait_for_long_and_holds(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    await store.update_session_locations({"one": HERE})
    async with running(store) as locations:
        store.failure = StoreError("down")
        before = trio.current_time()
        await locations.remove("one", generation=0)
        assert trio.current_time() - before == WRITE_TIMEOUT
        assert await locations.take_over("one") == NOWHERE
        store.failure = None
        await trio.sleep(10)
        assert await store.find_session_location("one") == NOWHERE


async def test_what_the_store_refuses_is_dropped_and_the_next_is_kept(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    async with running(store) as locations:
        store.failure = CommitRefused("no", data_error=True)
        locations.set("one", HERE)
        await wait_all_tasks_blocked()
        store.failure = None
        locations.set("two", HERE)
        await trio.sleep(60)
        assert [set(written) for written in store.written] == [{"one"}, {"two"}]


async def test_at_the_end_the_store_is_told_the_rest(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as locations:
        locations.set("one", HERE)
    assert await store.find_session_location("one") == HERE


async def test_the_end_does_not_wait_for_long(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as locations:
        store.may_go_on = trio.Event()
        locations.set("one", HERE)
        before = trio.current_time()
    assert trio.current_time() - before == LAST_WRITE_TIMEOUT


async def test_old_places_are_looked_for_at_the_start_and_every_hour(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    began = trio.current_time()
    async with running(store):
        await trio.sleep(2.5 * PRUNE_INTERVAL)
    times = [time - began for time in store.pruned]
    assert times == [0, PRUNE_INTERVAL, 2 * PRUNE_INTERVAL]


async def test_of_too_much_that_is_pending_the_oldest_is_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    store = FickleStore()
    async with running(store) as locations:
        for sid in ("one", "two", "three", "one", "four"):
            locations.set(sid, HERE)
        await wait_all_tasks_blocked()
        assert [set(written) for written in store.written] == [{"three", "one", "four"}]


@pytest.mark.parametrize("shared", [True, False])
async def test_a_removal_that_is_dropped_does_not_count_as_written_and_ends_the_recovery(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    store = FickleStore(shared=shared)
    await store.update_session_locations({"one": HERE})
    async with running(store) as locations:
        store.failure = StoreError("down")
        outcomes = []

        async def remove() -> None:
            try:
                await locations.remove("one", generation=0)
            except StoreUnavailable:
                outcomes.append("not written")
            else:
                outcomes.append("written")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(remove)
            await wait_all_tasks_blocked()
            for sid in ("two", "three", "four"):
                locations.set(sid, HERE)
            store.failure = None
        assert outcomes == (["not written"] if shared else ["written"])
        assert await store.find_session_location("one") == HERE
        with pytest.raises(StoreUnavailable):
            await locations.take_over("one")
        locations.set("one", THERE)
        assert (await locations.take_over("one")).location == THERE.location


async def test_a_removal_that_the_store_refuses_does_not_count_as_written(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore(shared=True)
    async with running(store) as locations:
        store.failure = CommitRefused("no", data_error=True)
        with pytest.raises(StoreUnavailable):
            await locations.remove("one", generation=0)


async def test_of_some_sessions_it_is_known_that_their_location_was_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    async with running(FickleStore()) as locations:
        for number in range(100):
            locations.set(str(number), HERE)
        for number in (94, 95, 96):
            with pytest.raises(StoreUnavailable):
                await locations.take_over(str(number))
        assert await locations.take_over("93") == NOWHERE


async def test_an_unexpected_failure_of_a_write_is_logged_and_the_write_repeated(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = FickleStore()
    async with running(store) as locations:
        store.failure = RuntimeError("a bug")
        locations.set("one", HERE)
        await trio.sleep(5)
        assert "a bug" in caplog.text
        statistics = locations.statistics()
        assert statistics.pending == 1
        assert statistics.writer.failures > 1
        assert statistics.writer.last_error == "RuntimeError: a bug"
        store.failure = None
        await trio.sleep(60)
        assert await store.find_session_location("one") == HERE
        assert locations.statistics().writer.running


async def test_an_unexpected_failure_of_pruning_is_logged_and_pruning_goes_on(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = FickleStore()
    store.prune_failure = RuntimeError("a bug")
    async with running(store) as locations:
        await trio.sleep(5)
        assert "a bug" in caplog.text
        assert locations.statistics().pruner.failures > 1
        store.prune_failure = None
        failed = len(store.pruned)
        await trio.sleep(60)
        assert len(store.pruned) == failed + 1
        locations.set("one", HERE)
        await wait_all_tasks_blocked()
        assert await store.find_session_location("one") == HERE


async def test_an_unexpected_failure_of_the_last_write_does_not_disturb_the_end(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = FickleStore()
    async with running(store) as locations:
        store.failure = RuntimeError("a bug")
        locations.set("one", HERE)
    assert "a bug" in caplog.text


# Where other servers use the store, too


async def test_whose_write_comes_late_is_disconnected_once(autojump_clock: MockClock) -> None:
    store = FickleStore(shared=True)
    async with running(store) as locations:
        late, other = Session("one"), Session("two")
        for session in (late, other):
            locations.connected(session)
        await store.take_over_session("one")
        for _ in range(2):
            locations.set("one", HERE)
            locations.set("two", HERE)
            await wait_all_tasks_blocked()
        await trio.sleep(2 * CHECK_INTERVAL)
        assert (late.closed, other.closed) == (1, 0)
        assert locations.statistics().taken_over == 1
        assert (await store.find_session_location("one")).location is None


async def test_whose_session_was_resumed_here_since_is_not_disconnected(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore(shared=True)
    async with running(store) as locations:
        await store.take_over_session("one")
        locations.set("one", HERE)  # of the former connection
        locations.connected(session := Session("one", generation=1))
        await trio.sleep(2 * CHECK_INTERVAL)
        assert session.closed == 0


async def test_who_has_disconnected_is_not_looked_for(autojump_clock: MockClock) -> None:
    store = FickleStore(shared=True)
    async with running(store) as locations:
        locations.connected(session := Session("one"))
        locations.disconnected("one")
        await store.take_over_session("one")
        await trio.sleep(2 * CHECK_INTERVAL)
        assert session.closed == 0


async def test_many_sessions_are_checked_by_several_queries(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKED_AT_ONCE", 2)
    store = FickleStore(shared=True)
    async with running(store) as locations:
        sessions = [Session(str(number)) for number in range(5)]
        for session in sessions:
            locations.connected(session)
            await store.take_over_session(session.sid)
        await trio.sleep(1.5 * CHECK_INTERVAL)
        assert [session.closed for session in sessions] == [1] * 5


async def test_what_is_pending_is_written_before_the_session_is_taken_over(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore(shared=True)
    async with running(store) as locations:
        locations.set("one", HERE)
        assert await locations.take_over("one") == SessionRecord(HERE.location, 1)
        await store.take_over_session("one")
        locations.set("one", replace(THERE, generation=1))
        assert await locations.take_over("one") == SessionRecord(HERE.location, 3)


async def test_a_session_is_not_taken_over_while_its_location_cannot_be_written(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore(shared=True)
    async with running(store) as locations:
        store.failure = StoreError("down")
        locations.set("one", HERE)
        before = trio.current_time()
        with pytest.raises(StoreUnavailable):
            await locations.take_over("one")
        assert trio.current_time() - before == WRITE_TIMEOUT
        assert (await store.find_session_location("one")).generation == 0


async def test_the_only_server_raises_no_generation_and_keeps_one_that_there_is(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    await store.take_over_session("one")
    async with running(store) as locations:
        assert await locations.take_over("one") == SessionRecord(None, 1)
        locations.set("one", replace(HERE, generation=1))
        await wait_all_tasks_blocked()
        assert await locations.take_over("one") == replace(HERE, generation=1)
