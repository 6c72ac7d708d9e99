"""What is PostgreSQL's own: connections that fail, commits that wait, rows that stay."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
import trio
from msgspec.structs import replace
from structlog.testing import capture_logs

from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import AssignNumber, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.lineup.records import Group, Memo
from gbs_actor.store.postgres import commit, session_locations
from gbs_actor.store.postgres import store as store_module
from gbs_actor.store.postgres.commit_statements import commit_of_one_change
from gbs_actor.store.postgres.connection import ConnectionLost, DbConnection, ServerRefused
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import (
    CommitRefused,
    RowsLocked,
    SessionLocation,
    SessionRecord,
    StoreUnavailable,
)
from gbs_actor.store.writes import Writes, collapse
from tests.store.other_clients import (
    ask,
    fail_commits,
    locked_groups,
    locked_retreats,
    soon,
    terminate_others,
    until_waiting,
)
from tests.store.worlds import MOMENT, Desk, seed

WITH_MEMO, PLAIN, OTHER = 2, 4, 5
SOME_EPOCH = UUID(int=1)


class TestConnections:
    async def test_a_commit_on_connections_that_died_idle_succeeds(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await terminate_others(outside)
        await desk.do(AssignNumber(PLAIN, 1))
        assert (await desk.loaded()).revision == 1
        assert postgres.statistics().unknown_outcomes == 0

    async def test_a_commit_is_not_sent_on_a_connection_that_died_idle(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(AssignNumber(PLAIN, 1))
        await terminate_others(outside)
        await desk.commit(changes)
        assert postgres.statistics().unknown_outcomes == 0

    async def test_a_connection_left_in_a_transaction_is_not_kept(
        self, postgres: PostgresStore
    ) -> None:
        async with postgres._database.pool.connection(soon()) as connection:
            await connection.execute("BEGIN", deadline=soon())
        assert connection.closed
        assert postgres.statistics().idle_connections == 0

    async def test_a_read_on_connections_that_died_idle_succeeds(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await terminate_others(outside)
        assert (await desk.loaded()).revision == 0

    async def test_a_read_cut_short_by_the_server_is_asked_again(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        async with trio.open_nursery() as nursery, locked_groups(outside):
            nursery.start_soon(desk.loaded)
            await until_waiting(outside, 1)
            await terminate_others(outside)

    async def test_connections_are_kept_for_the_next_call(self, postgres: PostgresStore) -> None:
        for _ in range(5):
            await postgres.retreats()
        statistics = postgres.statistics()
        assert (statistics.open_connections, statistics.idle_connections) == (2, 1)

    async def test_there_are_never_more_connections_than_allowed(self, database_url: str) -> None:
        async with PostgresStore.open(database_url, pool_size=2) as store:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(store.retreats)
            assert store.statistics().idle_connections == 2

    async def test_a_call_that_gets_no_connection_in_time_says_so(
        self, database_url: str, outside: DbConnection
    ) -> None:
        async with (
            PostgresStore.open(database_url, pool_size=1, database_connect_timeout=1.0) as store,
            trio.open_nursery() as nursery,
        ):
            await store.import_retreat(seed())
            async with locked_groups(outside):
                nursery.start_soon(store.load, "winter")
                await until_waiting(outside, 1)
                with pytest.raises(StoreUnavailable, match="in use"):
                    await store.retreats()

    async def test_a_cancelled_read_gives_its_slot_back(
        self, database_url: str, outside: DbConnection
    ) -> None:
        async with PostgresStore.open(database_url, pool_size=1) as store:
            await store.import_retreat(seed())
            async with locked_groups(outside), trio.open_nursery() as nursery:
                nursery.start_soon(store.load, "winter")
                await until_waiting(outside, 1)
                nursery.cancel_scope.cancel()
            assert await store.retreats() == ["winter"]
            assert store.statistics().terminated_connections == 1


class TestOpening:
    async def test_a_database_that_is_not_there_is_unavailable(self, database_url: str) -> None:
        with pytest.raises(StoreUnavailable, match="does not exist"):
            async with PostgresStore.open(database_url.replace("/test_", "/nothing_")):
                pass

    @pytest.mark.parametrize(
        "address",
        [
            "postgresql://gbs:s3cret-word@127.0.0.1:1/gbs",
            "postgresql://gbs:s3cret-word@127.0.0.1:s3cret-word/gbs",
            "mysql://gbs:s3cret-word@127.0.0.1/gbs",
            "postgresql://gbs:s3cret-word@127.0.0.1:1/gbs?sslmode=s3cret-word",
        ],
    )
    async def test_no_message_tells_the_password(self, address: str) -> None:
        with capture_logs() as logs, pytest.raises(StoreUnavailable) as refused:
            async with PostgresStore.open(address, database_connect_timeout=0.2):
                pass
        error: BaseException | None = refused.value
        while error is not None:
            assert "s3cret-word" not in str(error)
            error = error.__cause__
        assert refused.value.__suppress_context__
        assert "s3cret-word" not in str(logs)

    async def test_an_exception_of_the_block_leaves_it_ungrouped(self, database_url: str) -> None:
        with pytest.raises(LookupError):
            async with PostgresStore.open(database_url):
                raise LookupError

    async def test_a_cancelled_block_closes_the_store(self, database_url: str) -> None:
        with trio.move_on_after(30) as scope:
            async with PostgresStore.open(database_url):
                scope.cancel()
                await trio.sleep_forever()
        async with PostgresStore.open(database_url, lock_timeout=0.5) as store:
            await store.ping()


def one_change(
    desk: Desk, changes: list[Change], writes: Writes, epoch: UUID = SOME_EPOCH
) -> tuple[str, tuple[object, ...]] | None:
    """Return the statement that commits one change, if there is one."""
    return commit_of_one_change(desk.attempt(changes), epoch, writes)


async def stored_epoch(outside: DbConnection) -> UUID:
    """Return the epoch of the one retreat."""
    (row,) = await ask(outside, "SELECT epoch FROM retreat")
    return UUID(str(row["epoch"]))


class TestCommitting:
    async def test_one_change_needs_no_batch_statement(
        self, postgres: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk = await Desk.of(postgres)
        monkeypatch.delattr(commit, "commit_arguments")
        await desk.do(AssignNumber(PLAIN, 1))
        await desk.do(AssignNumber(PLAIN, 5))
        await desk.do(AssignNumber(PLAIN, None))
        await desk.do(CreateMemo(PLAIN, "x", ""))
        await desk.do(UpdateMemo(desk.memo_id(PLAIN), "y", "#00FF00"))
        await desk.do(DeleteMemo(desk.memo_id(PLAIN)))
        assert (await desk.loaded()).revision == 6

    async def test_one_change_that_comes_too_late_is_no_error_of_the_database(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(CreateMemo(PLAIN, "x", ""))
        await desk.do(AssignNumber(PLAIN, 1))
        one = one_change(desk, changes, collapse(changes), await stored_epoch(outside))
        assert one is not None
        sql, arguments = one
        assert not await ask(outside, sql, *arguments)

    async def test_one_change_of_a_row_that_is_not_there_has_no_values_in_the_log_of_the_database(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(UpdateMemo(desk.memo_id(WITH_MEMO), "x", ""))
        await ask(outside, "DELETE FROM user_retreat_registration_memo")
        one = one_change(desk, changes, collapse(changes), await stored_epoch(outside))
        assert one is not None
        sql, arguments = one
        with pytest.raises(ServerRefused) as refused:
            await ask(outside, sql, *arguments)
        # Division by zero: the error of a constraint has a DETAIL, the row.
        assert refused.value.sqlstate == "22012"

    async def test_a_change_that_creates_a_group_is_left_to_the_batch_statement(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        for number, is_left in ((1, False), (77, True)):
            changes = await desk.decide(AssignNumber(PLAIN, number))
            one = one_change(desk, changes, collapse(changes))
            assert (one is None) == is_left

    async def test_one_change_with_writes_of_another_kind_is_left_to_the_batch_statement(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(CreateMemo(PLAIN, "x", ""))
        writes = collapse(changes)
        (memo,), (registration,) = writes.memos, writes.registrations
        assert one_change(desk, changes, writes) is not None
        for other in (
            dataclasses.replace(writes, groups=(Group(1, "", 1),)),
            dataclasses.replace(writes, memos=(replace(memo, created=False),)),
            dataclasses.replace(writes, memos=(replace(memo, deleted=True),)),
            dataclasses.replace(writes, registrations=(registration, registration)),
        ):
            assert one_change(desk, changes, other) is None

    async def test_of_concurrent_commits_on_one_revision_one_takes_effect(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        (change,) = await desk.decide(AssignNumber(PLAIN, 1))
        outcomes: list[str] = []

        async def attempt(number: int) -> None:
            mine = replace(change, command_id=UUID(int=1_000 + number))
            delta = await desk.try_commit([mine])
            outcomes.append("done" if delta is None else "stale")

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(attempt, number)
        assert sorted(outcomes) == ["done", *["stale"] * 5]

    async def test_a_load_amid_commits_is_of_one_moment(self, postgres: PostgresStore) -> None:
        desk = await Desk.of(postgres)
        seen: set[int] = set()

        async def load_on() -> None:
            while True:
                retreat = await desk.loaded()
                if retreat.revision:
                    assert retreat.registrations[PLAIN - 1].gbs_number == retreat.revision
                    assert retreat.groups[retreat.revision].revision == retreat.revision
                    assert retreat.revision + 1 not in retreat.groups
                seen.add(retreat.revision)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(load_on)
            # Group 5 is in the seed: beyond it, so that each number is new.
            await desk.do(*(AssignNumber(PLAIN, number) for number in range(1, 7)))
            numbers = count(7)
            with trio.fail_after(30):
                while len(seen) <= 5:
                    await desk.do(AssignNumber(PLAIN, next(numbers)))
            nursery.cancel_scope.cancel()

    async def test_a_deleted_memo_stays_in_its_table(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        memo_id = desk.memo_id(WITH_MEMO)
        (change,) = await desk.do(DeleteMemo(memo_id))
        (row,) = await ask(
            outside, "SELECT * FROM user_retreat_registration_memo WHERE id = $1", memo_id
        )
        assert (row["text"], row["color"]) == ("창가", "#FFcc00")
        assert row["deleted_at"] == change.at

    async def test_a_value_against_a_constraint_is_a_data_error(
        self, postgres: PostgresStore
    ) -> None:
        desk = await Desk.of(postgres)
        (change,) = await desk.decide(CreateMemo(PLAIN, "x", ""))
        (after,) = change.after
        assert isinstance(after.value, Memo)
        red = replace(after, value=replace(after.value, color="red"))
        broken = replace(change, after=(red,))
        with pytest.raises(CommitRefused, match="color") as refused:
            await desk.try_commit([broken])
        assert refused.value.data_error

    async def test_a_commit_that_waits_too_long_for_a_lock_gets_a_definite_answer(
        self, database_url: str, outside: DbConnection
    ) -> None:
        # The lock is waited for 80 % of this: the answer has the rest to come in.
        async with PostgresStore.open(database_url, commit_timeout=2.0) as store:
            desk = await Desk.of(store)
            async with locked_retreats(outside):
                with pytest.raises(RowsLocked, match="lock"):
                    await desk.do(AssignNumber(PLAIN, 1))
            assert store.statistics().unknown_outcomes == 0

    async def test_a_commit_cancelled_under_way_ends_its_connection(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(AssignNumber(PLAIN, 1))
        terminated = postgres.statistics().terminated_connections
        async with locked_retreats(outside):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(desk.try_commit, changes)
                await until_waiting(outside, 1)
                nursery.cancel_scope.cancel()
            statistics = postgres.statistics()
            assert statistics.terminated_connections == terminated + 1
            assert statistics.unknown_outcomes == 1

    async def test_a_fence_stops_a_cancelled_commit_that_is_still_waiting(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(AssignNumber(PLAIN, 1))
        async with locked_retreats(outside), trio.open_nursery() as nursery:
            nursery.start_soon(desk.try_commit, changes)
            await until_waiting(outside, 1)
            nursery.cancel_scope.cancel()
        # Either came first; whichever it was, the other one has failed for good.
        if await desk.try_commit([desk.fence()]) is not None:
            desk = await Desk.of(postgres)
            await desk.commit([replace(desk.fence(), command_id=UUID(int=99))])
        await until_waiting(outside, 0)
        found = await postgres.find_commands(desk.retreat_id, [changes[0].command_id])
        assert (await desk.loaded()).revision == 1 + len(found)

    @pytest.mark.parametrize("state", ["40001", "40P01"])
    async def test_a_commit_that_lost_a_race_is_tried_again(
        self, postgres: PostgresStore, outside: DbConnection, state: str
    ) -> None:
        desk = await Desk.of(postgres)
        await fail_commits(outside, state, times=2)
        await desk.do(AssignNumber(PLAIN, 1))
        assert (await desk.loaded()).revision == 1

    async def test_a_commit_that_loses_every_race_is_refused(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await fail_commits(outside, "40001", times=1_000)
        with pytest.raises(CommitRefused) as refused:
            await desk.do(AssignNumber(PLAIN, 1))
        assert not refused.value.data_error
        (row,) = await ask(outside, "SELECT last_value FROM failures")
        assert row["last_value"] == 4

    async def test_a_block_of_memo_ids_has_no_gap_that_others_made(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        mine: set[int] = set()
        others: set[int] = set()

        async def take_single_ids() -> None:
            while True:
                rows = await ask(
                    outside,
                    "SELECT nextval(pg_get_serial_sequence("
                    "'user_retreat_registration_memo', 'id')) AS id",
                )
                others.add(rows[0]["id"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_single_ids)
            for _ in range(50):
                mine.update(await postgres.reserve_memo_ids(100))
            nursery.cancel_scope.cancel()
        assert len(mine) == 50 * 100
        assert not mine & others

    async def test_memo_ids_may_be_far_apart_and_taken(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await Desk.of(postgres)
        sequence = "user_retreat_registration_memo_id_seq"
        await ask(outside, f"ALTER SEQUENCE {sequence} INCREMENT BY 50")
        first = await postgres.reserve_memo_ids(3)
        await ask(
            outside,
            "INSERT INTO user_retreat_registration_memo"
            " (id, registration_id, kind, text, color, author_id, created_at, updated_at)"
            " SELECT id, 1, 'ADMIN', '', '', 1, now(), now()"
            " FROM generate_series($1::bigint, $1::bigint + 5000) AS id",
            first[-1] + 1,
        )
        ids = await postgres.reserve_memo_ids(3)
        assert len({*first, *ids}) == 6
        assert ids[0] > first[-1] + 5000


class TestDbConnection:
    async def test_a_failed_block_rolls_its_transaction_back(self, outside: DbConnection) -> None:
        async def fail() -> None:
            async with outside.transaction(deadline=soon()):
                await outside.execute("CREATE TABLE gone (id int)", deadline=soon())
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert outside.is_usable()
        assert (await ask(outside, "SELECT to_regclass('gone') AS t"))[0]["t"] is None

    async def test_a_late_answer_ends_the_connection(self, outside: DbConnection) -> None:
        started = trio.current_time()
        with pytest.raises(ConnectionLost, match="in time"):
            await outside.fetch("SELECT pg_sleep(30)", deadline=started + 0.2)
        assert trio.current_time() - started < 2
        assert not outside.is_usable()

    async def test_a_call_with_no_time_left_is_not_sent(self, outside: DbConnection) -> None:
        with pytest.raises(ConnectionLost, match="no time left") as lost:
            await outside.fetch("SELECT 1", deadline=trio.current_time() - 1)
        assert not lost.value.sent
        assert outside.is_usable()


class TestPruning:
    async def test_each_chunk_is_a_transaction_of_its_own(
        self, postgres: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "PRUNE_CHUNK", 2)
        desk = await Desk.of(postgres)
        await desk.do(*(AssignNumber(PLAIN, number) for number in range(1, 6)))
        calls: list[tuple[int, int]] = []
        with trio.CancelScope() as scope:

            def cancel_after_two(done: int, total: int) -> None:
                calls.append((done, total))
                if len(calls) == 2:
                    scope.cancel()

            await postgres.prune_log(MOMENT + timedelta(days=1), cancel_after_two)
        assert calls == [(2, 5), (4, 5)]
        assert [entry.revision for entry in await postgres.log(desk.retreat_id)] == [5]
        assert await postgres.pruned_revision(desk.retreat_id) == 4

    async def test_commits_go_on_between_chunks(
        self, postgres: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "PRUNE_CHUNK", 1)
        desk = await Desk.of(postgres)
        await desk.do(*(AssignNumber(PLAIN, number) for number in range(1, 21)))
        moments = MOMENT + timedelta(seconds=21)

        async def edit() -> None:
            for number in range(21, 31):
                await desk.do(AssignNumber(PLAIN, number))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(edit)
            assert await postgres.prune_log(moments) == 20
        left = [entry.revision for entry in await postgres.log(desk.retreat_id)]
        assert left == [*range(21, 31)]


class TestSessionLocations:
    LOCATION = SessionLocation("winter", "epoch", joined_revision=1, known_elsewhere=-1)

    async def test_one_that_was_just_taken_over_is_not_old(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        record = SessionRecord(self.LOCATION)
        await postgres.update_session_locations({"one": record, "two": record})
        await ask(outside, "UPDATE session_place SET noted_at = now() - interval '1 day'")
        await postgres.take_over_session("one")
        assert await postgres.prune_session_locations(3_600) == 1
        assert await postgres.find_session_location("one") == SessionRecord(self.LOCATION, 1)

    async def test_the_table_does_not_give_session_ids_away(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await postgres.update_session_locations({"a secret id": SessionRecord(self.LOCATION)})
        (row,) = await ask(outside, "SELECT session_place::text AS text FROM session_place")
        assert "winter" in row["text"]
        for spelling in (b"a secret id".hex(), "a secret id"):
            assert spelling not in row["text"]

    @pytest.mark.parametrize(
        ("location", "durability"), [(LOCATION, "off"), (None, "on")], ids=["stored", "removed"]
    )
    async def test_a_removal_is_flushed_and_a_location_need_not_be(
        self, outside: DbConnection, location: SessionLocation | None, durability: str
    ) -> None:
        arguments = session_locations.update_arguments({"sid": SessionRecord(location)})
        async with outside.transaction(deadline=soon()):
            await ask(outside, session_locations.UPDATE, *arguments)
            (row,) = await ask(outside, "SELECT current_setting('synchronous_commit') AS held")
        assert row["held"] == durability
        (row,) = await ask(outside, "SELECT current_setting('synchronous_commit') AS held")
        assert row["held"] == "on"


async def test_a_small_write_needs_no_right_to_temporary_tables(
    postgres: PostgresStore, outside: DbConnection
) -> None:
    await postgres.check_write()
    (row,) = await outside.fetch("SELECT current_database() AS name", deadline=soon())
    async with outside.transaction(deadline=soon()):
        for statement in (
            f'REVOKE TEMPORARY ON DATABASE "{row["name"]}" FROM PUBLIC',
            "CREATE ROLE writes_only",
            "GRANT UPDATE ON write_check TO writes_only",
            "SET LOCAL ROLE writes_only",
            "SELECT lineup_write_check()",
            "RESET ROLE",
            "REVOKE UPDATE ON write_check FROM writes_only",
            "DROP ROLE writes_only",
        ):
            await outside.execute(statement, deadline=soon())
