"""The Python client against the whole server."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from gbs_actor.client import CommandFailed, ConnectError, EditingMarked, RowUpdated, connect
from tests.e2e.server_process import RETREAT, ServerProcess, token

Row = dict[str, Any]


async def test_two_clients_end_on_the_same_rows(server: ServerProcess, person: Row) -> None:
    async with (
        connect(server.url, token(7)) as one,
        connect(server.url, token(8)) as two,
    ):
        await one.join(RETREAT)
        await two.join(RETREAT)
        feed = two.updates()
        changed = await one.assign(person["id"], 7001)
        with trio.fail_after(30):
            async for update in feed:
                if isinstance(update, RowUpdated) and update.row == changed:
                    break
            # The totals of the two groups may come behind the row.
            await two.until(lambda it: it.rows == one.rows)
        assert one.revision == two.revision == changed.revision


async def test_memos_live_and_die(server: ServerProcess, person: Row) -> None:
    async with connect(server.url, token(7)) as client:
        await client.join(RETREAT)
        created = await client.create_memo(person["id"], "메모", "#BBF7D0")
        assert created.lineup_memo_id is not None
        updated = await client.update_memo(created.lineup_memo_id, "다른 메모")
        assert (updated.lineup_memo, updated.lineup_memocolor) == ("다른 메모", "")
        deleted = await client.delete_memo(created.lineup_memo_id)
        assert deleted.lineup_memo_id is None


async def test_a_deleted_memo_is_not_found(server: ServerProcess, person: Row) -> None:
    async with connect(server.url, token(7)) as client:
        await client.join(RETREAT)
        created = await client.create_memo(person["id"], "메모")
        assert created.lineup_memo_id is not None
        await client.delete_memo(created.lineup_memo_id)
        with pytest.raises(CommandFailed) as failed:
            await client.delete_memo(created.lineup_memo_id)
        assert failed.value.code == "NOT_FOUND"


async def test_a_second_memo_conflicts(server: ServerProcess, person: Row) -> None:
    async with connect(server.url, token(7)) as client:
        await client.join(RETREAT)
        await client.create_memo(person["id"], "하나")
        with pytest.raises(CommandFailed) as failed:
            await client.create_memo(person["id"], "둘")
        assert failed.value.code == "CONFLICT"
        assert failed.value.row is not None
        assert failed.value.row.lineup_memo == "하나"


async def test_a_leaders_number_is_locked(server: ServerProcess) -> None:
    async with connect(server.url, token(7)) as client:
        leader = next(row for row in await client.join(RETREAT) if row.is_leader)
        with pytest.raises(CommandFailed) as failed:
            await client.assign(leader.id, 8)
        assert failed.value.code == "LEADER_LOCKED"


async def test_editing_marks_reach_the_others(server: ServerProcess, person: Row) -> None:
    async with (
        connect(server.url, token(7, "간사7")) as one,
        connect(server.url, token(8)) as two,
    ):
        await one.join(RETREAT)
        await two.join(RETREAT)
        feed = two.updates()
        await one.mark_editing(person["id"], "lineupMemo")
        with trio.fail_after(30):
            async for update in feed:
                if isinstance(update, EditingMarked):
                    assert (update.lineup_id, update.user_name) == (person["id"], "간사7")
                    break


async def test_many_concurrent_edits_are_each_answered_once(
    server: ServerProcess, person: Row
) -> None:
    async with connect(server.url, token(7)) as client:
        await client.join(RETREAT)
        revisions: list[int] = []

        async def assign(number: int) -> None:
            await client.assign(person["id"], number)
            revisions.append(client.revision)

        async with trio.open_nursery() as nursery:
            for number in range(7100, 7140):
                nursery.start_soon(assign, number)
        assert len(revisions) == 40
        assert client.statistics().backward_merges == 0


async def test_an_edit_needs_no_join(server: ServerProcess, person: Row) -> None:
    async with (
        connect(server.url, token(7)) as client,
        connect(server.url, token(8, "이수진")) as other,
    ):
        await other.join(RETREAT)
        theirs = await other.assign(person["id"], 7200)
        with pytest.raises(CommandFailed) as failed:
            await client.assign(person["id"], 7201)
        assert failed.value.code == "CONFLICT"
        assert failed.value.row == theirs
        row = await client.assign(person["id"], 7201, base_revision=theirs.revision)
        assert (row.gbs_number, client.rows, client.revision) == (7201, (), 0)
        await other.until(lambda it: it.row(person["id"]) == row)
        await client.join(RETREAT)
        assert client.row(person["id"]) == row


async def test_the_refusal_of_a_token_is_told(server: ServerProcess) -> None:
    with pytest.raises(ConnectError) as refused:
        async with connect(server.url, "nonsense"):
            pytest.fail("connected")
    assert refused.value.code == "INVALID_TOKEN"


async def test_a_new_token_of_the_same_user_is_taken(server: ServerProcess) -> None:
    async with connect(server.url, token(7)) as client:
        await client.authenticate(token(7))


async def test_a_token_of_another_user_is_refused(server: ServerProcess) -> None:
    async with connect(server.url, token(7)) as client:
        with pytest.raises(CommandFailed) as failed:
            await client.authenticate(token(8))
        assert failed.value.code in {"FORBIDDEN", "INVALID_TOKEN"}
