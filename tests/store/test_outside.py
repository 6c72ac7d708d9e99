"""Other programs that write the tables of the line-up: what they change gets into the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from math import inf
from typing import Final

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateMemo,
    Kind,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Memo, Registration
from gbs_actor.store.postgres import outside as absorbing
from gbs_actor.store.postgres.connection import DbConnection, Row
from gbs_actor.store.postgres.outside import reload
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import Delta, RowsLocked
from gbs_actor.store.rows import RowKey, Table
from gbs_actor.store.verification import verify
from tests.store.other_clients import (
    ask,
    locked_retreats,
    other_program,
    soon,
    until_waiting,
)
from tests.store.worlds import Desk

LEADER, WITH_MEMO, WITH_NOTES, PLAIN, OTHER = 1, 2, 3, 4, 5

ASSIGN: Final = """
UPDATE user_retreat_registration SET gbs_id = (SELECT id FROM gbs WHERE number = $2) WHERE id = $1
"""
REGISTER: Final = """
WITH person AS (
    INSERT INTO user_profile (grade_id, gender, name, phone_number)
        SELECT min(id), 'MALE', '새사람', '' FROM grade RETURNING id
)
INSERT INTO user_retreat_registration (retreat_id, user_id, gbs_id, is_leader, current_leader,
        created_at, updated_at)
    SELECT retreat.id, person.id, gbs.id, false, '', now(), now()
        FROM retreat, person, gbs WHERE gbs.number = 1 RETURNING id
"""

NEW_PROFILE: Final = """
INSERT INTO user_profile (grade_id, gender, name, phone_number)
    SELECT min(id), 'MALE', '옛이름', '' FROM grade RETURNING id
"""
REGISTER_PROFILE: Final = """
INSERT INTO user_retreat_registration (retreat_id, user_id, is_leader, current_leader,
        created_at, updated_at)
    VALUES (1, $1, false, '', now(), now()) RETURNING id
"""


async def noted(connection: DbConnection) -> int:
    """Return how many changes are noted and not absorbed."""
    (row,) = await ask(connection, "SELECT count(*) AS noted FROM lineup_outside")
    count: int = row["noted"]
    return count


async def delta_of(desk: Desk) -> Delta:
    """Absorb what others have changed; return what the store has beyond the board."""
    await desk.store.absorb()
    delta = await desk.store.delta(desk.retreat_id, desk.board.epoch, desk.board.revision)
    assert delta is not None
    return delta


async def last_entry(desk: Desk) -> LogEntry:
    """Return the last entry of the log."""
    return (await desk.store.log(desk.retreat_id))[-1]


async def registration(desk: Desk, registration_id: int) -> Registration:
    """Return a registration as the store has it."""
    loaded = await desk.loaded()
    return next(each for each in loaded.registrations if each.id == registration_id)


async def check_log(desk: Desk) -> None:
    """The rows of the retreat are what the log leads to."""
    outcome = await verify(desk.store, desk.board.slug)
    assert outcome is not None
    assert (outcome.faults, outcome.differences) == ((), ())


class TestAbsorbing:
    async def test_a_group_number_gets_a_revision_an_author_and_an_entry(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 5))
        await ask(outside, "SET application_name = 'psql'")
        await ask(outside, ASSIGN, PLAIN, 1)
        delta = await delta_of(desk)
        assert delta.complete
        assert [each.id for each in delta.registrations] == [PLAIN]
        (changed,) = delta.registrations
        assert changed.gbs_number == 1
        assert changed.row_revision == changed.number_stamp.revision == 2
        assert (changed.number_stamp.author_id, changed.number_stamp.author_name) == (
            None,
            "external",
        )
        assert {group.number for group in delta.groups} == {1, 5}
        entry = await last_entry(desk)
        assert (entry.revision, entry.kind, entry.author_name) == (2, Kind.EXTERNAL, "external")
        assert b"psql" in entry.request
        (before,), (after,) = entry.before, entry.after
        assert (before.registration_id, before.field) == (PLAIN, Field.GBS_NUMBER)
        assert (before.value, before.origin, after.value, after.origin) == (5, 1, 1, 2)
        await check_log(desk)

    async def test_columns_of_other_programs_may_be_called_anything(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        for table in ("user_retreat_registration", "user_retreat_registration_memo", "gbs"):
            for name in ("old", "former", "latter", "versions", "before", "new_rows", "memos"):
                await ask(outside, f"ALTER TABLE {table} ADD COLUMN {name} integer")
        await ask(outside, ASSIGN, PLAIN, 1)
        await ask(outside, "UPDATE user_retreat_registration_memo SET text = '복도'")
        await ask(outside, "UPDATE gbs SET memo = '옥상' WHERE number = 5")
        delta = await delta_of(desk)
        fields = {each.field for each in (await last_entry(desk)).after}
        assert fields == {Field.GBS_NUMBER, Field.LINEUP_MEMO, Field.GBS_MEMO}
        assert delta.complete
        await check_log(desk)

    async def test_a_new_registration_is_in_the_delta(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        (row,) = await ask(outside, REGISTER)
        delta = await delta_of(desk)
        assert [each.id for each in delta.registrations] == [row["id"]]
        assert [group.number for group in delta.groups] == [1]
        assert delta.removed == {}
        await check_log(desk)

    async def test_a_deletion_is_in_the_delta(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 5))
        await ask(outside, "DELETE FROM user_retreat_registration WHERE id = $1", PLAIN)
        delta = await delta_of(desk)
        assert delta.complete
        assert delta.removed == {PLAIN: 2}
        assert [group.number for group in delta.groups] == [5]
        assert delta.version.removal_revision == 2
        assert (await last_entry(desk)).removed == (PLAIN,)
        await check_log(desk)

    async def test_a_cancelled_payment_changes_attendance_and_the_groups_totals(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(
            outside,
            "DELETE FROM user_retreat_registration_schedule WHERE registration_id = $1",
            LEADER,
        )
        delta = await delta_of(desk)
        (changed,) = delta.registrations
        assert not changed.person.is_full_attendance
        assert [group.number for group in delta.groups] == [1]
        assert changed.number_stamp.revision == 0
        await check_log(desk)

    async def test_a_profile_is_noted_with_each_registration(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk, summer = await Desk.of(postgres), await Desk.of(postgres, "summer")
        await ask(
            outside,
            "INSERT INTO user_retreat_registration (retreat_id, user_id, is_leader,"
            " current_leader, created_at, updated_at)"
            " SELECT $1, user_id, false, '', now(), now()"
            " FROM user_retreat_registration WHERE id = $2",
            *(summer.retreat_id, PLAIN),
        )
        await postgres.absorb()
        await ask(
            outside,
            "UPDATE user_profile SET name = '개명' WHERE id ="
            " (SELECT user_id FROM user_retreat_registration WHERE id = $1)",
            PLAIN,
        )
        for each, count in ((desk, 1), (summer, 2)):
            revision = (await each.loaded()).revision
            assert revision == count
            entries = await postgres.log(each.retreat_id)
            assert [entry.kind for entry in entries] == [Kind.EXTERNAL] * count
        assert (await registration(desk, PLAIN)).person.name == "개명"

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE user_retreat_registration_memo SET text = '복도' WHERE kind = 'LINEUP_STAFF'",
            "UPDATE user_retreat_registration_memo SET deleted_at = now()"
            " WHERE kind = 'LINEUP_STAFF'",
            "DELETE FROM user_retreat_registration_memo",
            "WITH gone AS (DELETE FROM user_retreat_registration_memo"
            " WHERE kind = 'LINEUP_STAFF' RETURNING 1)"
            " UPDATE user_retreat_registration SET is_leader = false, current_leader = '박리더',"
            " lineup_number = 7",
        ],
    )
    async def test_each_field_is_logged_with_its_former_value(
        self, postgres: PostgresStore, outside: DbConnection, sql: str
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(UpdateMemo(desk.memo_id(WITH_MEMO), "안쪽", "#112233"))
        await desk.do(
            BulkAssign(
                (Assignment(PLAIN, current_leader="김리더", lineup_number=3),),
                apply_lineup_number=True,
            )
        )
        await ask(outside, sql)
        await delta_of(desk)
        entry = await last_entry(desk)
        memos = [each for each in entry.before if each.field is Field.LINEUP_MEMO]
        assert [each.value for each in memos] == [Memo(desk.memo_id(WITH_MEMO), "안쪽", "#112233")]
        assert [each.origin for each in memos] == [1]
        changed = await registration(desk, WITH_MEMO)
        assert changed.memo_stamp.revision == 3
        await check_log(desk)

    async def test_several_changes_of_a_field_are_one(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 5), AssignNumber(OTHER, 5))
        for number in (1, 5, 1):
            await ask(outside, ASSIGN, PLAIN, number)
        for number in (1, 5):
            await ask(outside, ASSIGN, OTHER, number)
        await delta_of(desk)
        entry = await last_entry(desk)
        assert [(each.registration_id, each.value) for each in entry.before] == [(PLAIN, 5)]
        assert [each.value for each in entry.after] == [1]
        assert (await registration(desk, OTHER)).number_stamp.revision == 2
        await check_log(desk)

    async def test_groups_memos_and_existence_are_logged(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, "UPDATE gbs SET memo = '옥상' WHERE number = 1")
        await ask(outside, "INSERT INTO gbs (retreat_id, number) VALUES (1, 9)")
        await ask(outside, "UPDATE gbs SET deleted = true WHERE number = 5")
        delta = await delta_of(desk)
        assert {group.number: group.memo for group in delta.groups} == {1: "옥상", 5: "", 9: ""}
        entry = await last_entry(desk)
        assert {(each.gbs_number, each.field, each.value) for each in entry.after} == {
            (1, Field.GBS_MEMO, "옥상"),
            (5, Field.EXISTS, False),
            (9, Field.EXISTS, True),
        }
        await check_log(desk)

    async def test_a_deleted_group_that_somebody_is_put_into_is_there_again(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, "SET application_name = 'payments'")
        await ask(outside, "UPDATE gbs SET deleted = true WHERE number = 5")
        await delta_of(desk)
        await ask(outside, ASSIGN, PLAIN, 5)
        delta = await delta_of(desk)
        assert [(group.number, group.deleted) for group in delta.groups] == [(5, False)]
        assert json.loads((await last_entry(desk)).request)["programs"] == ["payments"]
        await check_log(desk)

    async def test_what_changes_nothing_is_not_noted(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await Desk.of(postgres)
        for table in ("user_retreat_registration", "user_profile", "grade", "gbs"):
            await ask(outside, f"UPDATE {table} SET id = id")
        assert await noted(outside) == 0

    async def test_a_rollback_leaves_nothing(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await outside.execute("BEGIN", deadline=soon())
        await ask(outside, ASSIGN, PLAIN, 1)
        await outside.execute("ROLLBACK", deadline=soon())
        assert (await delta_of(desk)).version.revision == 0

    async def test_what_a_server_does_itself_is_not_noted(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 5))
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(OTHER, 7))
        await desk.do(CreateMemo(PLAIN, "창가", ""))
        await Desk.of(postgres, "summer")
        await postgres.delete_retreat("summer")
        assert await noted(outside) == 0

    async def test_what_is_noted_of_a_retreat_that_is_gone_goes_too(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await Desk.of(postgres)
        await ask(outside, "DELETE FROM retreat")
        assert await noted(outside) > 0
        assert await postgres.absorb() == set()
        assert await noted(outside) == 0


class TestMany:
    async def test_ten_thousand_rows_are_one_change_of_the_whole_retreat(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(
            outside,
            "WITH people AS (INSERT INTO user_profile (grade_id, gender, name, phone_number)"
            " SELECT 1, 'MALE', '사람', '' FROM generate_series(1, 10000) RETURNING id)"
            " INSERT INTO user_retreat_registration (retreat_id, user_id, is_leader,"
            " current_leader, created_at, updated_at)"
            " SELECT 1, id, false, '', now(), now() FROM people",
        )
        assert await noted(outside) == 1
        delta = await delta_of(desk)
        assert not delta.complete
        assert delta.version.removal_revision == delta.version.revision == 1
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 5))
        await ask(
            outside, "UPDATE user_retreat_registration SET gbs_id = (SELECT min(id) FROM gbs)"
        )
        assert await noted(outside) == 1
        assert not (await delta_of(desk)).complete
        moved = await registration(desk, PLAIN)
        assert moved.number_stamp.revision == 3
        assert moved.number_stamp.author_name == "external"
        assert moved.current_leader_stamp.revision == 0
        assert (await last_entry(desk)).whole
        await check_log(desk)

    async def test_hundreds_of_groups_are_one_change_of_all_of_them(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(
            outside,
            "INSERT INTO gbs (retreat_id, number) SELECT 1, n FROM generate_series(101, 601) AS n",
        )
        assert await noted(outside) == 1
        assert not (await delta_of(desk)).complete
        group = (await desk.loaded()).groups[101]
        assert (group.revision, group.stamp.revision, group.memo_stamp.revision) == (1, 1, 0)
        assert group.stamp.author_name == "external"
        await check_log(desk)

    async def test_five_hundred_rows_are_noted_one_by_one(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(
            outside,
            "WITH people AS (INSERT INTO user_profile (grade_id, gender, name, phone_number)"
            " SELECT 1, 'MALE', '사람', '' FROM generate_series(1, 500) RETURNING id)"
            " INSERT INTO user_retreat_registration (retreat_id, user_id, is_leader,"
            " current_leader, created_at, updated_at)"
            " SELECT 1, id, false, '', now(), now() FROM people",
        )
        assert await noted(outside) == 500
        delta = await delta_of(desk)
        assert delta.complete
        assert len(delta.registrations) == 500

    @pytest.mark.parametrize(
        "sql",
        [
            "TRUNCATE user_retreat_registration CASCADE",
            "TRUNCATE user_retreat_registration_memo",
            "TRUNCATE user_retreat_registration_schedule",
            "INSERT INTO retreat_registration_schedule (retreat_id, name, starts_at, kind)"
            " VALUES (1, '점심', now(), 'LUNCH')",
            "UPDATE grade SET number = number + 10",
            "UPDATE univ_group SET number = number + 10",
            "UPDATE gbs SET number = number + 10",
            "DELETE FROM gbs WHERE number = 5",
        ],
    )
    async def test_what_changes_all_rows_is_a_change_of_the_whole_retreat(
        self, postgres: PostgresStore, outside: DbConnection, sql: str
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(PLAIN, 1))
        await ask(outside, sql)
        delta = await delta_of(desk)
        assert not delta.complete
        assert (await last_entry(desk)).whole
        await check_log(desk)

    async def test_a_copy_is_noted(self, postgres: PostgresStore, outside: DbConnection) -> None:
        desk = await Desk.of(postgres)
        await outside.copy(
            "user_retreat_registration_schedule",
            ("registration_id", "schedule_id"),
            [(WITH_NOTES, 1)],
            deadline=soon(),
        )
        (changed,) = (await delta_of(desk)).registrations
        assert changed.person.schedule_ids == (1,)

    async def test_a_reload_makes_everybody_load_anew(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, "SET session_replication_role = replica")
        await ask(outside, ASSIGN, PLAIN, 1)
        assert await noted(outside) == 0
        assert await reload(database_url, "winter", soon())
        assert not await reload(database_url, "nowhere", soon())
        delta = await delta_of(desk)
        assert not delta.complete
        assert delta.version.removal_revision == 1
        await check_log(desk)


_NOTE_WRITES: Final = """
CREATE TABLE written (id bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO written VALUES (new.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER note AFTER UPDATE ON user_retreat_registration
    FOR EACH ROW EXECUTE FUNCTION note();
"""


class TestParts:
    """What is absorbed in several transactions, here of two registrations each."""

    @pytest.fixture(autouse=True)
    def _small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(absorbing, "REGISTRATIONS_AT_ONCE", 2)

    @staticmethod
    async def move_all(outside: DbConnection, number: int = 5) -> None:
        """Move each of six people by a statement of its own, in one transaction."""
        async with outside.transaction(deadline=soon()):
            for person in range(6, 0, -1):
                await ask(outside, ASSIGN, person, number)

    async def test_each_is_a_change_of_so_many_registrations(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        await ask(outside, "DELETE FROM user_retreat_registration WHERE id = 6")
        assert await postgres.absorb() == {desk.retreat_id}
        entries = await postgres.log(desk.retreat_id)
        assert [[each.registration_id for each in entry.after] for entry in entries] == [
            [LEADER, WITH_MEMO],
            [WITH_NOTES, PLAIN],
            [OTHER],
        ]
        assert [entry.removed for entry in entries] == [(), (), (6,)]
        assert await noted(outside) == 0
        delta = await delta_of(desk)
        assert {each.gbs_number for each in delta.registrations} == {5}
        await check_log(desk)

    @pytest.mark.parametrize("by", ["version", "load", "held_rows"])
    async def test_what_another_call_has_absorbed_is_returned_by_the_next_absorb(
        self, postgres: PostgresStore, outside: DbConnection, by: str
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, 1, 5)
        if by == "held_rows":
            await postgres.held_rows(desk.retreat_id, [RowKey(Table.REGISTRATION, 1)])
        else:
            await getattr(postgres, by)("winter")
        assert await noted(outside) == 0
        assert await postgres.absorb() == {desk.retreat_id}
        assert await postgres.absorb() == set()
        lag = postgres.absorb_lag.totals()
        assert (sum(lag.counts), 0 < lag.total < 60) == (1, True)

    async def test_a_change_of_the_whole_retreat_is_one_with_the_first(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await desk.do(AssignNumber(OTHER, 1))
        await self.move_all(outside)
        await ask(outside, "UPDATE gbs SET number = number + 10")
        await postgres.absorb()
        _, *entries = await postgres.log(desk.retreat_id)
        assert [entry.whole for entry in entries] == [True, False, False]
        assert [each.gbs_number for each in (await desk.loaded()).registrations] == [15] * 6
        stamps = [(await registration(desk, id_)).number_stamp.revision for id_ in (1, 4, OTHER)]
        assert stamps == [2, 3, 4]
        assert not (await delta_of(desk)).complete
        await check_log(desk)

    async def test_a_check_of_many_retreats_absorbs_for_a_moment_and_the_next_one_goes_on(
        self, postgres: PostgresStore, outside: DbConnection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(absorbing, "BRIEFLY", 0.0)
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        summer = await Desk.of(postgres, "summer")
        both = (desk.retreat_id, summer.retreat_id)
        await ask(outside, "UPDATE gbs SET memo = '옥상' WHERE retreat_id = $1", summer.retreat_id)
        revisions = []
        for _ in range(4):
            versions = await postgres.versions(both)
            revisions.append(tuple(versions[id_].revision for id_ in both))
        assert revisions == [(1, 0), (1, 1), (2, 1), (3, 1)]
        assert await noted(outside) == 0
        await check_log(desk)

    async def test_a_retreat_that_changes_without_end_does_not_keep_the_next_one_waiting(
        self, postgres: PostgresStore, outside: DbConnection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(absorbing, "BRIEFLY", 0.0)
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        summer = await Desk.of(postgres, "summer")
        both = (desk.retreat_id, summer.retreat_id)
        revisions = []
        for k in range(6):
            await ask(
                outside,
                "UPDATE gbs SET memo = $2::text WHERE retreat_id = $1",
                summer.retreat_id,
                f"옥상 {k}",
            )
            versions = await postgres.versions(both)
            revisions.append(tuple(versions[id_].revision for id_ in both))
        assert revisions == [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]
        await check_log(desk)

    async def test_a_check_of_many_retreats_goes_on_behind_what_is_held(
        self,
        postgres: PostgresStore,
        outside: DbConnection,
        database_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(absorbing, "BRIEFLY", 0.0)
        monkeypatch.setattr(absorbing, "PAUSE_RATIO", 0.0)
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        async with other_program(database_url) as payments, payments.transaction(deadline=soon()):
            await ask(payments, "SELECT FROM user_retreat_registration WHERE id < 3 FOR UPDATE")
            for revision in (0, 1, 2, 2):
                versions = await postgres.versions((desk.retreat_id,))
                assert versions[desk.retreat_id].revision == revision
        versions = await postgres.versions((desk.retreat_id,))
        assert versions[desk.retreat_id].revision == 3
        assert await noted(outside) == 0
        await check_log(desk)

    async def test_a_check_of_many_retreats_leaves_what_is_held_for_a_while(
        self,
        postgres: PostgresStore,
        outside: DbConnection,
        database_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(absorbing, "PAUSE_RATIO", inf)
        monkeypatch.setattr(absorbing, "LONGEST_PAUSE", 3600.0)
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        async with other_program(database_url) as payments, payments.transaction(deadline=soon()):
            await ask(payments, "SELECT FROM user_retreat_registration FOR UPDATE")
            await postgres.versions((desk.retreat_id,))
        versions = await postgres.versions((desk.retreat_id,))
        assert versions[desk.retreat_id].revision == 0
        assert (await desk.loaded()).revision == 3

    async def test_what_is_held_does_not_keep_the_next_ones_waiting(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        async with other_program(database_url) as payments, payments.transaction(deadline=soon()):
            sql = "SELECT FROM user_retreat_registration WHERE id < 4 FOR UPDATE"
            await ask(payments, sql)
            delta = await delta_of(desk)
            assert [each.id for each in delta.registrations] == [PLAIN, OTHER, 6]
        await delta_of(desk)
        assert await noted(outside) == 0
        await check_log(desk)

    @pytest.mark.parametrize("actions", [(AssignNumber(6, 1),), (AssignNumber(6, 1),) * 2])
    async def test_a_commit_absorbs_first_what_it_rests_on(
        self, postgres: PostgresStore, outside: DbConnection, actions: tuple[Action, ...]
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(*actions)
        await self.move_all(outside)
        delta = await desk.try_commit(changes)
        assert delta is not None
        assert [each.id for each in delta.registrations] == [LEADER, 6]
        assert await noted(outside) == 4
        await desk.loaded()
        assert await noted(outside) == 0
        await check_log(desk)

    async def test_what_would_take_too_long_is_left_for_the_next_time(
        self,
        postgres: PostgresStore,
        outside: DbConnection,
        mock_clock: MockClock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        desk = await Desk.of(postgres)
        await self.move_all(outside)
        fetch = DbConnection.fetch

        async def take_long(
            self: DbConnection, sql: str, *arguments: object, deadline: float
        ) -> Sequence[Row]:
            rows = await fetch(self, sql, *arguments, deadline=deadline)
            if "lineup_absorb_2" in sql:
                mock_clock.jump(postgres._timeouts.read * 0.4)
            return rows

        with monkeypatch.context() as patched:
            patched.setattr(DbConnection, "fetch", take_long)
            assert await postgres.absorb() == {desk.retreat_id}
        assert await noted(outside) == 2
        await postgres.absorb()
        assert await noted(outside) == 0
        await check_log(desk)

    async def test_a_commit_of_many_absorbs_all_that_it_rests_on(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        people = tuple(Assignment(id_, current_leader="박리더") for id_ in (6, 5, 4))
        changes = await desk.decide(BulkAssign(people))
        await self.move_all(outside)
        delta = await desk.try_commit(changes)
        assert delta is not None
        assert [each.id for each in delta.registrations] == [LEADER, PLAIN, OTHER, 6]

    async def test_each_row_is_written_once(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(
            outside,
            "UPDATE user_retreat_registration SET is_leader = false, current_leader = '박리더',"
            " lineup_number = 7 WHERE id < 3",
        )
        await outside.execute(_NOTE_WRITES, deadline=soon())
        await postgres.absorb()
        rows = await ask(outside, "SELECT id FROM written ORDER BY id")
        assert [row["id"] for row in rows] == [1, 2]
        await check_log(desk)


class TestNewRegistrations:
    @pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
    async def test_a_profile_that_changes_while_somebody_registers_is_seen(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str, isolation: str
    ) -> None:
        """Neither transaction sees the other: none notes that the registration has this name."""
        desk = await Desk.of(postgres)
        async with other_program(database_url) as profiles:
            (row,) = await ask(profiles, NEW_PROFILE)
            async with profiles.transaction(f"ISOLATION LEVEL {isolation}", deadline=soon()):
                await ask(
                    profiles, "UPDATE user_profile SET name = '새이름' WHERE id = $1", row["id"]
                )
                (person,) = await ask(outside, REGISTER_PROFILE, row["id"])
                desk.board = Board(await desk.loaded())
        delta = await delta_of(desk)
        assert [each.person.name for each in delta.registrations] == ["새이름"]
        assert delta.registrations[0].id == person["id"]

    async def test_a_profile_is_seen_that_a_transaction_changes_which_sees_no_registration(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        async with other_program(database_url) as profiles:
            (row,) = await ask(profiles, NEW_PROFILE)
            async with profiles.transaction("ISOLATION LEVEL REPEATABLE READ", deadline=soon()):
                await ask(profiles, "SELECT FROM gbs")  # its snapshot is of now
                await ask(outside, REGISTER_PROFILE, row["id"])
                desk.board = Board(await desk.loaded())
                await ask(
                    profiles, "UPDATE user_profile SET name = '새이름' WHERE id = $1", row["id"]
                )
        assert [each.person.name for each in (await delta_of(desk)).registrations] == ["새이름"]


class TestRefusals:
    async def test_what_cannot_be_absorbed_is_said_once_and_so_is_that_it_can_be_again(
        self, postgres: PostgresStore, outside: DbConnection, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "gbs_actor.store.postgres.outside")
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, PLAIN, 1)
        for _ in range(2):
            caplog.clear()
            refusing = (
                "ALTER TABLE lineup_change ADD CONSTRAINT no CHECK (kind <> 'external') NOT VALID"
            )
            await ask(outside, refusing)
            for _ in range(3):
                assert await postgres.absorb() == set()
            (record,) = caplog.records
            assert record.levelname == "WARNING"
            assert f"retreat {desk.retreat_id} stay noted" in record.getMessage()
            await ask(outside, "ALTER TABLE lineup_change DROP CONSTRAINT no")
            await postgres.absorb()
            await ask(outside, ASSIGN, PLAIN, 5)
            await postgres.absorb()
            assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]
            await ask(outside, ASSIGN, PLAIN, 1)
        await delta_of(desk)
        await check_log(desk)

    async def test_whoever_has_the_retreat_locked_is_not_worth_a_word(
        self,
        postgres: PostgresStore,
        outside: DbConnection,
        database_url: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """It may be another server, that absorbs the same."""
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, PLAIN, 1)
        async with other_program(database_url) as other, locked_retreats(other):
            assert await postgres.absorb() == set()
        assert await postgres.absorb() == {desk.retreat_id}
        assert [each for each in caplog.records if each.name == absorbing.__name__] == []


class TestOpenTransactions:
    async def test_an_open_transaction_delays_neither_commits_nor_the_changes_of_others(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, OTHER, 1)
        async with (
            other_program(database_url) as payments,
            payments.transaction(deadline=soon()),
        ):
            await ask(payments, ASSIGN, PLAIN, 1)
            await ask(payments, REGISTER)
            with trio.fail_after(5):
                delta = await delta_of(desk)
                assert [each.id for each in delta.registrations] == [OTHER]
                desk = await Desk.of(postgres)
                await desk.do(AssignNumber(OTHER, 5))
                await desk.do(AssignNumber(WITH_NOTES, 5), CreateMemo(OTHER, "창가", ""))
        delta = await delta_of(desk)
        assert {each.id for each in delta.registrations} > {PLAIN}
        await check_log(desk)

    async def test_what_a_transaction_holds_is_absorbed_behind_it(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, PLAIN, 1)
        await ask(outside, ASSIGN, OTHER, 1)
        async with (
            other_program(database_url) as payments,
            payments.transaction(deadline=soon()),
        ):
            sql = "SELECT FROM user_retreat_registration WHERE id = $1 FOR UPDATE"
            await ask(payments, sql, PLAIN)
            with trio.fail_after(5):
                delta = await delta_of(desk)
            assert [each.id for each in delta.registrations] == [OTHER]
            assert await postgres.absorb() == set()
        delta = await delta_of(desk)
        assert {each.id for each in delta.registrations} == {PLAIN, OTHER}
        assert delta.version.revision == 2
        await check_log(desk)

    async def test_a_group_that_a_transaction_holds_keeps_its_members_waiting_only(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, PLAIN, 1)
        await ask(outside, ASSIGN, OTHER, 5)
        async with (
            other_program(database_url) as payments,
            payments.transaction(deadline=soon()),
        ):
            await ask(payments, "UPDATE gbs SET memo = '옥상' WHERE number = 1")
            with trio.fail_after(5):
                delta = await delta_of(desk)
            assert [each.id for each in delta.registrations] == [OTHER]
        delta = await delta_of(desk)
        assert {each.id for each in delta.registrations} == {PLAIN, OTHER}
        await check_log(desk)

    async def test_a_bulk_change_does_not_wait_for_rows_that_others_hold(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str
    ) -> None:
        desk = await Desk.of(postgres)
        async with (
            other_program(database_url) as payments,
            payments.transaction(deadline=soon()),
        ):
            await ask(payments, ASSIGN, PLAIN, 5)
            with trio.fail_after(5):
                await ask(outside, "TRUNCATE user_retreat_registration_memo")
                delta = await delta_of(desk)
            assert not delta.complete


class TestCommits:
    @pytest.mark.parametrize(
        "actions",
        [
            (AssignNumber(PLAIN, 5),),
            (CreateMemo(PLAIN, "창가", ""),),
            (AssignNumber(PLAIN, 5), AssignNumber(OTHER, 5)),
            (BulkAssign((Assignment(PLAIN, is_leader=True, gbs_number=1),)),),
        ],
    )
    @pytest.mark.parametrize(
        "sql",
        [
            ASSIGN.replace("$1", str(PLAIN)).replace("$2", "1"),
            "UPDATE retreat_registration_schedule SET name = '새벽'",
            "INSERT INTO user_retreat_registration_memo"
            " (registration_id, kind, text, created_at, updated_at)"
            f" VALUES ({PLAIN}, 'ADMIN', '미납', now(), now())",
        ],
    )
    async def test_a_commit_that_rests_on_other_programs_changes_is_decided_anew(
        self,
        postgres: PostgresStore,
        outside: DbConnection,
        actions: tuple[Action, ...],
        sql: str,
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(*actions)
        await ask(outside, sql)
        delta = await desk.try_commit(changes)
        assert delta is not None
        assert delta.version.revision == 1
        assert await noted(outside) == 0
        assert [entry.kind for entry in await postgres.log(desk.retreat_id)] == [Kind.EXTERNAL]
        desk = await Desk.of(postgres, first_id=1_000)
        await desk.do(*actions)
        await check_log(desk)

    async def test_a_commit_of_other_rows_need_not_absorb(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        desk = await Desk.of(postgres)
        await ask(outside, ASSIGN, OTHER, 1)
        await desk.do(AssignNumber(PLAIN, 5))
        await desk.do(AssignNumber(PLAIN, 1), AssignNumber(WITH_NOTES, 1))
        assert await noted(outside) == 1

    @pytest.mark.parametrize(
        "actions", [(AssignNumber(PLAIN, 5),), (AssignNumber(OTHER, 1), AssignNumber(PLAIN, 5))]
    )
    async def test_a_commit_sees_what_was_committed_while_it_waited_for_the_row(
        self,
        postgres: PostgresStore,
        outside: DbConnection,
        database_url: str,
        actions: tuple[Action, ...],
    ) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(*actions)
        outcome: list[Delta | None] = []

        async def commit() -> None:
            outcome.append(await desk.try_commit(changes))

        async with (
            trio.open_nursery() as nursery,
            other_program(database_url) as watcher,
            outside.transaction(deadline=soon()),
        ):
            await ask(outside, ASSIGN, PLAIN, 1)
            nursery.start_soon(commit)
            await until_waiting(watcher, 1)
        (delta,) = outcome
        assert delta is not None
        assert [each.gbs_number for each in delta.registrations if each.id == PLAIN] == [1]

    async def test_under_the_lock_too(self, postgres: PostgresStore, outside: DbConnection) -> None:
        desk = await Desk.of(postgres)
        changes = await desk.decide(AssignNumber(PLAIN, 5))
        await ask(outside, ASSIGN, PLAIN, 1)
        with pytest.raises(RowsLocked):
            async with postgres.locked(desk.retreat_id, desk.board.epoch, 0) as retreat:
                await retreat.commit(desk.attempt(changes))
        desk = await Desk.of(postgres, first_id=1_000)
        assert desk.board.revision == 1
        changes = await desk.decide(AssignNumber(PLAIN, 5))
        async with postgres.locked(desk.retreat_id, desk.board.epoch, 1) as retreat:
            await retreat.commit(desk.attempt(changes))
        await check_log(desk)


_AUDIT: Final = """
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY, registration_id bigint, former bigint, latter bigint,
    own boolean
);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.gbs_id IS DISTINCT FROM new.gbs_id THEN
        INSERT INTO audit (registration_id, former, latter, own) VALUES (new.id,
            (SELECT number FROM gbs WHERE id = old.gbs_id),
            (SELECT number FROM gbs WHERE id = new.gbs_id),
            current_setting('gbs.own', true) IS NOT DISTINCT FROM 'on');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER UPDATE ON user_retreat_registration
    FOR EACH ROW EXECUTE FUNCTION audit();
"""
"""Notes each number that is replaced, by whom, and in the order of the row's own lock."""


class TestRaces:
    @pytest.mark.parametrize("batch", [1, 2])
    async def test_no_value_of_another_program_is_overwritten_by_who_did_not_know_it(
        self, postgres: PostgresStore, outside: DbConnection, database_url: str, batch: int
    ) -> None:
        desk = await Desk.of(postgres)
        await outside.execute(_AUDIT, deadline=soon())
        done = trio.Event()
        stale = 0

        async def move_outside(seed: int) -> None:
            """Move people; every second transaction takes its time to end."""
            async with other_program(database_url) as psql:
                number = 0
                while not done.is_set():
                    number += 1
                    async with psql.transaction(deadline=soon()):
                        await ask(psql, ASSIGN, PLAIN + (number + seed) % 2, (1, 5)[number % 2])
                        if number % 2:
                            await ask(psql, "SELECT pg_sleep(0.002)")
                    await ask(psql, "SELECT pg_sleep($1)", 0.02 * (number % 7))

        async def move() -> None:
            nonlocal stale
            moves = number = 0
            while moves < 12 or not stale:
                number += 1
                retreat = await desk.loaded()
                desk.board = Board(retreat)
                people = (PLAIN, OTHER)[:batch] if number % 2 else (OTHER, PLAIN)[:batch]
                wanted = [AssignNumber(person, number % 50 + 10) for person in people]
                try:
                    if await desk.try_commit(await desk.decide(*wanted)) is None:
                        moves += 1
                    else:
                        stale += 1
                except RowsLocked:
                    continue
            done.set()

        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(move)
                for seed in range(2):
                    nursery.start_soon(move_outside, seed)
        assert stale
        await postgres.absorb()
        logged: dict[tuple[int, int], tuple[object, object]] = {}
        for entry in await postgres.log(desk.retreat_id, limit=10_000):
            for before, after in entry.written():
                if before.field is Field.GBS_NUMBER and before.registration_id is not None:
                    key = (before.registration_id, entry.revision)
                    logged[key] = (before.value, after.value)
        for person in (PLAIN, OTHER):
            written = [pair for (id_, _), pair in sorted(logged.items()) if id_ == person]
            assert [before for before, _ in written[1:]] == [after for _, after in written[:-1]]
            replaced = await ask(
                outside,
                "SELECT former, latter FROM audit WHERE registration_id = $1 AND own ORDER BY id",
                person,
            )
            own = [
                (before, after)
                for before, after in written
                if not isinstance(after, int) or after >= 10
            ]
            # What a commit has replaced is what it was decided on.
            assert own == [(row["former"], row["latter"]) for row in replaced]
        await check_log(desk)
