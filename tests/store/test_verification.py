"""Rows and log are compared on a real database, with and without what somebody did to them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from gbs_actor.demo import demo_retreat
from gbs_actor.lineup.commands import Action, AssignNumber, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.connection import DbConnection
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.verification import Verification, verify
from tests.store.other_clients import ask
from tests.store.worlds import MOMENT, AnyStore, Desk

WITH_MEMO, PLAIN, OTHER = 2, 4, 5


async def edited(store: AnyStore) -> Desk:
    """Return a retreat after nine changes of every kind: a no-op, a fence and all actions."""
    desk = await Desk.of(store)
    await desk.do(AssignNumber(PLAIN, 7), AssignNumber(OTHER, 7))  # 1, 2
    await desk.do(AssignNumber(PLAIN, 7))  # 3: it was there
    await desk.commit([desk.fence()])  # 4
    await desk.do(CreateMemo(PLAIN, "복도 쪽", "#FECACA"))  # 5
    await desk.do(UpdateMemo(desk.memo_id(WITH_MEMO), "문가", ""))  # 6
    await desk.do(DeleteMemo(desk.memo_id(WITH_MEMO)), AssignNumber(OTHER, None))  # 7, 8
    await desk.do(CreateMemo(WITH_MEMO, "새 메모", ""))  # 9
    return desk


async def verified(store: AnyStore, slug: str = "winter") -> Verification:
    """Compare a retreat that is there."""
    outcome = await verify(store, slug)
    assert outcome is not None
    return outcome


def lines(outcome: Verification) -> list[str]:
    """Return what an operator reads."""
    return [str(each) for each in (*outcome.faults, *outcome.differences)]


class TestCleanRetreats:
    async def test_one_that_is_not_there_is_none(self, store: AnyStore) -> None:
        assert await verify(store, "winter") is None

    async def test_one_that_nobody_has_edited_is_clean(self, desk: Desk) -> None:
        outcome = await verified(desk.store)
        assert (outcome.registrations, outcome.entries, outcome.clean) == (6, 0, True)

    async def test_one_with_changes_of_every_kind_is_clean(self, store: AnyStore) -> None:
        await edited(store)
        outcome = await verified(store)
        assert lines(outcome) == []
        assert (outcome.entries, outcome.pruned_revision) == (9, 0)

    async def test_a_demo_after_hundreds_of_edits_is_clean(self, postgres: PostgresStore) -> None:
        await postgres.import_retreat(demo_retreat("demo", 80))
        desk = await Desk.of(postgres, "demo")
        chance = random.Random(7)
        for _ in range(40):
            await desk.do(*edits(desk, chance, 8))
        outcome = await verified(postgres, "demo")
        assert lines(outcome) == []
        assert (outcome.registrations, outcome.entries) == (80, 320)

    async def test_progress_counts_log_entries(self, store: AnyStore) -> None:
        await edited(store)
        calls: list[tuple[int, int]] = []
        await verify(store, "winter", lambda done, total: calls.append((done, total)))
        assert calls == [(9, 9)]


def edits(desk: Desk, chance: random.Random, count: int) -> Sequence[Action]:
    """Return actions on different people, as staff would send them."""
    movable = [row for row in desk.board.rows() if not row.is_leader]
    actions: list[Action] = []
    for row in chance.sample(movable, count):
        match chance.randrange(3):
            case 0 if row.lineup_memo_id is None:
                actions.append(CreateMemo(row.id, "메모", chance.choice(["", "#FECACA"])))
            case 0:
                actions.append(UpdateMemo(row.lineup_memo_id or 0, f"{chance.random()}", ""))
            case 1 if row.lineup_memo_id is not None:
                actions.append(DeleteMemo(row.lineup_memo_id))
            case _:
                number = chance.choice([None, *range(1, 12)])
                actions.append(AssignNumber(row.id, number))
    return actions


class TestPrunedLogs:
    @pytest.mark.parametrize("kept", range(10))
    async def test_whatever_is_left_of_a_log_a_clean_retreat_is_clean(
        self, store: AnyStore, kept: int
    ) -> None:
        await edited(store)
        await store.prune_log(MOMENT + timedelta(seconds=10 - kept))
        outcome = await verified(store)
        assert (outcome.entries, outcome.pruned_revision) == (kept, 9 - kept)
        assert lines(outcome) == []

    async def test_the_next_changes_after_a_pruning_are_clean(self, store: AnyStore) -> None:
        desk = await edited(store)
        await store.prune_log(MOMENT + timedelta(days=1))
        await desk.do(AssignNumber(PLAIN, 3))
        assert lines(await verified(store)) == []

    async def test_a_change_that_should_be_in_what_is_left_is_missed(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await edited(postgres)
        await postgres.prune_log(MOMENT + timedelta(seconds=5))
        await ask(outside, "SET gbs.own = 'on'")
        await ask(outside, "UPDATE user_retreat_registration SET gbs_revision = 6 WHERE id = 4")
        assert lines(await verified(postgres)) == [
            "registration 4, gbsNumber revision: log at most 4, row 6"
        ]


ROW = "UPDATE user_retreat_registration SET"
MEMO = "UPDATE user_retreat_registration_memo SET"


class TestRowsThatSomebodyChanged:
    @pytest.mark.parametrize(
        ("sql", "expected"),
        [
            (
                f"{ROW} gbs_id = (SELECT id FROM gbs WHERE number = 5) WHERE id = 4",
                ["registration 4, gbsNumber: log 7, row 5"],
            ),
            (
                f"{ROW} gbs_id = (SELECT id FROM gbs WHERE number = 5) WHERE id = 5",
                ["registration 5, gbsNumber: log none, row 5"],
            ),
            (
                f"{ROW} gbs_revision = 3 WHERE id = 4",
                ["registration 4, gbsNumber revision: log 1, row 3"],
            ),
            (
                f"{ROW} gbs_revision = 0 WHERE id = 4",
                ["registration 4, gbsNumber revision: log 1, row no change"],
            ),
            (
                f"{ROW} gbs_author_id = 9, gbs_author_name = '이간사' WHERE id = 4",
                [
                    "registration 4, gbsNumber author: log 7, row 9",
                    "registration 4, gbsNumber author's name: log 김간사, row 이간사",
                ],
            ),
            (
                f"{ROW} gbs_changed_at = '2026-01-01Z' WHERE id = 4",
                [
                    "registration 4, gbsNumber time: log 2026-01-02 03:04:06.678901+00:00, "
                    "row 2026-01-01 00:00:00+00:00"
                ],
            ),
            (
                f"{ROW} memo_revision = 8 WHERE id = 2",
                ["registration 2, lineupMemo revision: log 9, row 8"],
            ),
            (
                f"{ROW} gbs_revision = 2, gbs_author_id = 7 WHERE id = 6",
                ["registration 6, gbsNumber revision: log no change, row 2"],
            ),
            (
                f"{ROW} updated_at = '2026-01-01Z' WHERE id = 5",
                [
                    "registration 5, updatedAt: log 2026-01-02 03:04:13.678901+00:00, "
                    "row 2026-01-01 00:00:00+00:00"
                ],
            ),
            (
                f"{ROW} row_revision = 10 WHERE id = 6",
                ["registration 6, row revision: log at most 9, row 10"],
            ),
            (
                f"{MEMO} text = '베란다' WHERE registration_id = 4",
                ['registration 4, lineupMemo: log #7 "복도 쪽" #FECACA, row #7 "베란다" #FECACA'],
            ),
            (
                f"{MEMO} deleted_at = now() WHERE registration_id = 4",
                ['registration 4, lineupMemo: log #7 "복도 쪽" #FECACA, row none'],
            ),
            (
                "DELETE FROM user_retreat_registration WHERE id = 5",
                ["registration 5, registration: log revision 8, row not there"],
            ),
            (
                "UPDATE gbs SET revision = 1 WHERE number = 7",
                ["group 7, revision: log 8, row 1"],
            ),
            (
                "UPDATE gbs SET revision = 1 WHERE number = 5",
                ["group 5, revision: log no change, row 1"],
            ),
            ("UPDATE retreat SET revision = 12", ["revision: log 9, row 12"]),
        ],
    )
    async def test_each_difference_is_listed(
        self, postgres: PostgresStore, outside: DbConnection, sql: str, expected: list[str]
    ) -> None:
        await edited(postgres)
        await ask(outside, "SET gbs.own = 'on'")  # as what no trigger sees
        await ask(outside, sql)
        assert lines(await verified(postgres)) == expected

    async def test_two_live_memos_on_one_person_are_noticed(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await edited(postgres)
        await ask(outside, "SET gbs.own = 'on'")
        await ask(outside, "DROP INDEX one_live_lineup_memo")
        await ask(outside, f"{MEMO} deleted_at = NULL WHERE registration_id = {WITH_MEMO}")
        assert "registration 2, lineupMemo: log one at most, row several" in lines(
            await verified(postgres)
        )

    async def test_what_the_log_does_not_record_may_change(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await edited(postgres)
        await ask(outside, "SET gbs.own = 'on'")
        await ask(outside, f"{ROW} updated_at = now(), current_leader = '박리더'")
        await ask(outside, "UPDATE user_profile SET name = '개명'")
        assert lines(await verified(postgres)) == []


class TestLogsThatDoNotFit:
    @pytest.mark.parametrize(
        ("sql", "expected"),
        [
            ("DELETE FROM lineup_change WHERE revision = 4", ["log revision 5: does not follow 3"]),
            (
                "DELETE FROM lineup_change WHERE revision = 9",
                [
                    "revision: log 8, row 9",
                    'registration 2, lineupMemo: log none, row #11 "새 메모"',
                    "registration 2, lineupMemo revision: log 7, row 9",
                ],
            ),
            (
                "UPDATE lineup_change SET after = jsonb_set(after, '{0,value}', '8')"
                " WHERE revision = 1",
                [
                    "log revision 3: rests on gbsNumber 7 of registration 4; "
                    "revision 1 left it at 8",
                    "group 8, revision: log 1, row no such group",
                ],
            ),
            (
                "UPDATE lineup_change SET after = '[]' WHERE revision = 8",
                [
                    "log revision 8: is no whole entry of the kind assign-number",
                    "registration 5, gbsNumber: log 7, row none",
                    "registration 5, gbsNumber revision: log 2, row 8",
                    "group 7, revision: log 2, row 8",
                ],
            ),
        ],
    )
    async def test_each_fault_is_listed(
        self, postgres: PostgresStore, outside: DbConnection, sql: str, expected: list[str]
    ) -> None:
        await edited(postgres)
        await ask(outside, "SET gbs.own = 'on'")  # as what no trigger sees
        await ask(outside, sql)
        found = lines(await verified(postgres))
        assert set(expected) <= set(found), found

    async def test_a_log_that_starts_late_without_a_pruning_is_noticed(
        self, postgres: PostgresStore, outside: DbConnection
    ) -> None:
        await edited(postgres)
        await ask(outside, "DELETE FROM lineup_change WHERE revision <= 3")
        assert lines(await verified(postgres))[0] == "log revision 4: does not follow 0"

    async def test_entries_that_were_pruned_are_not_there_again(self) -> None:
        store = MemoryStore()
        desk = await edited(store)
        entries = await store.log(desk.retreat_id)
        await store.prune_log(MOMENT + timedelta(seconds=5))
        store._by_id[desk.retreat_id].log[:0] = entries[:1]
        assert "log revision 1: does not follow 4" in lines(await verified(store))
