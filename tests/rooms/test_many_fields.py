"""Bulk edits, groups, undo and redo in rooms: batches, replies, repeats and failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Result
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    Undo,
)
from gbs_actor.rooms import Accepted, Tracepoint
from gbs_actor.testing.store import Fault

from .peers import BatchClient, Client, Lineups
from .world import COMMAND_ID, World, code, give_all, world


def bulk(number: int | None, *ids: int, on_conflict: str = "refuse") -> BulkAssign:
    assert on_conflict in ("refuse", "skip")
    return BulkAssign(
        tuple(Assignment(id_, gbs_number=number) for id_ in ids),
        on_conflict="skip" if on_conflict == "skip" else "refuse",
    )


async def accepted(client: Client, action: Action) -> Accepted:
    answer = await client.ask(action)
    assert isinstance(answer, Accepted), answer
    return answer


async def test_a_bulk_edit_is_one_revision_with_all_its_rows_and_groups(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        viewer, author = await w.client(1), await w.client(2)
        answer = await accepted(author, bulk(9, 7, 8, 2))
        await trio.sleep(1)
        assert (answer.revision, answer.row, answer.repeated) == (1, None, False)
        assert answer.result == Result(updated=(7, 8, 2), created=(9,))
        assert {row.id for row in answer.rows} == {1, 2, 7, 8}
        assert viewer.rows == author.rows
        assert [viewer.rows[id_]["gbsNumber"] for id_ in (7, 8, 2)] == [9, 9, 9]
        assert viewer.rows[7]["totalCount"] == 3


async def test_a_bulk_edit_is_a_batch_of_its_own(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.SLOW)
        first = client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(0.5)
        actions = (AssignNumber(7, 2), AssignNumber(8, 2), bulk(3, 7, 8), AssignNumber(8, 1))
        rest = [client.give(client.command(action)) for action in actions]
        await client.subscriber.wait_replied()
        statistics = w.supervisor.room_statistics("winter")
        assert statistics is not None
        assert statistics.batches == 4
        revisions = [each.answers[0].revision for each in (first, *rest)]  # type: ignore[union-attr]
        assert revisions == [1, 2, 3, 4, 5]


async def test_a_refused_bulk_edit_lists_every_problem_and_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        before = dict(client.rows)
        answer = await client.ask(bulk(2, 7, 1, 99))
        assert code(answer) is Code.NOT_FOUND
        assert [(each.index, each.code) for each in answer.problems] == [  # type: ignore[union-attr]
            (1, Code.LEADER_LOCKED),
            (2, Code.NOT_FOUND),
        ]
        assert client.rows == before


async def test_a_repeat_of_a_bulk_edit_is_answered_from_the_log_with_the_rows_as_they_are(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        action = bulk(9, 7, 1, on_conflict="skip")
        first = client.give(client.command(action, command_id=COMMAND_ID))
        await client.subscriber.wait_replied()
        await client.ask(AssignNumber(7, 2))
        again = client.give(client.command(action, command_id=COMMAND_ID))
        await client.subscriber.wait_replied()
        (answer,), (repeat,) = first.answers, again.answers
        assert isinstance(answer, Accepted)
        assert isinstance(repeat, Accepted)
        assert repeat.repeated
        assert (repeat.revision, repeat.result) == (answer.revision, answer.result)
        assert [each.code for each in repeat.result.skipped] == [Code.LEADER_LOCKED]
        assert [(row.id, row.revision) for row in repeat.rows] == [(7, 2)]
        assert client.rows[7]["gbsNumber"] == 2


async def test_a_repeat_is_found_in_the_log_even_where_it_would_be_rejected_now(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        delete = DeleteGroup(2)
        first = client.give(client.command(delete, command_id=COMMAND_ID))
        await client.subscriber.wait_replied()
        again = client.give(client.command(delete, command_id=COMMAND_ID))
        await client.subscriber.wait_replied()
        (answer,), (repeat,) = first.answers, again.answers
        assert isinstance(answer, Accepted)
        assert isinstance(repeat, Accepted)
        assert (repeat.revision, repeat.repeated) == (answer.revision, True)


async def test_the_id_of_a_bulk_edit_is_refused_for_another_one(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for action in (bulk(9, 7), bulk(9, 8), AssignNumber(8, 3)):
            last = client.give(client.command(action, command_id=COMMAND_ID))
            await client.subscriber.wait_replied()
            expected = None if action == bulk(9, 7) else Code.VALIDATION_FAILED
            assert code(last.answers[0]) is expected


async def test_a_change_is_undone_by_its_id_and_the_undo_by_its_revision(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        before = dict(client.rows)
        edit = client.give(client.command(bulk(9, 7, 8), command_id=COMMAND_ID))
        await client.subscriber.wait_replied()
        assert isinstance(edit.answers[0], Accepted)
        undo = await accepted(client, Undo(command_id=COMMAND_ID))
        assert undo.result.updated == (7, 8)
        assert [client.rows[id_]["gbsNumber"] for id_ in (7, 8)] == [None, None]
        assert {**client.rows[1], "revision": 0} == {**before[1], "revision": 0}
        await accepted(client, Undo(revision=undo.revision))
        assert [client.rows[id_]["gbsNumber"] for id_ in (7, 8)] == [9, 9]


async def test_a_memo_that_was_deleted_comes_back_with_a_fresh_id(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(CreateMemo(7, "창가", "#FFCC00"))
        memo_id = client.rows[7]["lineupMemoId"]
        await client.ask(DeleteMemo(memo_id))
        await accepted(client, Undo(revision=2))
        assert client.rows[7]["lineupMemo"] == "창가"
        assert client.rows[7]["lineupMemoId"] > memo_id


async def test_what_is_not_in_the_log_is_not_found(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for action in (Undo(command_id=COMMAND_ID), Undo(revision=7), Undo(revision=0), Undo()):
            assert code(await client.ask(action)) is Code.NOT_FOUND


async def test_a_revision_that_the_room_has_not_reached_is_not_looked_up(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.UNAVAILABLE, of="read")  # as PostgreSQL is for an id outside of int8
        for revision in (-1, 1, 2**70):
            assert code(await client.ask(Undo(revision=revision))) is Code.NOT_FOUND
        assert w.store.pending("read")


async def test_what_was_pruned_is_history_pruned(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(AssignNumber(7, 1))
        await w.store.elsewhere().prune_log(datetime.now(UTC) + timedelta(minutes=1))
        assert code(await client.ask(Undo(revision=1))) is Code.HISTORY_PRUNED


async def test_others_changes_are_undone_by_operators_only(autojump_clock: MockClock) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        await author.ask(AssignNumber(7, 1))
        assert code(await other.ask(Undo(revision=1))) is Code.FORBIDDEN
        await accepted(other, Undo(revision=1, by_operator=True))
        assert author.rows[7]["gbsNumber"] is None


async def test_an_undo_that_cannot_read_the_log_is_rejected_and_the_room_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(AssignNumber(7, 1))
        w.store.fail(Fault.UNAVAILABLE, of="read")
        assert code(await client.ask(Undo(revision=1))) is Code.STORE_UNAVAILABLE
        await trio.sleep(5)
        await accepted(client, Undo(revision=1))


async def test_a_bulk_edit_whose_outcome_was_lost_is_answered_once_it_is_known(
    autojump_clock: MockClock,
) -> None:
    for fault in (Fault.LOST_AFTER, Fault.LATE, Fault.CONTENDED):
        async with world() as w:
            viewer, client = await w.client(1), await w.client(2)
            w.store.fail(fault)
            answer = await accepted(client, bulk(9, 7, 8))
            await trio.sleep(5)
            assert answer.result == Result(updated=(7, 8), created=(9,))
            stored = await w.store.elsewhere().load("winter")
            assert stored is not None
            assert [r.gbs_number for r in stored.registrations if r.id in (7, 8)] == [9, 9]
            entries = await w.store.elsewhere().log(stored.id)
            assert sum(entry.kind == "bulk-assign" for entry in entries) == 1
            assert viewer.rows == client.rows


async def test_a_bulk_edit_that_was_committed_before_a_crash_is_answered_after_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        viewer, client = await w.client(1), await w.client(2)
        w.bugs.at.append(Tracepoint.APPLIED)
        answer = await accepted(client, bulk(9, 7, 8))
        await trio.sleep(10)
        assert answer.result == Result(updated=(7, 8), created=(9,))
        assert [viewer.rows[id_]["gbsNumber"] for id_ in (7, 8)] == [9, 9]


@pytest.mark.parametrize("tracepoint", Tracepoint)
@pytest.mark.parametrize("fault", [None, Fault.LOST_AFTER, Fault.LOST_BEFORE])
async def test_a_crash_leaves_all_of_a_bulk_edit_or_nothing(
    tracepoint: Tracepoint, fault: Fault | None, autojump_clock: MockClock
) -> None:
    async with world() as w:
        single, batched = await w.client(1), await batch_client(w, 2)
        author = await batch_client(w, 3)
        await accepted(author, DeleteGroup(2))
        if fault is not None:
            w.store.fail(fault)
        w.bugs.at.append(tracepoint)
        answer = await author.ask(Undo(revision=1))
        await trio.sleep(60)
        took_effect = isinstance(answer, Accepted)
        assert code(answer) in (None, Code.ROOM_RESTARTED)
        stored = await w.store.elsewhere().load("winter")
        assert stored is not None
        entries = await w.store.elsewhere().log(stored.id)
        assert sum(entry.kind == "undo" for entry in entries) == took_effect
        group = stored.groups[2]
        assert group.deleted is not took_effect
        listed = {
            row.id: msgspec.json.decode(msgspec.json.encode(row)) for row in Board(stored).rows()
        }
        assert single.rows == listed
        for client in (batched, author):
            assert {id_: {**row, "revision": 0} for id_, row in client.rows.items()} == {
                id_: {**row, "revision": 0} for id_, row in listed.items()
            }
            assert client.violations == []
        if took_effect:
            assert answer.result.created == (2,)  # type: ignore[union-attr]
            assert {row.id for row in answer.rows} == {3, 4}  # type: ignore[union-attr]
        await accepted(author, bulk(9, 7, 8))


async def test_edits_behind_a_bulk_edit_rest_on_it(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        client.give(client.command(bulk(9, 7, 8)))
        give_all(client, 1)
        await client.subscriber.wait_replied()
        assert (client.rows[7]["gbsNumber"], client.rows[8]["gbsNumber"]) == (1, 9)
        assert client.rows[8]["totalCount"] == 1


async def batch_client(w: World, user_id: int) -> BatchClient:
    client = BatchClient(w.supervisor, user_id)
    await client.join("winter")
    return client


async def test_the_batch_form_answers_with_the_rows_whose_own_fields_were_changed(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await batch_client(w, 1), await w.client(2)
        action = bulk(1, 7, 8)
        first = author.give(author.command(action, command_id=COMMAND_ID))
        await author.subscriber.wait_replied()
        (answer,) = first.answers
        assert isinstance(answer, Accepted)
        assert {row.id: row.revision for row in answer.rows} == {7: 1, 8: 1}  # not 1 and 2

        await other.ask(AssignNumber(6, 1))
        await other.ask(CreateMemo(8, "창가", ""))
        again = author.give(author.command(action, command_id=COMMAND_ID))
        await author.subscriber.wait_replied()
        (repeat,) = again.answers
        assert isinstance(repeat, Accepted)
        assert repeat.repeated
        # As they are now, each in the revision of its own fields: a base, see the contract.
        assert [(row.id, row.revision) for row in repeat.rows] == [(7, 1), (8, 3)]
        assert author.rows[7]["totalCount"] == 5
        assert author.rows[8]["lineupMemo"] == "창가"


async def test_a_repeat_over_http_has_rows_in_the_revision_of_the_list(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        for _ in range(2):
            last = author.give(author.command(bulk(1, 7), command_id=COMMAND_ID))
            await author.subscriber.wait_replied()
            await other.ask(AssignNumber(6, 1))
        (repeat,) = last.answers
        assert isinstance(repeat, Accepted)
        assert [(row.id, row.revision) for row in repeat.rows] == [(7, 2)]


async def test_a_deleted_group_is_one_part_of_the_batch_form(autojump_clock: MockClock) -> None:
    async with world() as w:
        viewer, author = await batch_client(w, 1), await w.client(2)
        await accepted(author, DeleteGroup(2))
        await trio.sleep(1)
        (update,) = [it for _, it in viewer.transcript if isinstance(it, Lineups)]
        assert {row["id"] for row in update.payload["rows"]} == {3, 4}
        assert update.payload["groups"] == [{"gbsNumber": 2, "revision": 1, "deleted": True}]
        assert viewer.rows[3]["totalCount"] == 0

        await accepted(author, Undo(revision=1))
        await trio.sleep(1)
        (*_, update) = [it for _, it in viewer.transcript if isinstance(it, Lineups)]
        assert [(it["gbsNumber"], it["totalCount"]) for it in update.payload["groups"]] == [(2, 2)]


async def test_groups_are_created_deleted_and_brought_back(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        created = await accepted(client, CreateGroups((2, 8, 7)))
        assert (created.result.created, created.rows) == ((7, 8), ())
        before = await w.store.elsewhere().groups("winter")
        assert list(before) == [1, 2, 3, 7, 8]
        await accepted(client, DeleteGroup(2))
        assert [client.rows[id_]["gbsNumber"] for id_ in (3, 4)] == [None, None]
        assert not client.rows[3]["isLeader"]
        assert list(await w.store.elsewhere().groups("winter")) == [1, 3, 7, 8]
        undo = await accepted(client, Undo(revision=2))
        assert undo.result.created == (2,)
        assert [client.rows[id_]["gbsNumber"] for id_ in (3, 4)] == [2, 2]
        assert client.rows[3]["isLeader"]
        assert await w.store.elsewhere().groups("winter") == before
