"""A room that crashes: what becomes of commands, subscribers and the other rooms."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Accepted, RoomConfig, RoomState, Tracepoint

from .peers import Client
from .world import code, world


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


async def test_commands_during_the_backoff_are_told_of_the_restart_and_joins_wait(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(crash_backoff=2)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        assert w.state() is RoomState.BACKOFF
        assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_RESTARTED
        late = await w.client(2)
        assert len(late.rows) == 8
        assert trio.current_time() >= 2


async def test_a_room_that_crashes_too_often_fails_until_the_cool_down_has_passed(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomConfig(max_crashes=2, cool_down=30)) as w:
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
    async with world(config=RoomConfig(max_crashes=0, cool_down=1000)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        assert w.state() is RoomState.FAILED
        assert w.supervisor.restart("winter")
        await trio.sleep(1)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        assert not w.supervisor.restart("winter")


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
