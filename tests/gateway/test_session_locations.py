from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.gateway.namespace import session_locations as module
from gbs_actor.gateway.namespace.session_locations import (
    FORGET_TIMEOUT,
    LAST_WRITE_TIMEOUT,
    PRUNE_INTERVAL,
    SessionLocations,
)
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import CommitRefused, OutcomeUnknown, SessionLocation, StoreError

HERE = SessionLocation("winter", "epoch", joined_revision=3, known_elsewhere=-1)
THERE = SessionLocation("summer", "epoch", joined_revision=0, known_elsewhere=3)


class FickleStore(MemoryStore):
    """Fails, or waits, when told to, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: StoreError | None = None
        self.may_go_on = trio.Event()
        self.may_go_on.set()
        self.told: list[dict[str, SessionLocation | None]] = []
        self.pruned: list[float] = []

    async def update_session_locations(self, places: Mapping[str, SessionLocation | None]) -> None:
        self.told.append(dict(places))
        await self.may_go_on.wait()
        if self.failure is not None:
            raise self.failure
        await super().update_session_locations(places)

    async def prune_session_locations(self, age: float) -> int:
        self.pruned.append(trio.current_time())
        return await super().prune_session_locations(age)


@asynccontextmanager
async def running(store: FickleStore) -> AsyncIterator[SessionLocations]:
    places = SessionLocations(store, max_age=43_200)
    async with places.running():
        await wait_all_tasks_blocked()
        yield places


async def test_what_is_noted_is_known_at_once_and_kept_soon(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as places:
        places.remember("one", HERE)
        assert store.told == []
        assert await places.recall("one") == HERE
        await wait_all_tasks_blocked()
        assert await store.find_session_location("one") == HERE


async def test_what_another_process_noted_is_asked_of_the_store(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    await store.update_session_locations({"one": HERE})
    async with running(store) as places:
        assert await places.recall("one") == HERE
        assert await places.recall("two") is None


async def test_what_comes_together_is_told_together_and_the_last_word_counts(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    async with running(store) as places:
        places.remember("one", HERE)
        places.remember("two", HERE)
        places.remember("one", THERE)
        places.forget_soon("two")
        await wait_all_tasks_blocked()
        assert store.told == [{"one": THERE, "two": None}]


async def test_to_forget_waits_for_the_store(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as places:
        places.remember("one", HERE)
        await wait_all_tasks_blocked()
        await places.forget("one")
        assert await store.find_session_location("one") is None


async def test_what_the_store_is_being_told_counts_already(autojump_clock: MockClock) -> None:
    store = FickleStore()
    await store.update_session_locations({"one": HERE})
    async with running(store) as places:
        store.may_go_on = trio.Event()
        places.forget_soon("one")
        await wait_all_tasks_blocked()
        assert await places.recall("one") is None
        places.remember("one", THERE)
        assert await places.recall("one") == THERE
        store.may_go_on.set()
        await wait_all_tasks_blocked()
        assert await store.find_session_location("one") == THERE


@pytest.mark.parametrize(
    "failure", [OutcomeUnknown("lost"), StoreError("down"), CommitRefused("locked")]
)
async def test_what_fails_is_told_again_until_it_is_kept(
    autojump_clock: MockClock, failure: StoreError
) -> None:
    store = FickleStore()
    async with running(store) as places:
        store.failure = failure
        places.remember("one", HERE)
        places.remember("two", HERE)
        await trio.sleep(20)
        assert len(store.told) > 3
        places.remember("two", THERE)
        store.failure = None
        await trio.sleep(10)
        assert await store.find_session_location("one") == HERE
        assert await store.find_session_location("two") == THERE


async def test_without_the_store_to_forget_does_not_wait_for_long_and_holds(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    await store.update_session_locations({"one": HERE})
    async with running(store) as places:
        store.failure = StoreError("down")
        before = trio.current_time()
        await places.forget("one")
        assert trio.current_time() - before == FORGET_TIMEOUT
        assert await places.recall("one") is None
        store.failure = None
        await trio.sleep(10)
        assert await store.find_session_location("one") is None


async def test_what_the_store_refuses_is_dropped_and_the_next_is_kept(
    autojump_clock: MockClock,
) -> None:
    store = FickleStore()
    async with running(store) as places:
        store.failure = CommitRefused("no", data_error=True)
        places.remember("one", HERE)
        await wait_all_tasks_blocked()
        store.failure = None
        places.remember("two", HERE)
        await trio.sleep(60)
        assert [set(told) for told in store.told] == [{"one"}, {"two"}]


async def test_at_the_end_the_store_is_told_the_rest(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as places:
        places.remember("one", HERE)
    assert await store.find_session_location("one") == HERE


async def test_the_end_does_not_wait_for_long(autojump_clock: MockClock) -> None:
    store = FickleStore()
    async with running(store) as places:
        store.may_go_on = trio.Event()
        places.remember("one", HERE)
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


async def test_of_too_much_that_is_owed_the_oldest_is_dropped(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OWED", 3)
    store = FickleStore()
    async with running(store) as places:
        for sid in ("one", "two", "three", "one", "four"):
            places.remember(sid, HERE)
        await wait_all_tasks_blocked()
        assert [set(told) for told in store.told] == [{"three", "one", "four"}]
