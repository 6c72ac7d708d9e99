"""A frozen or killed database: nobody is held, and nothing confirmed is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
import trio
import trio.testing

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.store.embedded.postmaster import processes_of
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import (
    CommitRefused,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)
from tests.store.worlds import MOMENT, Desk

PLAIN = 4
TIMEOUT = 1.5
TOLERANCE = 1.5  # less than the same time once more


@pytest.fixture
async def embedded(base: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of this test's own, to be maltreated."""
    embedded = EmbeddedPostgres(base)
    async with embedded.running():
        yield embedded


@pytest.fixture
async def store(embedded: EmbeddedPostgres) -> AsyncIterator[PostgresStore]:
    """A store with short timeouts."""
    async with PostgresStore.open(
        embedded.dsn,
        commit_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        database_connect_timeout=TIMEOUT,
        migrating=True,
    ) as store:
        yield store


@contextmanager
def frozen(base: Path) -> Iterator[None]:
    """Freeze a whole PostgreSQL, as a stuck disk or a paused machine does."""
    with processes_of(base / "pgdata") as processes:
        for process in processes:
            process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send(signal.SIGCONT)


async def until_available(store: PostgresStore) -> None:
    """Return once the store answers again."""
    with trio.fail_after(30):
        while True:
            try:
                return await store.ping()
            except StoreUnavailable:
                continue


async def settle(desk: Desk, changes: list[Change]) -> bool:
    """Find out about a commit of unknown outcome as a room does: fence, then look."""
    while True:
        current = await Desk.of(desk.store)
        if await current.try_commit([fence_on(current)]) is None:
            found = await desk.store.find_commands(desk.retreat_id, [changes[0].command_id])
            return bool(found)


_fence_ids = count(10**6)


def fence_on(desk: Desk) -> Change:
    """Return a fence with an id that no other has."""
    return desk.board.draft(iter(())).fence(UUID(int=next(_fence_ids)), MOMENT)


async def test_a_frozen_database_holds_no_commit_longer_than_its_time(
    store: PostgresStore, base: Path
) -> None:
    desk = await Desk.of(store)
    changes = await desk.decide(AssignNumber(PLAIN, 1))
    started = trio.current_time()
    with frozen(base):
        with pytest.raises(OutcomeUnknown):
            await desk.commit(changes)
        assert trio.current_time() - started < TIMEOUT + TOLERANCE
    assert store.statistics().unknown_outcomes == 1
    assert not store.statistics().available


async def test_a_frozen_database_holds_no_read_longer_than_its_time(
    store: PostgresStore, base: Path
) -> None:
    desk = await Desk.of(store)
    started = trio.current_time()
    with frozen(base):
        with pytest.raises(StoreUnavailable):
            await desk.loaded()
        assert trio.current_time() - started < TIMEOUT + TOLERANCE


async def test_a_commit_that_finds_no_connection_to_a_frozen_database_was_not_sent(
    store: PostgresStore, base: Path
) -> None:
    desk = await Desk.of(store)
    changes = await desk.decide(AssignNumber(PLAIN, 1))
    store._database.pool.end_idle()
    started = trio.current_time()
    with frozen(base):
        with pytest.raises(StoreUnavailable):
            await desk.commit(changes)
        assert trio.current_time() - started < TIMEOUT + TOLERANCE
    assert store.statistics().unknown_outcomes == 0


async def test_what_a_thawed_database_did_is_settled_by_a_fence(
    store: PostgresStore, base: Path
) -> None:
    desk = await Desk.of(store)
    changes = await desk.decide(AssignNumber(PLAIN, 1))
    with frozen(base), pytest.raises(OutcomeUnknown):
        await desk.commit(changes)
    await until_available(store)
    took_effect = await settle(desk, changes)
    reloaded = (await desk.loaded()).registrations[PLAIN - 1]
    assert (reloaded.gbs_number == 1) is took_effect


@pytest.mark.parametrize("victim", ["postmaster", "backend"])
async def test_what_was_confirmed_survives_a_kill_under_commits(
    store: PostgresStore, base: Path, victim: str
) -> None:
    desk = await Desk.of(store)
    confirmed: list[int] = []
    doubtful: list[int] = []
    started, enough = trio.Event(), trio.Event()

    async def edit() -> None:
        number = 0
        while not (doubtful or enough.is_set()):
            number += 1
            try:
                changes = await desk.decide(AssignNumber(PLAIN, number))
            except StoreUnavailable:
                return  # the kill came before anything was sent
            try:
                await desk.commit(changes)
            except (OutcomeUnknown, StoreUnavailable, CommitRefused):
                doubtful.append(number)
            else:
                confirmed.append(number)
                if number == 20:
                    started.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(edit)
        await started.wait()
        # Both kills end every connection, that of the lock too.
        lock_connection = store._database.lease._connection
        assert lock_connection is not None
        kill(base, victim)
        with trio.fail_after(20):
            while not lock_connection.closed:  # noqa: ASYNC110  (whoever reads closes it)
                await trio.sleep(0.005)
        enough.set()
    await until_available(store)
    now = (await desk.loaded()).registrations[PLAIN - 1].gbs_number
    assert now in {confirmed[-1], *doubtful}
    entries = await store.log(desk.retreat_id)
    assert [entry.revision for entry in entries] == [*range(1, len(entries) + 1)]
    assert len(entries) - len(confirmed) in range(len(doubtful) + 1)


async def test_kills_under_calls_that_are_cancelled_leave_nothing_behind(
    store: PostgresStore, embedded: EmbeddedPostgres
) -> None:
    await Desk.of(store)
    chance = Random(1)

    async def commit() -> None:
        desk = await Desk.of(store)
        await desk.try_commit([fence_on(desk)])

    async def work() -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            *(store.retreats, store.check_write, partial(store.load, "winter"), commit)
        ]
        while True:
            await trio.lowlevel.checkpoint()
            with trio.move_on_after(chance.uniform(0, 0.02)), suppress(StoreError):
                await chance.choice(calls)()

    before = open_files()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)
        for _ in range(15):
            await until_available(store)
            postmaster = embedded.statistics().pid
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
        await until_available(store)
        nursery.cancel_scope.cancel()
    await until_available(store)
    assert store.statistics().open_connections == 1 + store.statistics().idle_connections
    store._database.pool.end_idle()
    assert len(after := open_files()) <= len(before), f"{after} are open, before {before}"
    desk = await Desk.of(store)
    entries = await store.log(desk.retreat_id, limit=100_000)
    assert [entry.revision for entry in entries] == [*range(1, len(entries) + 1)]


def open_files() -> list[str]:
    """Return what the descriptors of this process stand for."""
    names = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing
            names.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(names)


def kill(base: Path, victim: str) -> None:
    """Kill the postmaster, or the backend that has the most to do."""
    with processes_of(base / "pgdata") as processes:
        if victim == "postmaster":
            (chosen,) = [process for process in processes if process.is_postmaster]
        else:
            backends = [process for process in processes if is_backend(process.pid)]
            chosen = max(backends, key=lambda process: cpu_ticks(process.pid))
        chosen.send(signal.SIGKILL)


def is_backend(pid: int) -> bool:
    """Return whether a process serves a connection."""
    return b"[local]" in Path(f"/proc/{pid}/cmdline").read_bytes()


def cpu_ticks(pid: int) -> int:
    """Return how much time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


async def test_the_next_call_works_after_the_postmaster_was_killed(
    store: PostgresStore, embedded: EmbeddedPostgres
) -> None:
    desk = await Desk.of(store)
    pid = embedded.statistics().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with trio.fail_after(30):
        while embedded.statistics().starts < 2 or not embedded.statistics().ready:
            await trio.testing.wait_all_tasks_blocked(0.01)
    await until_available(store)
    await desk.do(AssignNumber(PLAIN, 1))
    assert (await desk.loaded()).revision == 1
    assert store.statistics().unknown_outcomes == 0
