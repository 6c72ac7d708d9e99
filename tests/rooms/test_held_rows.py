"""Rows that the transactions of other programs hold: who waits for them, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.rooms import Accepted, batch_runner
from gbs_actor.rooms.delivery import ROWS_HELD
from gbs_actor.settings import RoomSettings
from gbs_actor.store.protocol import Attempt, Delta, LockedRetreat, RowsLocked
from gbs_actor.store.rows import RETREAT, RowKey, Table
from gbs_actor.testing.store import ROWS_TIMEOUT, Fault, SimStore

from .nodes import Node, nodes
from .peers import Client
from .world import code

PERSON = RowKey(Table.REGISTRATION, 7)


class _Store(SimStore):
    """Counts what is asked of it."""

    commits_sent = 0
    asked = 0

    async def commit(self, attempt: Attempt) -> Delta | None:
        self.commits_sent += 1
        return await super().commit(attempt)

    async def held_rows(self, retreat_id: int, rows: Collection[RowKey]) -> frozenset[RowKey]:
        self.asked += 1
        return await super().held_rows(retreat_id, rows)


class _Room:
    """A room, one of its clients, and its store."""

    def __init__(self, node: Node, client: Client) -> None:
        assert isinstance(node.store, _Store)
        self.node, self.store, self.client = node, node.store, client

    def hold(self, *rows: RowKey) -> None:
        self.store.hold(1, *rows)

    async def together(self, *actions: Action) -> Sequence[object]:
        """Give actions at once; return the answers."""
        given = [self.client.give(self.client.command(action)) for action in actions]
        await self.client.subscriber.wait_replied()
        return [each.answers[0] for each in given]


@asynccontextmanager
async def room(
    stores: type[_Store] = _Store, config: RoomSettings | None = None
) -> AsyncIterator[_Room]:
    async with nodes(2, stores=stores, config=config) as (node, _):
        yield _Room(node, await node.client(1))


def codes(answers: Sequence[object]) -> list[Code | None]:
    return [code(answer) for answer in answers]


async def test_whoever_writes_a_held_row_is_told_so_at_once_and_the_others_are_one_batch(
    autojump_clock: MockClock,
) -> None:
    async with room() as it:
        it.hold(PERSON)
        started = trio.current_time()
        first, *others = await it.together(*[AssignNumber(n, 1) for n in (7, 8, 2, 4, 6)])
        assert first == ROWS_HELD
        assert [each.revision for each in others if isinstance(each, Accepted)] == [1, 2, 3, 4]
        assert trio.current_time() - started < ROWS_TIMEOUT + 0.01
        assert it.store.commits_sent == 2


async def test_a_row_that_is_known_to_be_held_holds_nobody_up_again(
    autojump_clock: MockClock,
) -> None:
    async with room() as it:
        it.hold(PERSON)
        await it.together(AssignNumber(7, 1), AssignNumber(8, 1))
        commits, started = it.store.commits_sent, trio.current_time()
        for number in (2, 3, 1):
            answers = await it.together(AssignNumber(7, number), AssignNumber(8, number))
            assert codes(answers) == [Code.ROOM_BUSY, None]
        assert trio.current_time() == started
        assert it.store.commits_sent == commits + 3


class _InsertedElsewhereStore(_Store):
    """Somebody's commits wait for a row that :meth:`held_rows` does not see, as it is new."""

    culprit: int | None = None

    async def commit(self, attempt: Attempt) -> Delta | None:
        if any(
            row.id == self.culprit for change in attempt.changes for row in change.registrations
        ):
            await trio.sleep(0.2)
            raise RowsLocked("another program inserts the same")
        return await super().commit(attempt)


async def test_what_is_committed_one_by_one_is_forgotten_if_it_is_answered_otherwise(
    autojump_clock: MockClock,
) -> None:
    async with room(_InsertedElsewhereStore) as it:
        assert isinstance(it.store, _InsertedElsewhereStore)
        it.store.culprit = 7
        handle = it.node.supervisor._handles["winter"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.together, *[AssignNumber(n, 1) for n in (7, 8, 2, 4, 6)])
            while not handle.apart:  # noqa: ASYNC110
                await trio.sleep(0.01)
            it.store.begin_outage()
        it.store.culprit = None
        it.store.end_outage()
        await trio.sleep(60)
        assert codes(await it.together(AssignNumber(8, 2), AssignNumber(2, 2))) == [None, None]


class _HeldBehindAMissStore(_Store):
    """Another program holds the retreat once a server wants to lock it."""

    @asynccontextmanager
    async def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        self.hold(retreat_id, RETREAT)
        async with super().locked(retreat_id, epoch, revision) as retreat:
            yield retreat


async def test_who_cannot_have_the_lock_is_told_so_and_nobody_waits_for_it_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_runner, "MAX_MISSES", 1)
    async with room(_HeldBehindAMissStore) as it:
        it.store.fail(Fault.CONTENDED)
        assert codes(await it.together(AssignNumber(7, 1))) == [Code.ROOM_BUSY]
        since = trio.current_time()
        await it.node.client(2)
        assert trio.current_time() == since


async def test_memos_are_created_beside_held_rows_beyond_a_block_of_ids(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(memo_id_block=3)
    async with room(config=config) as it:
        it.hold(PERSON)
        for number in range(10):
            together = AssignNumber(7, 1 + number % 3), CreateMemo(8, f"메모 {number}", "")
            assert codes(await it.together(*together)) == [Code.ROOM_BUSY, None]
            await it.client.ask(DeleteMemo(it.client.rows[8]["lineupMemoId"]))


async def test_a_row_that_was_held_can_be_written_as_soon_as_it_is_free(
    autojump_clock: MockClock,
) -> None:
    async with room() as it:
        it.hold(PERSON)
        await it.together(AssignNumber(7, 1), AssignNumber(8, 1))
        it.store.release_rows()
        started = trio.current_time()
        assert codes(await it.together(AssignNumber(7, 1), AssignNumber(8, 2))) == [None, None]
        assert trio.current_time() == started
        asked = it.store.asked
        await it.together(AssignNumber(7, 2))
        assert it.store.asked == asked


async def test_a_command_whose_rows_nobody_holds_asks_for_none(autojump_clock: MockClock) -> None:
    async with room() as it:
        it.hold(PERSON)
        await it.together(AssignNumber(7, 1), AssignNumber(8, 1))
        asked = it.store.asked
        await it.together(AssignNumber(8, 2), CreateMemo(8, "메모", ""))
        assert it.store.asked == asked


async def test_what_is_alone_waits_for_a_moment(autojump_clock: MockClock) -> None:
    async with room() as it:
        it.hold(PERSON)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.together, AssignNumber(7, 1))
            await trio.sleep(0.8)
            it.store.release_rows()
        assert it.client.rows[7]["gbsNumber"] == 1
        it.hold(PERSON)
        started = trio.current_time()
        assert codes(await it.together(AssignNumber(7, 2))) == [Code.ROOM_BUSY]
        assert 1.0 < trio.current_time() - started < 1.5


async def test_what_waits_alone_gives_way_to_whoever_comes(autojump_clock: MockClock) -> None:
    async with room() as it:
        it.hold(PERSON)
        await it.together(AssignNumber(7, 1), AssignNumber(8, 1))
        other = await it.node.client(2)
        pending = it.client.give(it.client.command(AssignNumber(7, 2)))
        await trio.sleep(0.41)
        assert not pending.answers
        started = trio.current_time()
        assert isinstance(await other.ask(AssignNumber(8, 2)), Accepted)
        assert trio.current_time() == started
        assert code(pending.answers[0]) is Code.ROOM_BUSY


async def test_groups_and_memos_that_are_held_are_found(autojump_clock: MockClock) -> None:
    async with room() as it:
        await it.together(CreateMemo(8, "메모", ""), AssignNumber(4, 2))
        memo = it.client.rows[8]["lineupMemoId"]
        it.hold(RowKey(Table.GROUP, 2), RowKey(Table.MEMO, memo))
        answers = await it.together(
            AssignNumber(8, 1), UpdateMemo(memo, "새", ""), AssignNumber(7, 2), AssignNumber(6, 1)
        )
        assert codes(answers) == [None, Code.ROOM_BUSY, Code.ROOM_BUSY, None]
        assert codes(await it.together(DeleteGroup(2))) == [Code.ROOM_BUSY]


async def test_what_rests_on_a_command_that_is_rejected_is_decided_anew(
    autojump_clock: MockClock,
) -> None:
    async with room() as it:
        await it.together(AssignNumber(7, 1))
        it.hold(PERSON)
        command = it.client.command(AssignNumber(7, 2))
        same = [it.client.give(command) for _ in range(2)]  # the second repeats the first
        other = it.client.give(it.client.command(AssignNumber(8, 1)))
        await it.client.subscriber.wait_replied()
        assert codes([each.answers[0] for each in same]) == [Code.ROOM_BUSY] * 2
        assert isinstance(other.answers[0], Accepted)


async def test_rows_that_are_held_are_found_under_the_lock_of_the_retreat(
    autojump_clock: MockClock,
) -> None:
    async with room() as it:
        it.hold(PERSON)
        it.store.fail(Fault.CONTENDED, Fault.CONTENDED)
        answers = await it.together(AssignNumber(7, 1), AssignNumber(8, 1))
        assert codes(answers) == [Code.ROOM_BUSY, None]
        assert it.node.supervisor.counts().locks == 2


async def test_a_retreat_that_is_held_rejects_all_of_it(autojump_clock: MockClock) -> None:
    class Held(_Store):
        async def commit(self, attempt: Attempt) -> Delta | None:
            await trio.sleep(4)
            raise RowsLocked("the retreat")

    async with room(Held) as it:
        it.hold(RETREAT)
        started = trio.current_time()
        answers = await it.together(*[AssignNumber(n, 1) for n in (7, 8, 2)])
        assert codes(answers) == [Code.ROOM_BUSY] * 3
        assert trio.current_time() - started < 6


@pytest.mark.parametrize("culprits", [{8}, {4, 6, 7, 8}])
async def test_rows_that_cannot_be_found_hold_the_others_up_for_a_bounded_time(
    culprits: set[int], autojump_clock: MockClock
) -> None:
    class Hidden(_Store):
        async def commit(self, attempt: Attempt) -> Delta | None:
            ids = {row.id for change in attempt.changes for row in change.registrations}
            if ids & culprits:
                await trio.sleep(ROWS_TIMEOUT)
                raise RowsLocked("an index")
            return await super().commit(attempt)

    async with room(Hidden) as it:
        started = trio.current_time()
        ids = [8, 4, 6, 7, 2]
        answers = await it.together(*[CreateMemo(id_, "메모", "") for id_ in ids])
        assert codes(answers) == [Code.ROOM_BUSY if id_ in culprits else None for id_ in ids]
        assert trio.current_time() - started < 2.5


async def test_all_commands_of_a_batch_that_cannot_be_committed_are_answered_within_seconds(
    autojump_clock: MockClock,
) -> None:
    class Stuck(_Store):
        async def commit(self, attempt: Attempt) -> Delta | None:
            await trio.sleep(ROWS_TIMEOUT)
            raise RowsLocked("an index")

    async with room(Stuck) as it:
        started = trio.current_time()
        answers = await it.together(*[AssignNumber(7, 1 + n % 2) for n in range(20)])
        assert codes(answers) == [Code.ROOM_BUSY] * 20
        assert trio.current_time() - started < 3.0


async def test_a_store_that_cannot_be_asked_is_an_outage(autojump_clock: MockClock) -> None:
    async with room() as it:
        it.hold(PERSON)
        it.store.fail(*[Fault.UNAVAILABLE] * 3, of="read")
        answers = await it.together(AssignNumber(7, 1), AssignNumber(8, 1))
        assert codes(answers) == [Code.STORE_UNAVAILABLE] * 2
        await trio.sleep(5)
        assert codes(await it.together(AssignNumber(8, 1))) == [None]


async def test_the_lock_is_free_while_another_server_waits_for_rows(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, stores=_Store) as (a, b):
        client, other = await a.client(1), await b.client(2)
        assert isinstance(a.store, _Store)
        a.store.hold(1, PERSON)
        client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(0.5)
        started = trio.current_time()
        assert isinstance(await other.ask(AssignNumber(8, 1)), Accepted)
        assert trio.current_time() - started < 0.1
