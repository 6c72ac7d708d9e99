"""What operators are notified of about rooms."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.observability import OperatorEvent, OperatorEvents
from gbs_actor.rooms import RoomSettings, Tracepoint
from gbs_actor.testing.store import Fault

from .peers import Client
from .world import World, give_all, world


def kinds(events: OperatorEvents) -> list[str]:
    return [event.kind for event in events.after(0).events]


def last(w: World) -> OperatorEvent:
    return w.events.after(None).events[-1]


async def test_a_room_starts_and_stops_when_nobody_is_in_it(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        assert (last(w).kind, last(w).room, last(w).text) == (
            "room.started",
            "winter",
            "room winter has started",
        )
        w.supervisor.disconnect(client.subscriber)
        await trio.sleep(100)
        assert kinds(w.events) == ["room.started", "room.stopped"]
        assert last(w).text == "room winter has stopped: nobody was in it"


async def test_what_is_no_retreat_is_no_room(autojump_clock: MockClock) -> None:
    async with world() as w:
        await Client(w.supervisor, 1).join("summer")
        await trio.sleep(100)
        assert kinds(w.events) == []


async def test_a_drained_room_says_so(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client()
        await w.supervisor.drain()
        assert last(w).text == "room winter has stopped: it was drained"


async def test_a_crash_and_what_follows_from_it(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.DECIDED]
        await client.ask(AssignNumber(7, 1))
        crashed = last(w)
        assert (crashed.kind, crashed.severity, crashed.text) == (
            "room.crashed",
            "error",
            "room winter crashed: ZeroDivisionError: a bug",
        )
        assert crashed.details == {"phase": "deciding", "restarts_in": 0.1}
        await trio.sleep(5)
        assert kinds(w.events) == ["room.started", "room.crashed", "room.recovered"]
        assert last(w).details == {"crashes": 1}


async def test_a_room_that_crashes_too_often_fails_and_runs_again(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(max_crashes=1, crash_cool_down=30)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN, Tracepoint.LOADING]
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(5)
        assert kinds(w.events)[1:] == ["room.crashed", "room.crashed", "room.failed"]
        assert last(w).severity == "error"
        assert "restart it, or it starts again in 30 s" in last(w).text
        await trio.sleep(30)
        assert last(w).kind == "room.recovered"


async def test_a_full_mailbox_is_a_limit_that_was_hit(autojump_clock: MockClock) -> None:
    async with world(config=RoomSettings(mailbox_size=2)) as w:
        client = await w.client()
        w.store.fail(Fault.UNAVAILABLE)
        give_all(client, *range(1, 10))
        w.events.flush()
        first, more = w.events.after(1).events
        assert (first.kind, first.room) == ("limit.hit", "winter")
        assert first.details == {"limit": "mailbox_size"}
        assert more.details == {"limit": "mailbox_size", "times": 6}
