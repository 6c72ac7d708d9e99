"""The Python client's commands that may change many fields, against the whole server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from gbs_actor.client import Assignment, ChangeResult, Client, CommandFailed, connect
from tests.e2e.in_room import empty_group, listed
from tests.e2e.relay import relay_to
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import TIMEOUT

Row = dict[str, Any]


@asynccontextmanager
async def two_in_room(server: ServerProcess) -> AsyncIterator[tuple[Client, Client]]:
    """Clients of two users, in the room."""
    async with (
        connect(server.url, token(7, "김간사")) as one,
        connect(server.url, token(8, "박간사")) as two,
    ):
        await one.join(RETREAT)
        await two.join(RETREAT)
        yield one, two


async def until_same_rows(server: ServerProcess, *clients: Client) -> None:
    """Wait until clients have the rows that the list has, whatever their revisions."""
    rows = await listed(server)
    shown = {
        id_: (row["gbsNumber"], row["totalCount"], row["isLeader"], row["gbsMemo"])
        for id_, row in rows.items()
    }
    with trio.fail_after(TIMEOUT):
        for client in clients:
            await client.until(
                lambda it: (
                    {
                        row.id: (row.gbs_number, row.total_count, row.is_leader, row.gbs_memo)
                        for row in it.rows
                    }
                    == shown
                )
            )
            assert client.statistics().backward_merges == 0


def moves(people: list[Row], number: int) -> list[Assignment]:
    """Return assignments that put people into a group."""
    return [Assignment(person["id"], gbs_number=number) for person in people]


async def test_a_bulk_edit_and_its_undo_reach_everybody(
    server: ServerProcess, people: list[Row]
) -> None:
    group, moved = empty_group(), people[:20]
    async with two_in_room(server) as (one, two):
        done = await one.bulk_assign(moves(moved, group))
        assert (done.updated_count, done.created_gbs_numbers) == (20, (group,))
        assert {row.id for row in done.updated_lineups if row.gbs_number == group} == {
            person["id"] for person in moved
        }
        await until_same_rows(server, one, two)

        assert done.revision is not None
        undone = await one.undo(done.revision)
        assert undone.updated_count == 20
        await until_same_rows(server, one, two)
        assert {row.gbs_number for row in one.rows} == {row.gbs_number for row in two.rows}
        for person in moved:
            row = two.row(person["id"])
            assert row is not None
            assert row.gbs_number == person["gbsNumber"]


async def test_a_repeat_of_a_bulk_edit_after_a_cut_connection_changes_nothing_again(
    server: ServerProcess, people: list[Row]
) -> None:
    group, moved = empty_group(), people[:20]
    results: list[ChangeResult] = []
    async with (
        relay_to(server) as relay,
        connect(relay.url, token(7)) as one,
        connect(server.url, token(8)) as two,
    ):
        await one.join(RETREAT)
        await two.join(RETREAT)
        revision = two.revision

        async def edit() -> None:
            results.append(await one.bulk_assign(moves(moved, group)))

        async with trio.open_nursery() as nursery:
            relay.hold_answers()
            nursery.start_soon(edit)
            with trio.fail_after(TIMEOUT):
                await two.until(lambda it: it.revision > revision)
            # It took effect, and another edit behind it; its author has heard of neither.
            await two.assign(moved[0]["id"], group + 1)
            relay.close()
            relay.release_answers()
            relay.reopen()
        (result,) = results
        assert one.statistics().resent == 1
        assert (result.revision, result.updated_count) == (revision + 1, 20)
        assert result.created_gbs_numbers == (group,)
        numbers = {row.id: row.gbs_number for row in result.updated_lineups}
        assert numbers[moved[0]["id"]] == group + 1  # as it is now
        assert one.revision == two.revision == revision + 2
        await until_same_rows(server, one, two)


async def test_problems_are_listed_and_with_skip_left_out(
    server: ServerProcess, people: list[Row]
) -> None:
    group, person = empty_group(), people[0]
    async with two_in_room(server) as (one, two):
        leader = next(row for row in one.rows if row.is_leader)
        seen = one.revision
        await two.assign(person["id"], group + 1)
        items = [
            Assignment(leader.id, gbs_number=group),
            Assignment(person["id"], gbs_number=group),
            Assignment(people[1]["id"], gbs_number=group),
        ]
        with pytest.raises(CommandFailed) as failed:
            await one.bulk_assign(items, base_revision=seen)
        assert [(it.index, it.code) for it in failed.value.problems] == [
            (0, "LEADER_LOCKED"),
            (1, "CONFLICT"),
        ]
        conflict = failed.value.problems[1]
        assert (conflict.theirs, conflict.changed_by) == (group + 1, "박간사")
        done = await one.bulk_assign(items, base_revision=seen, on_conflict="skip")
        assert done.updated_count == 1
        assert [it.index for it in (*done.skipped, *done.conflicts)] == [0, 1]
        await until_same_rows(server, one, two)


async def test_a_group_is_created_led_noted_and_deleted(
    server: ServerProcess, people: list[Row]
) -> None:
    group, person = empty_group(), people[0]
    async with two_in_room(server) as (one, two):
        created = await one.create_groups([group, group + 2])
        assert created.created_gbs_numbers == (group, group + 2)
        await one.assign_leaders(group, [person["userId"]])
        await one.update_group_memo(group, "2층")
        await until_same_rows(server, one, two)
        row = two.row(person["id"])
        assert row is not None
        assert (row.gbs_number, row.is_leader, row.gbs_memo) == (group, True, "2층")
        listed_groups = {each.number: each for each in await two.groups()}
        assert listed_groups[group].memo == "2층"
        assert [it.id for it in listed_groups[group].leaders] == [person["userId"]]
        assert listed_groups[group + 2].leaders == ()

        with pytest.raises(CommandFailed) as failed:
            await one.delete_group(group, if_empty=True)
        assert failed.value.code == "GROUP_NOT_EMPTY"
        await one.unassign_leaders(group)
        await one.delete_group_memo(group)
        await one.delete_group(group)
        await until_same_rows(server, one, two)
        row = two.row(person["id"])
        assert row is not None
        assert (row.gbs_number, row.is_leader, row.gbs_memo) == (None, False, "")


async def test_others_changes_are_undone_by_operators_only(
    server: ServerProcess, person: Row
) -> None:
    async with (
        two_in_room(server) as (one, two),
        connect(server.url, token(90, "운영자", "ADMIN_MINISTER")) as operator,
    ):
        await operator.join(RETREAT)
        row = await one.assign(person["id"], empty_group())
        with pytest.raises(CommandFailed) as failed:
            await two.undo(row.revision)
        assert failed.value.code == "FORBIDDEN"
        await operator.undo(row.revision)
        await until_same_rows(server, one, two, operator)


async def test_groups_need_a_join(server: ServerProcess) -> None:
    async with connect(server.url, token(7)) as client:
        with pytest.raises(CommandFailed) as failed:
            await client.create_groups([empty_group()])
        assert failed.value.code == "NOT_IN_ROOM"
