"""Migrations while other programs hold locks: nobody waits long, and who holds them is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
import structlog
import trio

from gbs_actor.lineup.commands import Assignment, BulkAssign
from gbs_actor.rooms import Accepted, RoomSupervisor
from gbs_actor.store.postgres.connection import DbConnection, connect
from gbs_actor.store.postgres.database import Database, Timeouts
from gbs_actor.store.postgres.lock_waits import WITHOUT_SERVERS, LocksHeld, LockWaits
from gbs_actor.store.postgres.migrate import Migration, shipped_migrations
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import StoreError
from tests.rooms.peers import Client
from tests.store.other_clients import ask, soon, until_waiting
from tests.store.worlds import Desk

PRESENT = len(shipped_migrations())
SHIPPED = "gbs_actor.store.postgres.store.shipped_migrations"


@pytest.fixture(autouse=True)
def _newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this program one whose last migration needs a table's lock."""
    sql = f"-- compatible down to {PRESENT}\nALTER TABLE gbs ADD COLUMN place text"
    migrations = [*shipped_migrations(), Migration(PRESENT + 1, "place", sql)]
    monkeypatch.setattr(SHIPPED, lambda: migrations)


@asynccontextmanager
async def reading(database_url: str, table: str = "gbs") -> AsyncIterator[DbConnection]:
    """A program that has read a table, and keeps its transaction open."""
    report = await connect(
        database_url, deadline=soon(), settings={"application_name": "monthly report"}
    )
    try:
        await report.execute(f"BEGIN; SELECT FROM {table}", deadline=soon())
        yield report
    finally:
        report.terminate()


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    """What is logged."""
    with structlog.testing.capture_logs() as logs:
        yield logs  # type: ignore[misc]  # mutable mappings


async def test_a_migration_gives_up_on_a_lock_and_names_who_holds_it(
    database_url: str, outside: DbConnection
) -> None:
    async with reading(database_url) as report:
        with pytest.raises(LocksHeld) as raised:
            await PostgresStore.migrate(database_url, wait=0.0)
        holder = rf"pid {report.pid} \(monthly report, idle in transaction, since 20\d\d-"
        assert raised.match(holder)
        assert raised.match(f"migration {PRESENT + 1:04}_place was rolled back: after 0 s")
    assert isinstance(raised.value, StoreError)
    rows = await ask(outside, "SELECT max(version) AS version FROM schema_migration")
    assert rows[0]["version"] == PRESENT
    held = await ask(outside, "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'")
    assert held[0]["n"] == 0


async def test_a_migration_is_tried_again_until_the_lock_is_free(
    database_url: str, logged: list[dict[str, object]]
) -> None:
    async with reading(database_url) as report, trio.open_nursery() as nursery:
        pid = report.pid
        nursery.start_soon(PostgresStore.migrate, database_url)
        with trio.fail_after(30):
            while not any("waiting for locks" in str(line["event"]) for line in logged):  # noqa: ASYNC110
                await trio.sleep(0.01)
        await report.execute("COMMIT", deadline=soon())
    (line, *_) = [each for each in logged if "waiting for locks" in str(each["event"])]
    assert f"pid {pid} (monthly report" in str(line["held_by"])
    assert [each["event"] for each in logged].count("schema migrated") == 1


async def test_others_wait_behind_a_migration_only_as_long_as_it_tries_once(
    database_url: str, outside: DbConnection
) -> None:
    third = await connect(database_url, deadline=soon())
    async with reading(database_url), trio.open_nursery() as nursery:
        nursery.start_soon(PostgresStore.migrate, database_url)
        await until_waiting(outside, 1)
        # Else it would wait for as long as the report is open.
        await third.fetch("SELECT FROM gbs", deadline=soon(4 * WITHOUT_SERVERS))
        nursery.cancel_scope.cancel()
    third.terminate()


async def test_whoever_edits_meanwhile_is_not_refused(
    database_url: str, logged: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        with monkeypatch.context() as former:
            former.setattr(SHIPPED, shipped_migrations)
            opening = PostgresStore.open(database_url, node="a")
            store = await stack.enter_async_context(opening)
        await Desk.of(store)
        supervisor = await stack.enter_async_context(RoomSupervisor(store).running())
        client = Client(supervisor)
        await client.join("winter")
        await stack.enter_async_context(reading(database_url))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(PostgresStore.migrate, database_url)
            with trio.fail_after(60):
                for number in count():
                    # In the table whose lock the migration waits for.
                    group = 1 + number % 9_000
                    two = (Assignment(3, group), Assignment(4, group))
                    answer = await client.ask(BulkAssign(two))
                    assert isinstance(answer, Accepted), answer
                    if sum("waiting for locks" in str(line["event"]) for line in logged) >= 3:
                        break
            nursery.cancel_scope.cancel()


async def test_a_lock_on_the_history_of_migrations_is_waited_for_as_any_other(
    database_url: str, outside: DbConnection
) -> None:
    await ask(outside, "ALTER TABLE schema_migration DROP COLUMN compatible_down_to")
    async with reading(database_url, "schema_migration") as report:
        holder = rf"the history of migrations .* pid {report.pid} \(monthly report"
        with pytest.raises(LocksHeld, match=holder):
            await PostgresStore.migrate(database_url, wait=0.0, migrate_timeout=10.0)
        rows = await ask(outside, "SELECT FROM pg_locks WHERE locktype = 'advisory'")
        assert not rows, "servers can start"
    await PostgresStore.migrate(database_url)


async def test_the_database_ends_a_wait_of_a_program_that_has_vanished(
    database_url: str, outside: DbConnection
) -> None:
    async def check(_connection: DbConnection, _deadline: float) -> None: ...

    database = Database(
        database_url,
        timeouts=Timeouts(10, 10, 10),
        pool_size=1,
        schema_version=PRESENT,
        check=check,
    )
    await ask(outside, "SELECT pg_advisory_lock(1)")
    connection = await database.connect_without_limits(soon())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, connection, "SELECT pg_advisory_lock(1)")
        await until_waiting(outside, 1)
        nursery.cancel_scope.cancel()  # which ends the connection, without a word to the server
    await until_waiting(outside, 0)


async def test_a_deadlock_is_tried_again(outside: DbConnection) -> None:
    tries = []

    async def step(deadline: float) -> None:
        tries.append(deadline)
        if len(tries) == 1:
            raising = "DO $$ BEGIN RAISE EXCEPTION 'made' USING ERRCODE = '40P01'; END $$"
            await outside.execute(raising, deadline=deadline)

    await LockWaits(outside, None, lock_timeout=1, longest_wait=10, step_timeout=10).run(
        "a step", step
    )
    assert len(tries) == 2


async def test_waiting_is_bounded_over_all_steps_together(outside: DbConnection) -> None:
    async def step(deadline: float) -> None:
        raising = "DO $$ BEGIN RAISE EXCEPTION 'made' USING ERRCODE = '55P03'; END $$"
        await outside.execute(raising, deadline=deadline)

    waits = LockWaits(outside, None, lock_timeout=1, longest_wait=0.0, step_timeout=10)
    for _ in range(2):
        with pytest.raises(LocksHeld, match="not known by whom"):
            await waits.run("a step", step)


async def test_whoever_looks_who_is_in_the_way_can_look_again_at_the_next_step(
    database_url: str, outside: DbConnection
) -> None:
    observer = await connect(database_url, deadline=soon())
    waits = LockWaits(outside, observer, lock_timeout=1, longest_wait=10, step_timeout=10)

    async def step(deadline: float) -> None:
        await outside.fetch("SELECT 1", deadline=deadline)

    for _ in range(50):  # some end while it looks
        await waits.run("a step", step)
    assert not observer.closed
    observer.terminate()
