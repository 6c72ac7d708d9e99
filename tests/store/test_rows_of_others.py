"""Commits and locks of PostgreSQL: rows that others hold, and sessions that end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateMemo,
    UpdateMemo,
)
from gbs_actor.rooms import Accepted, RoomSupervisor
from gbs_actor.store.postgres import database
from gbs_actor.store.postgres.connection import DbConnection, connect
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import (
    LOCK_TIMEOUT,
    Delta,
    LockLost,
    OutcomeUnknown,
    RowsLocked,
    StoreUnavailable,
)
from gbs_actor.store.rows import RETREAT, RowKey, Table
from tests.rooms.peers import Client
from tests.store.other_clients import (
    ask,
    locked_retreats,
    other_program,
    soon,
    terminate_others,
    until_waiting,
)
from tests.store.worlds import Desk

WITH_MEMO, MEMBER, PLAIN, OTHER = 2, 3, 4, 5


@asynccontextmanager
async def held(outside: DbConnection, sql: str, key: int) -> AsyncIterator[None]:
    """Hold the rows that a statement selects."""
    async with outside.transaction(deadline=soon()):
        await ask(outside, f"{sql} FOR UPDATE", key)
        yield


@asynccontextmanager
async def held_registration(outside: DbConnection, registration_id: int) -> AsyncIterator[None]:
    """Hold a person's row, as a program does that is about to change it."""
    async with outside.transaction(deadline=soon()):
        sql = "SELECT FROM user_retreat_registration WHERE id = $1 FOR UPDATE"
        await ask(outside, sql, registration_id)
        yield


@asynccontextmanager
async def held_group(outside: DbConnection, number: int) -> AsyncIterator[None]:
    """Hold a group's row, as a program does that has changed its memo; people may enter it."""
    async with outside.transaction(deadline=soon()):
        await ask(outside, "SELECT FROM gbs WHERE number = $1 FOR NO KEY UPDATE", number)
        yield


async def move(database_url: str, registration_id: int, number: int | None) -> None:
    """Put somebody into a group, as another program does."""
    connection = await connect(database_url, deadline=soon())
    try:
        sql = """
            UPDATE user_retreat_registration SET gbs_id = (SELECT id FROM gbs WHERE number = $2)
                WHERE id = $1
        """
        await ask(connection, sql, registration_id, number)
    finally:
        connection.terminate()


class TestRowsOfOthers:
    @pytest.mark.parametrize(
        "actions",
        [
            (AssignNumber(PLAIN, 1),),
            (AssignNumber(PLAIN, None),),
            (CreateMemo(PLAIN, "조용히", ""),),
            (AssignNumber(OTHER, 1), AssignNumber(PLAIN, 1)),
            (CreateMemo(OTHER, "조용히", ""), CreateMemo(PLAIN, "조용히", "")),
        ],
    )
    async def test_a_commit_waits_briefly_for_a_row_that_another_program_holds(
        self, postgres: PostgresStore, outside: DbConnection, actions: tuple[Action, ...]
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 5))
        changes = await desk.decide(*actions)
        # As long as it waits for the row of the retreat: 80 % of commit_timeout.
        assert postgres._timeouts.commit * 0.8 > 3
        async with held_registration(outside, PLAIN):
            with trio.fail_after(3), pytest.raises(RowsLocked):
                await desk.try_commit(changes)
        assert (await desk.loaded()).revision == 1
        assert postgres.statistics().unknown_outcomes == 0
        await desk.commit(changes)

    async def test_a_deadlock_costs_no_other_program_its_transaction(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        touch = "UPDATE user_retreat_registration SET updated_at = now() WHERE id = $1"
        changes = await desk.decide(*(AssignNumber(id_, 1) for id_ in (MEMBER, PLAIN, OTHER)))

        async def commit() -> None:
            answered = False
            while not answered:  # as a room does, for a while
                with suppress(RowsLocked):
                    await desk.try_commit(changes)
                    answered = True

        async with (
            other_program(database_url) as payments,
            trio.open_nursery() as committing,
            payments.transaction(deadline=soon()),
        ):
            await ask(payments, touch, OTHER)
            async with trio.open_nursery() as waiting, outside.transaction(deadline=soon()):
                await ask(outside, touch, PLAIN)
                committing.start_soon(commit)  # it writes MEMBER, and waits for PLAIN
                await until_waiting(outside, 1)
                waiting.start_soon(ask, payments, touch, MEMBER)
                await until_waiting(outside, 2)
            # As PLAIN was free, it waited for OTHER: whoever has that had waited for longer.

    async def test_a_commit_waits_longer_for_the_row_of_the_retreat(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        for actions in (
            (AssignNumber(PLAIN, 1),),
            (AssignNumber(OTHER, 1), AssignNumber(PLAIN, None)),
        ):
            async with trio.open_nursery() as nursery, locked_retreats(outside):
                nursery.start_soon(desk.do, *actions)
                await until_waiting(outside, 1)
                await ask(outside, "SELECT pg_sleep(0.4)")
        assert (await desk.loaded()).revision == 3

    async def test_a_commit_leaves_the_time_limits_of_its_connection_as_they_were(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        limits = "SELECT name, setting FROM pg_settings WHERE name ~ 'timeout' ORDER BY name"
        before = await postgres._database.fetch(limits)
        await desk.do(AssignNumber(PLAIN, 1))
        await desk.do(AssignNumber(PLAIN, 5), AssignNumber(OTHER, 1))
        async with postgres.locked(desk.retreat_id, desk.board.epoch, 3) as retreat:
            await retreat.commit(desk.attempt([desk.fence()]))
        assert await postgres._database.fetch(limits) == before
        assert postgres.statistics().open_connections == 2

    async def test_under_the_lock_a_commit_waits_as_briefly(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(UpdateMemo(desk.memo_id(WITH_MEMO), "복도", ""))
        async with held_registration(outside, WITH_MEMO):
            with trio.fail_after(3), pytest.raises(RowsLocked):
                async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
                    await retreat.commit(desk.attempt(changes))
        await desk.commit(changes)

    async def test_under_the_lock_a_row_that_another_program_has_removed_is_no_contradiction(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        memo_id = desk.memo_id(WITH_MEMO)
        changes = await desk.decide(UpdateMemo(memo_id, "복도", ""))
        await ask(outside, "DELETE FROM user_retreat_registration_memo WHERE id = $1", memo_id)
        with pytest.raises(RowsLocked):
            async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
                await retreat.commit(desk.attempt(changes))
        assert (await desk.loaded()).registrations[1].memo is None

    async def test_a_new_registration_does_not_wait_for_a_locked_retreat(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, "DELETE FROM user_retreat_registration WHERE id = 6")
        async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
            await ask(
                outside,
                "INSERT INTO user_retreat_registration (retreat_id, user_id, is_leader,"
                " current_leader, created_at, updated_at)"
                " VALUES (1, 6, false, '', now(), now())",
            )
            await retreat.commit(desk.attempt([desk.fence()]))


class TestHeldRows:
    async def test_those_that_another_program_holds_are_found_among_many(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 5))
        memo = desk.memo_id(WITH_MEMO)
        rows = {
            RETREAT,
            *[RowKey(Table.REGISTRATION, key) for key in (WITH_MEMO, PLAIN, OTHER, 999)],
            *[RowKey(Table.GROUP, number) for number in (1, 5, 999)],
            *[RowKey(Table.MEMO, key) for key in (memo, 999)],
        }
        assert await postgres.held_rows(desk.retreat_id, rows) == frozenset()
        for table, sql, key in (
            (Table.REGISTRATION, "SELECT FROM user_retreat_registration WHERE id = $1", PLAIN),
            (Table.GROUP, "SELECT FROM gbs WHERE number = $1", 5),
            (Table.MEMO, "SELECT FROM user_retreat_registration_memo WHERE id = $1", memo),
        ):
            async with held(outside, sql, key):
                found = await postgres.held_rows(desk.retreat_id, rows)
                assert found == {RowKey(table, key)}
                left = rows - {RowKey(table, key)}
                assert await postgres.held_rows(desk.retreat_id, left) == frozenset()
        assert (await desk.loaded()).revision == 2

    async def test_a_retreat_that_is_held_is_found_within_moments(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        async with locked_retreats(outside):
            with trio.fail_after(3):
                found = await postgres.held_rows(
                    desk.retreat_id, {RETREAT, RowKey(Table.REGISTRATION, PLAIN)}
                )
            assert found == {RETREAT}

    async def test_asking_leaves_nothing_locked_and_no_time_limit_behind(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        # A session has settings of PL/pgSQL once it has called a function in it.
        limits = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' ORDER BY 1"
        before = await postgres._database.fetch(limits)
        await postgres.held_rows(desk.retreat_id, {RETREAT, RowKey(Table.REGISTRATION, PLAIN)})
        assert await postgres._database.fetch(limits) == before
        await ask(outside, "SELECT FROM retreat FOR UPDATE NOWAIT")
        await ask(outside, "SELECT FROM user_retreat_registration FOR UPDATE NOWAIT")

    async def test_what_another_server_commits_is_not_held(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        found: list[frozenset[RowKey]] = []
        key = RowKey(Table.REGISTRATION, PLAIN)

        async def find() -> None:
            found.append(await postgres.held_rows(desk.retreat_id, {RETREAT, key}))

        async with trio.open_nursery() as nursery, outside.transaction(deadline=soon()):
            await ask(outside, "UPDATE retreat SET revision = revision + 1")
            sql = "UPDATE user_retreat_registration SET gbs_revision = 1 WHERE id = $1"
            await ask(outside, sql, PLAIN)
            nursery.start_soon(find)
            await until_waiting(outside, 1)
        assert found == [frozenset()]

    async def test_a_room_commits_all_but_what_is_on_a_held_row(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await Desk.of(postgres)
        async with RoomSupervisor(postgres).running() as supervisor:
            client = Client(supervisor, 1)
            await client.join("winter")
            async with held_registration(outside, PLAIN):
                for number in (5, None):
                    actions = AssignNumber(PLAIN, 1), AssignNumber(OTHER, number)
                    given = [client.give(client.command(action)) for action in actions]
                    with trio.fail_after(3):
                        await client.subscriber.wait_replied()
                    refused, accepted = [each.answers[0] for each in given]
                    assert isinstance(refused, Rejection)
                    assert refused.code is Code.ROOM_BUSY
                    assert isinstance(accepted, Accepted)
            # It was waited for once.
            assert postgres.statistics().commit_failures == 1
            assert isinstance(await client.ask(AssignNumber(PLAIN, 1)), Accepted)
            assert client.rows[OTHER]["gbsNumber"] is None
            await supervisor.drain()

    async def test_somebody_whose_change_waits_for_a_held_group_is_held(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 1))
        rows = {RowKey(Table.REGISTRATION, key) for key in (PLAIN, OTHER)}
        async with held_group(outside, 5):
            await move(database_url, PLAIN, 5)
            found = await postgres.held_rows(desk.retreat_id, rows)
            assert found == {RowKey(Table.REGISTRATION, PLAIN)}
            await move(database_url, OTHER, None)
            assert await postgres.held_rows(desk.retreat_id, rows) == found
        assert await postgres.held_rows(desk.retreat_id, rows) == frozenset()

    @pytest.mark.parametrize(
        "action",
        [AssignNumber(PLAIN, 1), BulkAssign((Assignment(PLAIN, current_leader="새리더"),))],
    )
    async def test_a_room_commits_all_but_what_is_on_somebody_whose_change_waits(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str, action: Action
    ) -> None:
        """Nor is it tried again and again, with the retreat locked, until the group is free."""
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(MEMBER, 5))
        async with RoomSupervisor(postgres).running() as supervisor:
            client = Client(supervisor, 1)
            await client.join("winter")
            async with held_group(outside, 5):
                await move(database_url, PLAIN, 5)
                for number in (1, None):
                    actions: list[Action] = [
                        action,
                        AssignNumber(OTHER, number),
                        CreateMemo(MEMBER, "메모", "") if number else AssignNumber(OTHER, 7),
                    ]
                    given = [client.give(client.command(action)) for action in actions]
                    with trio.fail_after(3):
                        await client.subscriber.wait_replied()
                    refused, *accepted = [each.answers[0] for each in given]
                    assert isinstance(refused, Rejection)
                    assert refused.code is Code.ROOM_BUSY
                    assert all(isinstance(each, Accepted) for each in accepted)
            assert postgres.statistics().commit_failures == 1
            assert isinstance(await client.ask(AssignNumber(PLAIN, 1)), Accepted)
            await supervisor.drain()


class TestDeltas:
    async def test_what_is_older_than_a_change_of_all_rows_gets_an_incomplete_delta(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 1), AssignNumber(OTHER, 5))
        await ask(outside, "UPDATE retreat SET full_revision = 2")
        for revision, complete in ((1, False), (2, True)):
            delta = await postgres.delta(desk.retreat_id, desk.board.epoch, revision)
            assert delta is not None
            assert delta.complete is complete

    async def test_what_other_programs_have_changed_is_in_it(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.commit([desk.fence()])
        await ask(outside, "SET gbs.own = 'on'")
        await ask(outside, "UPDATE user_retreat_registration SET row_revision = 1 WHERE id = 4")
        delta = await postgres.delta(desk.retreat_id, desk.board.epoch, 0)
        assert delta is not None
        assert delta.registrations == ((await desk.loaded()).registrations[PLAIN - 1],)


class TestSessionsThatEnd:
    async def test_a_lock_whose_session_ends_had_no_effect(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(AssignNumber(PLAIN, 1))
        attempt = desk.attempt(changes)
        async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
            await terminate_others(outside)
            with pytest.raises(LockLost, match="lost"):
                await retreat.commit(attempt)
        assert not await postgres.committed(desk.retreat_id, attempt.id)
        assert postgres.statistics().unknown_outcomes == 0
        await desk.commit(changes)

    async def test_a_lock_is_not_had_while_the_session_ends(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)

        async def lock() -> None:
            with pytest.raises(StoreUnavailable, match="locked"):
                async with postgres.locked(desk.retreat_id, desk.board.epoch, 0):
                    raise AssertionError("it has the lock")

        async with locked_retreats(outside), trio.open_nursery() as nursery:
            nursery.start_soon(lock)
            await until_waiting(outside, 1)
            await terminate_others(outside)
        await desk.do(AssignNumber(PLAIN, 1))

    async def test_whoever_is_cancelled_while_it_waits_leaves_nobody_waiting(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)

        async def lock() -> None:
            async with postgres.locked(desk.retreat_id, desk.board.epoch, 0):
                raise AssertionError("it has the lock")

        terminated = postgres.statistics().terminated_connections
        async with locked_retreats(outside):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lock)
                await until_waiting(outside, 1)
                nursery.cancel_scope.cancel()
            assert postgres.statistics().terminated_connections == terminated + 1
            await until_waiting(outside, 0)

    async def test_a_commit_under_the_lock_whose_answer_is_lost_is_of_unknown_outcome(
        self, postgres: PostgresStore, outside: DbConnection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = await Desk.of(postgres)
        attempt = desk.attempt(await desk.decide(AssignNumber(PLAIN, 1)))
        execute = DbConnection.execute

        async def end_instead(self: DbConnection, script: str, *, deadline: float) -> None:
            if script == "COMMIT":
                await terminate_others(outside)
            await execute(self, script, deadline=deadline)

        async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
            monkeypatch.setattr(DbConnection, "execute", end_instead)
            with pytest.raises(OutcomeUnknown):
                await retreat.commit(attempt)
            monkeypatch.undo()
        assert postgres.statistics().unknown_outcomes == 1
        assert not await postgres.committed(desk.retreat_id, attempt.id)

    async def test_a_block_that_is_cancelled_ends_its_session(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        terminated = postgres.statistics().terminated_connections
        with trio.CancelScope() as scope:
            async with postgres.locked(desk.retreat_id, desk.board.epoch, 0):
                scope.cancel()
                await trio.sleep_forever()
        statistics = postgres.statistics()
        assert statistics.terminated_connections == terminated + 1
        assert statistics.unknown_outcomes == 0
        await desk.do(AssignNumber(PLAIN, 1))

    async def test_a_block_without_a_commit_keeps_its_session(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        terminated = postgres.statistics().terminated_connections
        async with postgres.locked(desk.retreat_id, desk.board.epoch, 0):
            pass
        assert postgres.statistics().terminated_connections == terminated

    async def test_an_idle_lock_ends_by_itself(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        async with postgres.locked(desk.retreat_id, desk.board.epoch, 0):
            (row,) = await ask(
                outside,
                "SELECT count(*) AS locks FROM pg_locks WHERE relation = 'retreat'::regclass",
            )
            assert row["locks"]
            with trio.fail_after(5 + LOCK_TIMEOUT):
                await ask(outside, "SELECT FROM retreat FOR UPDATE")

    async def test_a_lock_that_is_lost_is_no_outage(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        attempt = desk.attempt(await desk.decide(AssignNumber(PLAIN, 1)))
        terminated = postgres.statistics().terminated_connections

        async def lose_it() -> None:
            async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
                await postgres.ping()
                with trio.fail_after(5 + LOCK_TIMEOUT):
                    await ask(outside, "SELECT FROM retreat FOR UPDATE")
                await retreat.commit(attempt)

        with pytest.raises(LockLost):
            await lose_it()
        statistics = postgres.statistics()
        assert statistics.available
        assert statistics.terminated_connections == terminated + 1
        assert statistics.idle_connections == 1

    async def test_others_have_connections_while_as_many_retreats_are_locked_as_can_be(
        self, database_url: str
    ) -> None:
        async with PostgresStore.open(database_url, pool_size=3) as store:
            summer, winter = [await Desk.of(store, slug) for slug in ("summer", "winter")]
            locked = trio.Event()

            async def lock_winter() -> None:
                async with store.locked(winter.retreat_id, winter.board.epoch, 0) as retreat:
                    locked.set()
                    await retreat.commit(winter.attempt([winter.fence()]))

            async with (
                trio.open_nursery() as nursery,
                store.locked(summer.retreat_id, summer.board.epoch, 0) as retreat,
            ):
                nursery.start_soon(lock_winter)
                await winter.do(AssignNumber(winter.board.rows()[-1].id, 7))
                assert not locked.is_set()
                await retreat.commit(summer.attempt([summer.fence()]))
            assert locked.is_set()

    async def test_a_lock_that_is_not_free_in_time_cannot_be_had_which_is_no_outage(
        self, database_url: str, outside: DbConnection
    ) -> None:
        async with PostgresStore.open(database_url, commit_timeout=2, pool_size=2) as store:
            desk = await Desk.of(store)
            async with locked_retreats(outside):
                with pytest.raises(RowsLocked, match="another program holds"):
                    async with store.locked(desk.retreat_id, desk.board.epoch, 0):
                        raise AssertionError("it has the lock")
            assert store.statistics().available


class TestClusters:
    async def test_a_commit_that_meets_another_cluster_changes_nothing(
        self, postgres: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = await Desk.of(postgres)
        promoted = "SELECT 'another' AS cluster"
        monkeypatch.setattr(database, "_CLUSTER", promoted)
        postgres._database.pool.end_idle()
        for actions in (
            (AssignNumber(PLAIN, 1),),
            (AssignNumber(OTHER, 1), AssignNumber(PLAIN, None)),
        ):
            delta = await desk.try_commit(await desk.decide(*actions))
            assert delta is not None
            assert delta == Delta(delta.version, complete=False)
            assert delta.version.epoch != desk.board.epoch
            assert delta.version == await postgres.version("winter")
        assert (await desk.loaded()).revision == 0
