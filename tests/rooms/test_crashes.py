"""A room that crashes: what becomes of commands, subscribers and the other rooms."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.rooms import (
    Accepted,
    EncodedRow,
    Presence,
    RoomSettings,
    RoomState,
    RoomSupervisor,
    Snapshot,
    Tracepoint,
)
from gbs_actor.testing.store import Fault

from .peers import Client, TestFormat, Updates
from .retreats import sim_store
from .world import COMMAND_ID, code, world


async def test_a_crash_takes_no_other_room_and_nobody_has_to_rejoin(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client, elsewhere = await w.client(1), await w.client(2, "summer")
        w.bugs.at = [Tracepoint.TAKEN]
        refused = await client.ask(AssignNumber(7, 1))
        assert code(refused) is Code.ROOM_RESTARTED
        assert isinstance(await elsewhere.ask(AssignNumber(15, 1)), Accepted)
        await trio.sleep(1)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.restarts == 1
        assert room.last_error == "ZeroDivisionError: a bug"


async def test_what_was_committed_before_a_crash_is_answered_and_seen_after_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        w.bugs.at = [Tracepoint.COMMITTED]
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert other.rows == client.rows
        assert other.rows[7]["gbsNumber"] == 1


async def test_a_read_while_a_room_replies_after_a_crash_has_what_was_acknowledged(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(deliveries_per_yield=1)) as w:
        clients = [await w.client(user) for user in range(1, 9)]
        w.bugs.at = [Tracepoint.COMMITTED]
        answer = await clients[0].ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert w.state() is RoomState.RUNNING  # it has not replied to all
        read = await w.supervisor.read("winter")
        assert isinstance(read, Snapshot)
        assert read.revision == answer.revision


async def test_a_commit_that_a_crash_cut_off_is_looked_up_and_answered(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        w.bugs.at = [Tracepoint.STORE_REPLIED]  # durable, and the room does not know it yet
        with trio.fail_after(60):
            answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.restarts == 1
        assert other.rows == client.rows
        assert other.rows[7]["gbsNumber"] == 1


async def test_commands_during_the_backoff_are_told_of_the_restart_and_joins_wait(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(crash_backoff_initial=2)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        assert w.state() is RoomState.BACKOFF
        assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_RESTARTED
        late = await w.client(2)
        assert len(late.rows) == 8
        assert trio.current_time() >= 2


async def test_what_a_room_rejects_because_of_a_crash_is_counted(autojump_clock: MockClock) -> None:
    async with world(config=RoomSettings(crash_backoff_initial=2)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        for _ in ("in the batch in hand", "in the pause"):
            assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_RESTARTED
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.rejected == w.supervisor.counts().rejected == 2


async def test_a_join_at_once_that_raises_crashes_the_room_and_waits_for_the_next_start(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(crash_backoff_initial=2)) as w:
        await w.client(1)
        await trio.sleep(5)
        w.bugs.at = [Tracepoint.JOINING]
        late = await w.client(2)
        assert len(late.rows) == 8
        assert trio.current_time() >= 7
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.restarts == 1


async def test_a_room_that_crashes_behind_the_answer_to_a_join_keeps_who_has_joined(
    autojump_clock: MockClock,
) -> None:
    class Broken(TestFormat):
        def presence(self, presence: Presence, revision: int) -> Any:
            if w.state() is RoomState.RUNNING and not w.bugs.times:
                w.bugs.times.append(trio.current_time())
                raise ZeroDivisionError("a bug")
            return super().presence(presence, revision)

    async with world() as w:
        author = await w.client(1)
        await trio.sleep(5)
        client = Client(w.supervisor, 2, Broken())
        assert w.supervisor.join_nowait("winter", client.subscriber, reply=lambda _: None)
        await trio.sleep(5)
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.restarts == 1
        await author.ask(AssignNumber(7, 1))
        assert [row.id for row in client.updates][-1:] == [7]


async def test_a_room_that_crashes_too_often_fails_until_the_cool_down_has_passed(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(max_crashes=2, crash_cool_down=30)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN, Tracepoint.LOADING, Tracepoint.LOADING]
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(5)
        assert w.state() is RoomState.FAILED
        assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_UNAVAILABLE
        late = await w.client(2)
        assert [code(r) for r in late.refused_joins] == [Code.ROOM_UNAVAILABLE]
        await trio.sleep(30)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)


async def test_an_operator_can_restart_a_failed_room_at_once(autojump_clock: MockClock) -> None:
    async with world(config=RoomSettings(max_crashes=0, crash_cool_down=1000)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        assert w.state() is RoomState.FAILED
        recovered = await w.supervisor.actions.recover("winter")
        assert recovered.changed
        assert recovered.room is not None
        assert recovered.room.state is RoomState.RUNNING
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        assert not (await w.supervisor.actions.recover("winter")).changed


async def test_a_sink_that_raises_loses_its_connection_and_nothing_else(
    autojump_clock: MockClock,
) -> None:
    class Broken(Client):
        def deliver(self, message: object) -> None:
            raise RuntimeError("broken")

    async with world() as w:
        broken = Broken(w.supervisor, 9)
        await broken.join("winter")
        client = await w.client(1)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        assert broken.aborted
        assert w.supervisor.statistics().crashes == 0


async def test_a_room_that_fails_behind_a_commit_answers_ok_with_the_rows_as_committed(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(max_crashes=0, crash_cool_down=30)) as w:
        author, second, other = [await w.client(n) for n in (1, 2, 3)]
        w.bugs.at = [Tracepoint.COMMITTED]
        first = author.give(author.command(AssignNumber(7, 1)))
        refused = author.give(author.command(AssignNumber(1, 2)))
        middle = second.give(second.command(CreateMemo(8, "메모", "")))
        last = author.give(author.command(AssignNumber(7, 2), command_id=COMMAND_ID))
        repeat = author.give(author.command(AssignNumber(7, 2), command_id=COMMAND_ID))
        await author.subscriber.wait_replied()
        await second.subscriber.wait_replied()
        assert w.state() is RoomState.FAILED
        answers = [pending.answers[0] for pending in (first, middle, last, repeat)]
        assert [a.revision for a in answers if isinstance(a, Accepted)] == [1, 2, 3, 3]
        assert code(refused.answers[0]) is Code.LEADER_LOCKED
        assert author.rows[7]["gbsNumber"] == 2
        assert {row.id for row in author.updates} >= {1, 2, 7, 8}
        assert author.rows == second.rows == other.rows
        await trio.sleep(31)
        assert author.rows == second.rows == other.rows
        assert [c.violations for c in (author, second, other)] == [[], [], []]
        assert code(await author.ask(AssignNumber(7, 1))) is None


async def test_what_was_committed_before_a_crash_is_answered_although_the_store_goes_away(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.COMMITTED]
        w.store.fail(*[Fault.UNAVAILABLE] * 1_000, of="read")
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)


async def test_a_crash_in_the_middle_of_a_fan_out_repeats_no_reply(
    autojump_clock: MockClock,
) -> None:
    for crash in (Tracepoint.DELIVERING, Tracepoint.REPLYING):
        async with world(config=RoomSettings(max_crashes=0, crash_cool_down=30)) as w:
            clients = [await w.client(n) for n in range(1, 4)]
            w.bugs.at, w.bugs.passes = [crash], 1
            pendings = [c.give(c.command(AssignNumber(7, c.author.user_id))) for c in clients]
            await trio.sleep(1)
            assert w.state() is RoomState.FAILED
            answers = [pending.answers[0] for pending in pendings]
            assert [a.revision for a in answers if isinstance(a, Accepted)] == [1, 2, 3]
            await trio.sleep(31)
            assert clients[0].rows == clients[1].rows == clients[2].rows
            assert [c.violations for c in clients] == [[], [], []]


async def test_a_crash_that_coincides_with_cancellation_is_logged_and_stays_inside(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Shutdown:
        """Cancels the rooms in the very step in which one of them crashes."""

        scope = trio.CancelScope()

        def __call__(self, slug: str, tracepoint: Tracepoint) -> None:
            if tracepoint is Tracepoint.JOINING and store.pending():
                self.scope.cancel()
                raise ZeroDivisionError("a bug")

    shutdown = Shutdown()
    store = await sim_store()
    supervisor = RoomSupervisor(store, observe=shutdown)
    with shutdown.scope:
        async with supervisor.running():
            client, late = Client(supervisor, 1), Client(supervisor, 2)
            await client.join("winter")
            store.fail(Fault.LOST_BEFORE, *[Fault.UNAVAILABLE] * 1_000)
            pending = client.give(client.command(AssignNumber(7, 1)))
            await trio.sleep(1)
            await late.join("winter")
    assert supervisor.statistics().crashes == 1
    assert "room winter crashed" in caplog.text
    assert [code(answer) for answer in pending.answers] == [Code.OUTCOME_UNKNOWN]


async def test_a_crash_behind_a_commit_that_coincides_with_cancellation_answers_ok(
    autojump_clock: MockClock,
) -> None:
    scope = trio.CancelScope()

    def crash(slug: str, tracepoint: Tracepoint) -> None:
        if tracepoint is Tracepoint.COMMITTED:
            scope.cancel()
            raise ZeroDivisionError("a bug")

    supervisor = RoomSupervisor(
        await sim_store(), RoomSettings(deliveries_per_yield=1), observe=crash
    )
    with scope:
        async with supervisor.running():
            client = Client(supervisor)
            await client.join("winter")
            await client.ask(AssignNumber(7, 1))
    (pending,) = client.pending
    assert isinstance(pending.answers[0], Accepted)
    assert client.rows[7]["gbsNumber"] == 1


async def test_what_cannot_be_sent_after_a_crash_takes_nothing_else_with_it(
    autojump_clock: MockClock,
) -> None:
    class Broken(TestFormat):
        def update(self, row: EncodedRow) -> Updates:
            raise ValueError("cannot be written")

    async with world("winter", "summer", config=RoomSettings(max_crashes=0)) as w:
        elsewhere = await w.client(2, "summer")
        client = Client(w.supervisor, 1, Broken())
        await client.join("winter")
        answer = await client.ask(AssignNumber(7, 1), command_id=COMMAND_ID)
        assert code(answer) is Code.OUTCOME_UNKNOWN
        assert w.state() is RoomState.FAILED
        assert isinstance(await elsewhere.ask(AssignNumber(15, 1)), Accepted)


async def test_the_pauses_between_crashes_grow_and_crashes_of_long_ago_do_not_count(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(
        crash_backoff_initial=1, crash_backoff_max=3, max_crashes=4, crash_window=60
    )
    async with world(config=config) as w:
        client = await w.client()
        for _ in range(3):
            started = trio.current_time()
            w.bugs.times.clear()
            w.bugs.at = [Tracepoint.TAKEN, *[Tracepoint.LOADING] * 3]
            await client.ask(AssignNumber(7, 1))
            await trio.sleep(100)
            assert [round(at - started, 3) for at in w.bugs.times] == [0, 1, 3, 6]
            assert w.state() is RoomState.RUNNING
