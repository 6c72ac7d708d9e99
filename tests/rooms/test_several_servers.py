"""Several servers on one store: what their rooms answer, and what their clients see."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.bus.message import read as read_message
from gbs_actor.lineup.changes import LogEntry, Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import (
    Action,
    Assignment,
    AssignNumber,
    BulkAssign,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    Kind,
    SetGroupMemo,
    Undo,
    UpdateMemo,
)
from gbs_actor.rooms import Accepted, Done, RoomSettings, Snapshot, Tracepoint, batch_runner
from gbs_actor.rooms.handle import FALSE_HINT_PAUSE
from gbs_actor.rooms.node_link import GAP_PAUSE
from gbs_actor.store.protocol import LOCK_TIMEOUT, Delta, LockedRetreat
from gbs_actor.testing.scheduling import run
from gbs_actor.testing.store import READ_TIMEOUT, Fault, SimStore
from tests.bus.hub import Hub

from .nodes import UNSEEN, Node, nodes
from .peers import Client, Lineups, Rows
from .retreats import small_seed
from .world import code

ID = UUID(int=7)
OTHER_ID = UUID(int=8)


def accepted(answer: object) -> Accepted:
    assert isinstance(answer, Accepted), answer
    return answer


def contents(rows: Rows) -> dict[int, dict[str, Any]]:
    """Return rows without what may differ: the ids of memos, of which some are never assigned,
    and in the batch form revisions, which are those of the rows' own fields."""
    return {id_: {**row, "revision": 0, "lineupMemoId": 0} for id_, row in rows.items()}


async def read(node: Node) -> Snapshot:
    answer = await node.supervisor.read("winter")
    assert isinstance(answer, Snapshot)
    return answer


async def memo_of(client: Client, registration_id: int, text: str = "메모") -> int:
    row = accepted(await client.ask(CreateMemo(registration_id, text, ""))).row
    assert row is not None
    memo_id = msgspec.json.decode(row.json)["lineupMemoId"]
    assert isinstance(memo_id, int)
    return memo_id


# -- what the clients of other servers see


async def test_all_clients_of_all_servers_see_the_same_rows_and_groups_in_order(
    autojump_clock: MockClock,
) -> None:
    async with nodes(3) as (a, b, c):
        author, other = await a.client(1), await b.client(2)
        viewers = [await c.client(3), await c.batch_client(4), await b.batch_client(5)]
        memo = await memo_of(author, 8)
        actions: list[Action] = [
            AssignNumber(7, 1),
            UpdateMemo(memo, "새 메모", "#ff0000"),
            AssignNumber(7, 3),
            SetGroupMemo(3, "조 메모"),
            BulkAssign((Assignment(7, 2), Assignment(8, 2), Assignment(1, None))),
            DeleteMemo(memo),
            DeleteGroup(3),
            Undo(revision=6),
        ]
        for number, action in enumerate(actions):
            await (author, other)[number % 2].ask(action)
            await trio.sleep(0.1 * (number % 4))
        await trio.sleep(0.5)
        for client in (author, other, *viewers):
            assert client.violations == []
            assert not client.aborted
            assert contents(client.rows) == contents(author.rows)
        assert author.rows == {row["id"]: row for row in msgspec.json.decode((await read(a)).rows)}
        assert [node.store.loads for node in (a, b, c)] == [1, 1, 1]


class CountingStore(SimStore):
    """Counts the deltas that are read."""

    deltas = 0

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        self.deltas += 1
        return await super().delta(retreat_id, epoch, revision)


def counted(node: Node) -> int:
    assert isinstance(node.store, CountingStore)
    return node.store.deltas


async def test_a_hint_lets_other_servers_catch_up_at_once(autojump_clock: MockClock) -> None:
    async with nodes(2, config=UNSEEN, stores=CountingStore, hub=Hub()) as (a, b):
        author, viewer = await a.client(1), await b.batch_client(2)
        await trio.sleep(0.1)
        reads = counted(b)
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(0.05)
        assert contents(viewer.rows) == contents(author.rows)
        assert counted(b) == reads + 1
        await trio.sleep(60)
        assert counted(b) == reads + 1


@pytest.mark.parametrize(("count", "hinted"), [(1, False), (2, True)])
async def test_one_that_is_alone_hints_nobody(
    autojump_clock: MockClock, count: int, hinted: bool
) -> None:
    hub = Hub()
    async with nodes(count, hub=hub) as (a, *_):
        author = await a.client(1)
        await trio.sleep(0.1)
        for number in range(3):
            await author.ask(AssignNumber(7, 1 + number))
        await trio.sleep(0.1)
        assert any(message.hints for message in hub.messages) is hinted


async def test_a_hint_at_what_is_here_already_reads_nothing(autojump_clock: MockClock) -> None:
    hub = Hub()
    async with nodes(2, config=UNSEEN, stores=CountingStore, hub=hub) as (a, b):
        author, other = await a.client(1), await b.client(2)
        await author.ask(AssignNumber(7, 1))
        await other.ask(AssignNumber(8, 1))  # its commit has taken over what the hint is about
        reads = counted(b)
        await trio.sleep(1)
        assert counted(b) == reads


async def test_behind_a_gap_all_rooms_compare_themselves(autojump_clock: MockClock) -> None:
    hub = Hub()
    async with nodes(2, config=UNSEEN, hub=hub) as (a, b):
        author, viewer = await a.client(1), await b.client(2)
        await trio.sleep(0.1)
        hub.cut("1")
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(5)
        assert viewer.rows == author.rows


async def test_gaps_that_never_end_let_rooms_compare_themselves_now_and_then(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(2, config=UNSEEN, hub=hub) as (a, b):
        author, viewer = await a.client(1), await b.client(2)
        await trio.sleep(1)

        async def flood() -> None:
            while True:
                hub.inject(b"no message")
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            checks = b.supervisor.counts().checks
            await trio.sleep(5)
            assert 5 <= b.supervisor.counts().checks - checks <= 5 / GAP_PAUSE + 2
            nursery.cancel_scope.cancel()
        hub.deliver = lambda channel, data: None
        await author.ask(AssignNumber(7, 1))
        hub.inject(b"no message")  # in the pause
        await trio.sleep(1.1 * GAP_PAUSE)
        assert viewer.rows == author.rows


class SlowDeltas(SimStore):
    """Returns deltas after some time in which there are others."""

    async def delta(self, retreat_id: int, epoch: str, revision: int) -> Delta | None:
        delta = await super().delta(retreat_id, epoch, revision)
        await trio.sleep(0.1)
        return delta


async def test_hints_that_never_end_hold_up_no_command(autojump_clock: MockClock) -> None:
    async with nodes(2, config=UNSEEN, hub=Hub(), stores=SlowDeltas) as (a, b):
        author, other = await a.client(1), await b.client(2)

        async def go_on() -> None:
            while True:
                for number in (1, 2):
                    await author.ask(AssignNumber(7, number))
                    await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_on)
            await trio.sleep(1)
            with trio.fail_after(3):
                accepted(await other.ask(AssignNumber(8, 1)))
            nursery.cancel_scope.cancel()


async def test_a_late_hint_does_not_hide_a_later_one(autojump_clock: MockClock) -> None:
    hub = Hub()
    async with nodes(2, config=UNSEEN, hub=hub, stores=SlowDeltas) as (a, b):
        author, viewer = await a.client(1), await b.client(2)
        await trio.sleep(1)
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(0.03)  # the other server reads that change
        await author.ask(AssignNumber(8, 1))
        await trio.sleep(0.03)
        hub.inject(next(data for _, (data,) in hub.sent if read_message(data).hints))
        await trio.sleep(1)
        assert contents(viewer.rows) == contents(author.rows)


async def test_hints_that_are_false_read_little_and_hold_up_no_command(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(2, config=UNSEEN, stores=CountingStore, hub=hub) as (a, b):
        author, viewer = await a.client(1), await b.client(2)
        (version,) = (await b.store.versions((1,))).values()
        serial = count(1)

        async def forge() -> None:
            while True:
                hub.inject(
                    b'{"v":1,"node":"z","serial":%d,"run":"x","hints":[[%d,"%s",%d]]}'
                    % (next(serial), version.id, version.epoch.encode(), 10**18)
                )
                await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            b.store.latency = 0.02
            nursery.start_soon(forge)
            await trio.sleep(1)
            reads = counted(b)
            with trio.fail_after(1):
                accepted(await viewer.ask(AssignNumber(8, 1)))
            await trio.sleep(4)
            assert counted(b) - reads <= 5 / FALSE_HINT_PAUSE + 2
            nursery.cancel_scope.cancel()
        await trio.sleep(1)
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(0.1)
        assert contents(viewer.rows) == contents(author.rows)  # true ones count again


async def test_what_others_have_changed_is_told_of_in_the_batch_form(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2) as (a, b):
        author, viewer = await a.client(1), await b.batch_client(2)
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(0.5)
        (update,) = [each for _, each in viewer.transcript if isinstance(each, Lineups)]
        (change,) = update.payload["changes"]
        assert (change["kind"], change["by"]["userId"], change["ids"]) == ("assign-number", 1, [7])


async def test_operators_see_what_others_have_changed(autojump_clock: MockClock) -> None:
    async with nodes(2) as (a, b):
        author, client = await a.client(1), await b.client(2)
        await author.ask(AssignNumber(7, 1))
        await author.ask(BulkAssign((Assignment(7, 2), Assignment(8, 2))))
        await client.ask(AssignNumber(8, 3))
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(0.5)
        for node in (a, b):
            room = node.supervisor.room_statistics("winter")
            assert room is not None
            assert [
                (each.revision, each.kind, each.user_id, each.registration_id)
                for each in room.last_changes
            ] == [
                (4, Kind.ASSIGN_NUMBER, 1, 7),
                (3, Kind.ASSIGN_NUMBER, 2, 8),
                (2, Kind.BULK_ASSIGN, 1, None),
                (1, Kind.ASSIGN_NUMBER, 1, 7),
            ]


async def test_a_change_elsewhere_is_seen_within_the_interval(autojump_clock: MockClock) -> None:
    async with nodes(2, config=RoomSettings(comparison_interval=2.0)) as (a, b):
        author, viewer = await a.client(1), await b.client(2)
        await author.ask(AssignNumber(7, 1))
        await trio.sleep(2.1)
        assert viewer.rows[7]["gbsNumber"] == 1
        assert b.supervisor.counts().behind <= 2.1
        b.store.begin_outage()
        await trio.sleep(10)
        assert b.supervisor.counts().behind > 9


async def test_a_room_that_loses_its_retreat_or_its_epoch_ends_what_it_cannot_bring_up_to_date(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, slugs=("winter", "summer")) as (a, b):
        viewer, other = await b.client(1), await b.client(2, "summer")
        await a.store.new_epoch("winter")
        await a.store.delete_retreat("summer")
        await trio.sleep(0.5)
        assert viewer.aborted
        assert other.subscriber.room_slug is None


@pytest.mark.parametrize("count", [1, 2])
async def test_a_retreat_that_is_made_again_is_loaded_and_knows_nothing_of_the_former(
    autojump_clock: MockClock, count: int
) -> None:
    async with nodes(count) as (node, *_):
        client, command_id = await node.client(1), UUID(int=5)
        await client.ask(AssignNumber(7, 1), command_id=command_id)
        await node.store.delete_retreat("winter")
        await node.store.import_retreat(small_seed("winter"))
        await trio.sleep(10)
        assert client.aborted
        client.hang_up()
        client.aborted = False
        await client.join("winter")
        assert 7 not in client.rows
        answer = await client.ask(AssignNumber(7, 1), command_id=command_id)
        assert code(answer) is Code.NOT_FOUND


async def test_what_a_restore_has_lost_is_decided_anew_in_the_next_epoch(
    autojump_clock: MockClock,
) -> None:
    async with nodes(1) as (node,):
        client, command_id = await node.client(1), UUID(int=5)
        stored = node.store._by_slug["winter"]
        backup = copy.deepcopy(stored)
        await client.ask(AssignNumber(7, 1), command_id=command_id)
        for field in dataclasses.fields(stored):
            setattr(stored, field.name, getattr(backup, field.name))
        await node.store.new_epoch("winter")
        await trio.sleep(10)
        assert client.aborted
        client.hang_up()
        client.aborted = False
        await client.join("winter")
        assert client.rows[7]["gbsNumber"] is None
        answer = accepted(await client.ask(AssignNumber(7, 1), command_id=command_id))
        assert not answer.repeated
        loaded = await node.store.load("winter")
        assert loaded is not None
        assert [each.gbs_number for each in loaded.registrations if each.id == 7] == [1]


async def test_a_command_in_an_epoch_that_has_ended_is_decided_in_the_next(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        client = await b.client(1)
        await accepted_elsewhere(a)
        await a.store.new_epoch("winter")
        answer = accepted(await client.ask(AssignNumber(7, 1)))
        assert answer.revision == 2
        assert client.aborted


async def accepted_elsewhere(node: Node, registration_id: int = 8, number: int = 3) -> Accepted:
    client = Client(node.supervisor, 99)
    await client.join("winter")
    return accepted(await client.ask(AssignNumber(registration_id, number)))


# -- nothing is older than what was acknowledged


async def test_no_rejection_rests_on_a_board_that_is_behind(autojump_clock: MockClock) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        author, client = await a.client(1), await b.client(2)
        memo = await memo_of(author, 8)
        changed = await client.ask(UpdateMemo(memo, "인제", ""), base=1)
        assert accepted(changed).revision == 2  # neither NOT_FOUND nor VALIDATION_FAILED
        await author.ask(DeleteMemo(memo))
        assert code(await client.ask(UpdateMemo(memo, "늦음", ""), base=3)) is Code.NOT_FOUND
        await author.ask(AssignNumber(7, 1))
        conflict = await client.ask(AssignNumber(7, 2), base=3)
        assert isinstance(conflict, Rejection)
        assert (conflict.code, conflict.row and conflict.row.gbs_number) == (Code.CONFLICT, 1)
        assert client.rows[7]["gbsNumber"] == 1
        assert code(await client.ask(AssignNumber(7, 2), base=5)) is Code.VALIDATION_FAILED


async def person_added_elsewhere(node: Node, registration_id: int = 99) -> None:
    """Let another program add a person, of which a server of another one knows."""
    retreat = await node.store.load("winter")
    assert retreat is not None
    person = retreat.registrations[0]
    node.store.write_outside("winter", [msgspec.structs.replace(person, id=registration_id)])


async def test_a_mark_of_a_row_that_the_board_lacks_waits_until_that_is_fresh(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        client = await b.client(1)
        await person_added_elsewhere(a)
        assert (await read(a)).revision == 1
        checks = b.supervisor.counts().checks
        added, unknown = client.mark(99), client.mark(98)
        await trio.sleep(0.1)
        assert added == [Done(1)]
        assert [code(answer) for answer in unknown] == [Code.NOT_FOUND]
        assert client.rows[99]["revision"] == 1
        assert b.supervisor.counts().checks == checks + 1
        known = client.mark(7)
        await trio.sleep(0.1)
        assert known == [Done(1)]
        assert b.supervisor.counts().checks == checks + 1


async def test_a_repeat_gets_the_row_as_it_is_by_now(autojump_clock: MockClock) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        author, client = await a.client(1), await b.client(1)
        here = accepted(await client.ask(AssignNumber(7, 1), command_id=ID))
        there = accepted(await author.ask(AssignNumber(7, 2), command_id=OTHER_ID))
        for id_, number, first in ((ID, 1, here), (OTHER_ID, 2, there)):
            again = accepted(await client.ask(AssignNumber(7, number), command_id=id_))
            assert (again.repeated, again.revision) == (True, first.revision)
            assert again.row is not None
            assert msgspec.json.decode(again.row.json)["gbsNumber"] == 2


class _OvertakenStore(SimStore):
    """Others do something just before the log is looked into."""

    overtake: Callable[[], Awaitable[None]] | None = None

    async def find_commands(self, retreat_id: int, ids: Collection[UUID]) -> dict[UUID, LogEntry]:
        overtake, self.overtake = self.overtake, None
        if overtake is not None:
            await overtake()
        return await super().find_commands(retreat_id, ids)


async def test_a_repeat_of_what_was_accepted_meanwhile_gets_the_row_as_it_is_by_now(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN, stores=_OvertakenStore) as (b, a):
        author, client = await a.client(1), await b.client(1)

        async def accept_and_change() -> None:
            await author.ask(AssignNumber(7, 1), command_id=ID)
            await author.ask(AssignNumber(7, 3))

        await author.ask(AssignNumber(7, 2))
        assert isinstance(b.store, _OvertakenStore)
        b.store.overtake = accept_and_change
        answer = accepted(await client.ask(AssignNumber(7, 1), command_id=ID, base=0))
        assert (answer.revision, answer.repeated) == (2, True)
        assert answer.row is not None
        assert msgspec.json.decode(answer.row.json)["gbsNumber"] == 3


async def test_an_undo_finds_a_change_of_another_server(autojump_clock: MockClock) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        author, client = await a.client(1), await b.client(1)
        revision = accepted(await author.ask(AssignNumber(7, 1))).revision
        accepted(await client.ask(Undo(revision=revision)))
        assert client.rows[7]["gbsNumber"] is None


async def test_reads_and_joins_have_what_was_acknowledged_before(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        await b.client(1)
        revision = (await accepted_elsewhere(a, number=1)).revision
        assert (await read(b)).revision == revision
        revision = (await accepted_elsewhere(a, number=2)).revision
        board = await b.supervisor.board("winter")
        assert not isinstance(board, Rejection)
        assert board.revision == revision
        revision = (await accepted_elsewhere(a, number=7)).revision
        groups = await b.supervisor.groups("winter")
        assert not isinstance(groups, Rejection)
        assert 7 in {group.number for group in groups}
        revision = (await accepted_elsewhere(a, number=3)).revision
        client = Client(b.supervisor, 2)  # by join_nowait, if it can
        await client.join("winter", since=revision)
        assert client.snapshot is not None
        assert (client.snapshot.revision, client.snapshot.full) == (revision, False)


async def test_a_session_is_resumed_on_another_server_with_what_it_has_missed(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        client, author = await a.client(1), await a.client(2)
        await b.client(3)
        await author.ask(AssignNumber(7, 1))
        client.hang_up()
        await author.ask(AssignNumber(8, 1))
        client.supervisor = b.supervisor
        assert isinstance(await client.come_back(), Done)
        assert client.rows == author.rows


_ACTIONS = st.one_of(
    st.builds(AssignNumber, st.integers(6, 9), st.sampled_from([None, 1, 2, 9])),
    st.builds(CreateMemo, st.integers(7, 8), st.sampled_from(["가", "나"]), st.just("")),
    st.builds(UpdateMemo, st.integers(7, 8), st.sampled_from(["다", "라"]), st.just("")),
    st.builds(DeleteMemo, st.integers(7, 8)),
    st.builds(SetGroupMemo, st.integers(1, 3), st.sampled_from([None, "조"])),
    st.builds(DeleteGroup, st.integers(1, 9), st.booleans()),
    st.builds(lambda revision: Undo(revision=revision), st.integers(1, 6)),
)
_STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # the server
        st.one_of(_ACTIONS, st.sampled_from(["read", "join"])),
        st.one_of(st.none(), st.integers(0, 3)),  # how many revisions ago the base was
        st.one_of(st.none(), st.integers(1, 4)),  # the command id
        st.sampled_from([0.0, 0.0, 0.3]),
    ),
    max_size=14,
)


async def _outcomes(servers: int, steps: list[Any]) -> list[object]:
    """Carry steps out one after the other, each on its server.

    Where they name a memo, it is the last one of this person.
    """
    seen: list[object] = []
    async with nodes(servers) as running:
        clients = [await node.client(1) for node in running]
        revision = 0
        memos: dict[int, int] = {}
        for server, what, age, id_, pause in steps:
            node, client = running[server % servers], clients[server % servers]
            if isinstance(what, str):
                if what == "join":
                    await client.join("winter", since=revision)
                found = await read(node)
                rows = {row["id"]: row for row in msgspec.json.decode(found.rows)}
                seen.append((found.revision, contents(rows)))
            else:
                action = what
                if isinstance(what, UpdateMemo | DeleteMemo):
                    action = msgspec.structs.replace(what, memo_id=memos.get(what.memo_id, 99))
                base = None if age is None else max(0, revision - age)
                answer = await client.ask(
                    action, base=base, command_id=None if id_ is None else UUID(int=id_)
                )
                if isinstance(answer, Accepted):
                    revision = max(revision, answer.revision)
                    row = {} if answer.row is None else msgspec.json.decode(answer.row.json)
                    if row.get("lineupMemoId"):
                        memos[row["id"]] = row["lineupMemoId"]
                    seen.append((answer.revision, answer.repeated, row.get("revision")))
                else:
                    seen.append(answer.code)
            await trio.sleep(pause)
        await trio.sleep(1)
        seen.append([contents(client.rows) for client in clients][-1])
        for client in clients:
            assert client.violations == []
            assert contents(client.rows) == contents(clients[0].rows)
    return seen


@settings(max_examples=20, deadline=None)
@given(_STEPS)
def test_steps_on_any_servers_come_to_what_they_come_to_on_one(steps: list[Any]) -> None:
    async def both(_: int) -> None:
        one = [(0, *rest) for _, *rest in steps]
        assert await _outcomes(3, steps) == await _outcomes(1, one), str(steps)

    run(both, 0, seed=0)


# -- several at once


async def test_a_command_sent_to_two_servers_at_once_is_one_change_with_two_equal_answers(
    autojump_clock: MockClock,
) -> None:
    for latency in (0.0, 0.01):
        async with nodes(2, latencies=(latency, latency)) as (a, b):
            clients = [await a.client(1), await b.client(1)]
            given_ = [
                client.give(client.command(AssignNumber(7, 1), command_id=ID)) for client in clients
            ]
            for client in clients:
                await client.subscriber.wait_replied()
            answers = [accepted(each.answers[0]) for each in given_]
            assert sorted(each.repeated for each in answers) == [False, True]
            assert answers[0].revision == answers[1].revision
            assert answers[0].row == answers[1].row
            assert len(await a.store.log(1)) == 1


async def test_a_lost_batch_is_not_acknowledged_for_what_another_server_has_committed_of_it(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2) as (a, b):
        client, other = await a.client(1), await b.client(1)
        a.store.fail(Fault.LOST_BEFORE, Fault.UNAVAILABLE)
        shared = client.give(client.command(AssignNumber(7, 1), command_id=ID))
        own = client.give(client.command(AssignNumber(8, 1), command_id=OTHER_ID))
        await trio.sleep(0.01)
        first = accepted(await other.ask(AssignNumber(7, 1), command_id=ID))
        await client.subscriber.wait_replied()
        repeat, second = accepted(shared.answers[0]), accepted(own.answers[0])
        assert (repeat.revision, repeat.repeated) == (first.revision, True)
        assert not second.repeated
        entries = await a.store.log(1)
        assert [(each.revision, each.command_id) for each in entries] == [(1, ID), (2, OTHER_ID)]
        await trio.sleep(1)
        assert client.rows == other.rows
        assert client.rows[8]["gbsNumber"] == 1


async def _edit_steadily(node: Node, user_id: int, latencies: list[float]) -> None:
    client = await node.client(user_id)
    for number in range(1_000):
        client.pending.clear()
        registration_id = 7 + number % 2
        started = trio.current_time()
        pending = client.give(client.command(AssignNumber(registration_id, 1 + number % 3)))
        await trio.sleep(0.005)
        latencies.append(0.0 if pending.answers else trio.current_time() - started)


@pytest.mark.parametrize("slow", [0.02, 0.06])
async def test_a_server_with_a_slow_store_is_not_starved(
    slow: float, autojump_clock: MockClock
) -> None:
    async with nodes(2, latencies=(0.001, slow)) as running:
        begun = trio.current_time()
        with trio.move_on_at(begun + 4):
            async with trio.open_nursery() as nursery:
                for number, node in enumerate(running):
                    nursery.start_soon(_edit_steadily, node, number + 1, [])
        counts = [node.supervisor.counts() for node in running]
        shares = [each.accepted / sum(it.accepted for it in counts) for each in counts]
        assert min(shares) > 0.25
        assert counts[1].locks > 5
        for node in running:
            # Each batch is decided three times at most: it misses twice in a row.
            assert node.passed[Tracepoint.DECIDED] <= 3 * node.passed[Tracepoint.TAKEN]


async def test_a_batch_misses_twice_in_a_row_at_most(autojump_clock: MockClock) -> None:
    async with nodes(2) as (a, _):
        client = await a.client(1)
        a.store.fail(*[Fault.CONTENDED] * 100)
        assert accepted(await client.ask(AssignNumber(7, 1))).revision == 3
        counts = a.supervisor.counts()
        assert (counts.stale_commits, counts.locks) == (batch_runner.MAX_MISSES, 1)
        assert sum(a.supervisor.times.locked.totals().counts) == 1


# -- under the lock


async def test_rows_that_were_missed_before_the_lock_are_sent_before_those_of_the_batch(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN, latencies=(0.02, 0.0)) as (a, b):
        client, viewer, author = await a.client(1), await a.client(2), await b.client(3)
        a.store.fail(*[Fault.CONTENDED] * 2)
        pending = client.give(client.command(AssignNumber(7, 1)))
        number = 0
        while not pending.answers:
            number += 1
            await author.ask(AssignNumber(8, 1 + number % 3))
            await trio.sleep(0.001)
        assert a.supervisor.counts().locks == 1
        await read(a)
        await read(b)
        for each in (client, viewer, author):
            assert each.violations == []
            assert each.rows == author.rows


async def test_a_crash_between_a_locked_commit_and_the_rows_before_it_loses_nobody_a_row(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN, latencies=(0.02, 0.0)) as (a, b):
        client, viewer, author = await a.client(1), await a.client(2), await b.client(3)
        a.store.fail(*[Fault.CONTENDED] * 2)
        pending = client.give(client.command(AssignNumber(7, 1)))
        number = 0
        while not pending.answers:
            number += 1
            await author.ask(AssignNumber(8, 1 + number % 3))
            await trio.sleep(0.001)
            if a.supervisor.counts().locks:
                a.crash_at = Tracepoint.DELIVERING
                break
        await client.subscriber.wait_replied()
        assert a.supervisor.counts().crashes == 1
        accepted(pending.answers[0])
        for each in (client, viewer):
            assert each.aborted or each.violations == []
            if each.aborted:
                each.hang_up()
                each.aborted = False
                assert isinstance(await each.come_back(), Done)
        await trio.sleep(5)
        await read(a)
        await read(b)
        for each in (client, viewer):
            assert each.rows == author.rows


class _FrozenStore(SimStore):
    """The server freezes when it has locked a retreat, so often, until it has lost the lock."""

    freezes = 0

    @asynccontextmanager
    async def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        async with super().locked(retreat_id, epoch, revision) as retreat:
            if self.freezes:
                self.freezes -= 1
                await trio.sleep(2 * LOCK_TIMEOUT)
            yield retreat


@pytest.mark.parametrize("freezes", [1, 2, 1_000])
async def test_a_batch_that_has_lost_the_lock_is_tried_again_some_times(
    freezes: int, autojump_clock: MockClock
) -> None:
    async with nodes(2, stores=_FrozenStore) as (a, b):
        assert isinstance(a.store, _FrozenStore)
        client = await a.client(1)
        a.store.freezes = freezes
        a.store.fail(Fault.CONTENDED, Fault.CONTENDED)
        answer = await client.ask(AssignNumber(7, 1))
        if freezes < 3:
            assert accepted(answer).revision == 3
            assert a.supervisor.counts().locks == freezes + 1
        else:
            assert code(answer) is Code.ROOM_BUSY
            assert a.store.freezes > freezes - 6
        a.store.freezes = 0
        accepted(await client.ask(AssignNumber(8, 1)))
        await trio.sleep(0.5)
        assert (await read(b)).revision == (await read(a)).revision


# -- who is asked, and when


async def test_a_store_that_is_not_shared_is_asked_nothing(autojump_clock: MockClock) -> None:
    async with nodes(1) as (a,):
        a.store.shared = False
        lone = Node(a.store, None, 5)
        async with lone.supervisor.running():
            client = await lone.client(1)
            assert code(await client.ask(DeleteMemo(99))) is Code.NOT_FOUND
            await read(lone)
            await trio.sleep(10)
            assert lone.supervisor.counts().checks == 0


async def test_all_who_ask_while_a_check_is_out_share_the_next_one(
    autojump_clock: MockClock,
) -> None:
    slugs = [f"retreat-{number}" for number in range(10)]
    async with nodes(1, config=UNSEEN, slugs=slugs) as (a,):
        clients = [await a.client(number + 1, slug) for number, slug in enumerate(slugs)]
        await trio.sleep(1)
        a.store.latency = 1.0
        before = a.supervisor.counts().checks
        first = clients[0].give(clients[0].command(DeleteMemo(99)))
        await trio.sleep(0.01)
        assert a.supervisor.counts().checks == before + 1
        others = [client.give(client.command(DeleteMemo(99))) for client in clients[1:]]
        for client in clients:
            await client.subscriber.wait_replied()
        assert a.supervisor.counts().checks == before + 2
        assert {code(each.answers[0]) for each in (first, *others)} == {Code.NOT_FOUND}


async def test_one_who_joins_while_a_check_is_out_waits_for_the_next(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        await b.client(1)
        await trio.sleep(1)
        b.store.latency = 1.0
        async with trio.open_nursery() as nursery:
            for number in range(12):  # while checks are at each step
                revision = (await accepted_elsewhere(a, number=1 + number % 3)).revision
                nursery.start_soon(_join_at_least, b, revision)
                await trio.sleep(0.15)


async def _join_at_least(node: Node, revision: int) -> None:
    client = Client(node.supervisor, 3)
    await client.join("winter")
    assert client.snapshot is not None
    assert client.snapshot.revision >= revision


async def test_a_check_that_never_ends_holds_up_no_leave_no_stop_and_no_end(
    autojump_clock: MockClock,
) -> None:
    async with nodes(1, config=UNSEEN) as (a,):
        leaving, asking = await a.client(1), await a.client(3)
        await trio.sleep(1)
        a.store.fail(*[Fault.HANGS] * 100, of="read")
        pending = asking.give(asking.command(DeleteMemo(99)))
        with trio.move_on_after(1):  # taken back
            await Client(a.supervisor, 5).join("winter")
        leaving.leave()
        await trio.sleep(0.1)
        assert leaving.subscriber.room_slug is None
        with trio.move_on_after(1):
            await a.supervisor.drain()
        a.supervisor.reject_pending()
        assert isinstance(pending.answers[0], Rejection)


async def test_a_room_that_crashes_while_a_check_is_out_starts_again(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, _):
        client, other = await a.client(1), await a.client(2)
        await trio.sleep(1)
        a.store.fail(Fault.HANGS, of="read")
        pending = client.give(client.command(DeleteMemo(99)))
        await trio.sleep(0.1)
        a.crash_at = Tracepoint.SENDING_MARKS
        other.mark(7)
        await trio.sleep(20)
        assert a.supervisor.counts().crashes == 1
        assert code(pending.answers[0]) is Code.ROOM_RESTARTED
        accepted(await client.ask(AssignNumber(7, 1)))


# -- a store that cannot be reached


async def test_in_an_outage_nobody_gets_less_than_they_know_of(autojump_clock: MockClock) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        inside = await b.client(1)
        coming = await a.client(2)
        before = await read(b)
        revision = (await accepted_elsewhere(a)).revision
        await read(a)
        await trio.sleep(1)
        b.store.begin_outage()
        client = Client(b.supervisor, 3)
        await client.join("winter", since=revision)
        assert [code(each) for each in client.refused_joins] == [Code.STORE_UNAVAILABLE]
        answer = await b.supervisor.read("winter", since=revision)
        assert code(answer) is Code.STORE_UNAVAILABLE
        answer = await b.supervisor.read("winter", known={before.epoch: revision})
        assert code(answer) is Code.STORE_UNAVAILABLE
        board = await b.supervisor.board("winter", known=revision)
        assert code(board) is Code.STORE_UNAVAILABLE
        coming.hang_up()
        coming.supervisor = b.supervisor
        assert code(await coming.come_back()) is Code.STORE_UNAVAILABLE
        asked = await inside.ask(DeleteMemo(99), base=revision)
        assert code(asked) is Code.STORE_UNAVAILABLE
        await client.join("winter")  # as the list was, which it then is told of
        assert client.snapshot is not None
        assert client.snapshot.revision < revision
        assert (await read(b)).revision < revision
        answer = await b.supervisor.read("winter", known={before.epoch: before.revision})
        assert isinstance(answer, Snapshot)
        answer = await b.supervisor.read("winter", known={"of a later epoch": 1})
        assert code(answer) is Code.STORE_UNAVAILABLE
        b.store.end_outage()
        await trio.sleep(5)
        answer = await b.supervisor.read("winter", known={before.epoch: 9999})  # who is wrong
        assert isinstance(answer, Snapshot)
        assert answer.revision == revision
        assert client.rows == inside.rows
        assert client.rows[8]["gbsNumber"] == 3


async def test_in_an_outage_a_mark_of_a_row_that_others_may_know_is_rejected_for_now(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        client = await b.client(1)
        await person_added_elsewhere(a)
        await read(a)
        b.store.begin_outage()
        first, other = client.mark(99), client.mark(7)
        await trio.sleep(2)
        later = client.mark(99)
        await trio.sleep(2)
        assert [code(answer) for answer in (*first, *later)] == [Code.STORE_UNAVAILABLE] * 2
        assert other == [Done(0)]
        b.store.end_outage()
        await trio.sleep(5)
        again = client.mark(99)
        await trio.sleep(0.1)
        assert again == [Done(1)]


async def test_a_mark_that_comes_while_a_check_is_out_waits_for_the_next(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN, latencies=(0, 1)) as (a, b):
        client = await b.client(1)
        asking = Client(b.supervisor, 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asking.join, "winter")
            await trio.sleep(0.01)
            await person_added_elsewhere(a)
            await read(a)
            added, known = client.mark(99), client.mark(7)
            await trio.sleep(0.01)
            assert (added, known) == ([], [])  # the later one waits for its turn
        await trio.sleep(10)
        assert (added, known) == ([Done(1)], [Done(1)])


async def test_a_check_that_fails_once_is_no_outage(autojump_clock: MockClock) -> None:
    async with nodes(1, config=UNSEEN) as (a,):
        client = await a.client(1)
        await trio.sleep(1)
        a.store.fail(Fault.UNAVAILABLE, of="read")
        assert code(await client.ask(DeleteMemo(99))) is Code.NOT_FOUND
        a.store.fail(Fault.UNAVAILABLE, Fault.UNAVAILABLE, of="read")
        assert code(await client.ask(DeleteMemo(99))) is Code.STORE_UNAVAILABLE


async def test_a_check_that_fails_late_is_not_made_again(autojump_clock: MockClock) -> None:
    async with nodes(1, config=UNSEEN) as (a,):
        client = await a.client(1)
        await trio.sleep(1)
        a.store.fail(Fault.HANGS, Fault.HANGS, of="read")
        started = trio.current_time()
        assert code(await client.ask(DeleteMemo(99))) is Code.STORE_UNAVAILABLE
        assert trio.current_time() - started < 1.5 * READ_TIMEOUT


async def test_a_repeat_in_an_outage_is_not_acknowledged_with_a_row_that_may_be_old(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, config=UNSEEN) as (a, b):
        client = await b.client(1)
        await client.ask(AssignNumber(7, 1), command_id=ID)
        await accepted_elsewhere(a, 7, 2)
        b.store.begin_outage()
        again = await client.ask(AssignNumber(7, 1), command_id=ID)
        assert code(again) is Code.STORE_UNAVAILABLE
