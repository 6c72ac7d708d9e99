"""The commands that may change many fields, against a peer in memory."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.client import Assignment, Client, CommandFailed, ListedLeader, Problem
from gbs_actor.contract.commands import BY_EVENT, COMMANDS
from gbs_actor.lineup.commands import (
    PLANNED,
    Action,
    AssignLeaders,
    BulkAssign,
    CreateGroups,
    DeleteGroup,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
)
from tests.client.peer import Peer, joined, row

ID = UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
OTHER_ID = UUID("7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10")

Call = Callable[[Client], Awaitable[object]]

ASSIGNMENTS = (
    Assignment(1, gbs_number=None),
    Assignment(2, gbs_number=3, is_leader=True, current_leader="이리더", lineup_number=9),
    Assignment(3, lineup_number=None, base_revision=0),
)

CALLS: dict[str, tuple[Call, Action]] = {
    "bulk-assign-gbs": (
        lambda client: client.bulk_assign(
            ASSIGNMENTS, apply_lineup_number=True, on_conflict="skip", command_id=ID
        ),
        BulkAssign(ASSIGNMENTS, apply_lineup_number=True, on_conflict="skip"),
    ),
    "create-gbs": (
        lambda client: client.create_groups(range(1, 13), command_id=ID),
        CreateGroups(tuple(range(1, 13))),
    ),
    "delete-gbs": (
        lambda client: client.delete_group(7, if_empty=True, command_id=ID),
        DeleteGroup(7, if_empty=True),
    ),
    "assign-gbs-leaders": (
        lambda client: client.assign_leaders(7, [1001, 1002], command_id=ID),
        AssignLeaders(7, (1001, 1002)),
    ),
    "unassign-gbs-leaders": (
        lambda client: client.unassign_leaders(7, command_id=ID),
        UnassignLeaders(7),
    ),
    "update-lineup-gbs-memo": (
        lambda client: client.update_group_memo(7, "2층", command_id=ID),
        SetGroupMemo(7, "2층"),
    ),
    "delete-lineup-gbs-memo": (
        lambda client: client.delete_group_memo(7, command_id=ID),
        SetGroupMemo(7, None),
    ),
    "undo": (lambda client: client.undo(OTHER_ID, command_id=ID), Undo(OTHER_ID)),
}


def result(*rows: dict[str, object], revision: int = 1, **fields: object) -> dict[str, object]:
    """Return what a command came to, as a server sends it."""
    return {
        "updatedCount": len(rows),
        "createdGbsNumbers": [],
        "updatedLineups": list(rows),
        "revision": revision,
        "conflicts": [],
        "skipped": [],
        **fields,
    }


def test_the_client_has_every_command_that_changes_many_fields() -> None:
    assert set(CALLS) == {spec.event for spec in COMMANDS if spec.action in PLANNED}


@pytest.mark.parametrize("event", sorted(CALLS))
async def test_a_command_goes_out_as_its_event_with_an_id(
    peer: Peer, autojump_clock: MockClock, event: str
) -> None:
    call, action = CALLS[event]
    async with joined(peer, row(1)) as (client, conversation), trio.open_nursery() as nursery:
        nursery.start_soon(call, client)
        sent = await conversation.event()
        request = BY_EVENT[sent.name].decode(msgspec.json.encode(sent.argument))
        assert (sent.name, request.action, request.command_id) == (event, action, ID)
        await conversation.ok(sent, result(), 1)


async def test_two_new_groups_are_no_range(peer: Peer, autojump_clock: MockClock) -> None:
    async with joined(peer) as (client, conversation), trio.open_nursery() as nursery:
        nursery.start_soon(client.create_groups, [3, 9])
        sent = await conversation.event()
        action = BY_EVENT[sent.name].decode(msgspec.json.encode(sent.argument)).action
        assert isinstance(action, CreateGroups)
        assert set(action.gbs_numbers) == {3, 9}
        await conversation.ok(sent, result(createdGbsNumbers=[3, 9]), 1)


async def test_fields_that_an_assignment_leaves_out_are_not_sent(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer) as (client, conversation), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def edit() -> None:
            await client.bulk_assign([Assignment(1, gbs_number=None)], base_revision=5)

        sent = await conversation.event()
        assert isinstance(sent.argument, dict)
        UUID(sent.argument.pop("commandId"))
        assert sent.argument == {
            "assignments": [{"userRetreatRegistrationId": 1, "gbsNumber": None}],
            "baseRevision": 5,
        }
        await conversation.ok(sent, result(), 6)


@pytest.mark.parametrize("given", [None, "another"])
async def test_the_revision_to_undo_is_one_of_the_list_joined_unless_an_epoch_is_given(
    peer: Peer, autojump_clock: MockClock, given: str | None
) -> None:
    async with joined(peer) as (client, conversation), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def undo() -> None:
            await client.undo(17, epoch=given)

        sent = await conversation.event()
        assert isinstance(sent.argument, dict)
        assert (sent.argument["revision"], sent.argument["epoch"]) == (17, given or "e")
        await conversation.ok(sent, result(), 18)


async def test_a_result_has_its_rows_and_what_was_left_out(
    peer: Peer, autojump_clock: MockClock
) -> None:
    problem = {
        "index": 1,
        "registrationId": 2,
        "gbsNumber": None,
        "code": "CONFLICT",
        "message": "changed meanwhile",
        "field": "gbsNumber",
        "theirs": 4,
        "changedBy": "박간사",
        "changedAt": "2024-01-01T00:00:00.000Z",
        "revision": 8,
    }
    locked = {
        **problem,
        "index": 2,
        "code": "LEADER_LOCKED",
        "theirs": None,
        "changedBy": None,
        "changedAt": None,
        "revision": None,
    }
    async with joined(peer, row(1), row(2), revision=8) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def edit() -> None:
                done = await client.bulk_assign([Assignment(1, gbs_number=3)], on_conflict="skip")
                assert [it.gbs_number for it in done.updated_lineups] == [3]
                assert (done.updated_count, done.created_gbs_numbers) == (1, (3,))
                assert [(it.index, it.code, it.theirs) for it in done.conflicts] == [
                    (1, "CONFLICT", 4)
                ]
                assert [(it.code, it.changed_by) for it in done.skipped] == [
                    ("LEADER_LOCKED", None)
                ]

            changed = row(1, 9, gbsNumber=3)
            sent = await conversation.event()
            await conversation.emit("lineups-updated", {"revision": 9, "rows": [changed]})
            came = result(
                changed, revision=9, createdGbsNumbers=[3], conflicts=[problem], skipped=[locked]
            )
            await conversation.ok(sent, came, 9)
        assert client.rows[0].gbs_number == 3


async def test_a_result_without_rows_brings_its_revision(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), revision=3) as (client, conversation):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.delete_group_memo, 7)
            await conversation.ok(await conversation.event(), result(revision=4), 4)
            with trio.fail_after(5):
                await client.until(lambda it: it.revision == 4)
        await conversation.drop()
        again = await peer.next()
        await again.greet()
        asked = await again.let_join(revision=4, full=False)
        assert asked.argument == {"retreatSlug": "winter", "since": 3, "epoch": "e"}


async def test_a_refusal_lists_every_problem(peer: Peer, autojump_clock: MockClock) -> None:
    problems = [
        {"index": 0, "registrationId": 77, "code": "NOT_FOUND", "message": "no such row"},
        {"index": 2, "registrationId": 3, "code": "LEADER_LOCKED", "message": "leads a group"},
    ]
    async with joined(peer) as (client, conversation), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def edit() -> None:
            with pytest.raises(CommandFailed) as failed:
                await client.bulk_assign(ASSIGNMENTS, command_id=ID)
            assert failed.value.command_id == ID
            assert failed.value.problems == (
                Problem("NOT_FOUND", "no such row", 0, 77),
                Problem("LEADER_LOCKED", "leads a group", 2, 3),
            )

        refused: dict[str, Any] = {"code": "NOT_FOUND", "message": "no", "problems": problems}
        await conversation.answer(await conversation.event(), status="ERROR", **refused)


async def test_what_json_would_change_is_refused_before_anything_is_sent(
    peer: Peer, autojump_clock: MockClock
) -> None:
    nan: Any = math.nan
    async with joined(peer) as (client, conversation):
        wrong: list[Call] = [
            lambda it: it.bulk_assign([Assignment(1, gbs_number=nan)]),
            lambda it: it.bulk_assign([Assignment(1, lineup_number=nan)]),
            lambda it: it.bulk_assign([Assignment(nan, gbs_number=1)]),
            lambda it: it.bulk_assign([Assignment(1, gbs_number=1, base_revision=nan)]),
            lambda it: it.bulk_assign([Assignment(1, gbs_number=1)], base_revision=nan),
            lambda it: it.create_groups([1, nan]),
            lambda it: it.delete_group(nan),
            lambda it: it.assign_leaders(1, [nan]),
            lambda it: it.undo(nan),
        ]
        for call in wrong:
            with pytest.raises(ValueError, match="integer"):
                await call(client)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.delete_group, 7)
            sent = await conversation.event()
            assert sent.name == "delete-gbs"  # the first that was sent
            await conversation.ok(sent, result(), 1)


async def test_a_result_that_is_none_ends_that_connection_only(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1)) as (client, conversation), trio.open_nursery() as nursery:
        nursery.start_soon(client.delete_group, 7)
        await conversation.ok(await conversation.event(), row(1), 1)
        again = await peer.next()
        await again.greet()
        await again.let_join(row(1))
        await again.ok(await again.event(), result(), 1)


async def test_a_repeat_goes_out_behind_the_join_with_the_same_id(
    peer: Peer, autojump_clock: MockClock
) -> None:
    async with joined(peer, row(1), revision=3) as (client, conversation):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def edit() -> None:
                done = await client.bulk_assign(ASSIGNMENTS)
                assert done.revision == 4

            first = await conversation.event()
            await conversation.drop()
            again = await peer.next()
            await again.greet()
            changed = row(1, 4, gbsNumber=3)
            await again.let_join(changed, revision=6, full=False)
            second = await again.event()
            assert second.argument == first.argument
            await again.ok(second, result(changed, revision=4), 4)
        assert (client.revision, client.statistics().backward_merges) == (6, 0)


async def test_the_groups_are_those_of_the_room(peer: Peer, autojump_clock: MockClock) -> None:
    group = {
        "id": 11,
        "retreatId": 1,
        "number": 7,
        "memo": "2층",
        "leaders": [{"id": 1001, "name": "이리더"}],
        "createdAt": "2024-01-01T00:00:00.000Z",
    }
    async with joined(peer, row(1)) as (client, conversation), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            (found,) = await client.groups()
            assert (found.id, found.number, found.memo) == (11, 7, "2층")
            assert found.leaders == (ListedLeader(1001, "이리더"),)
            assert found.created_at.utcoffset() == timedelta(0)

        sent = await conversation.event()
        assert (sent.name, sent.argument) == ("gbslist", {})
        await conversation.ok(sent, {"gbsList": [group]}, 3)
