"""What operators do to rooms: restart, recover, stop, drain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Accepted, RoomAction, RoomSettings, RoomState, Snapshot, Tracepoint
from gbs_actor.rooms.room_actions import SETTLE_TIMEOUT
from gbs_actor.testing.store import Fault

from .world import World, code, give_all, world

ACTIONS = ("restart", "recover", "stop", "drain")
EACH = pytest.mark.parametrize("name", ACTIONS)
Act = Callable[..., Awaitable[RoomAction]]


def action(w: World, name: str, slug: str = "winter", spread: float = 2.0) -> Act:
    async def act(*, dry_run: bool = False) -> RoomAction:
        bound = getattr(w.supervisor.actions, name)
        arguments = (slug, spread) if name == "drain" else (slug,)
        outcome = await bound(*arguments, dry_run=dry_run)
        assert isinstance(outcome, RoomAction)
        return outcome

    return act


def state_after(outcome: RoomAction) -> RoomState | None:
    return None if outcome.room is None else outcome.room.state


# Restart


async def test_a_restart_takes_nothing_from_those_who_are_in_the_room(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        w.store.fail(Fault.SLOW)
        pending = give_all(client, 1)
        await trio.sleep(0.5)
        pending += give_all(client, 2, 3)
        outcome = await action(w, "restart")()
        assert (outcome.changed, state_after(outcome)) == (True, RoomState.RUNNING)
        pending += give_all(client, 4)
        await client.subscriber.wait_replied()
        answers = [answer for each in pending for answer in each.answers]
        assert [getattr(answer, "revision", answer) for answer in answers] == [1, 2, 3, 4]
        assert w.store.loads == 2
        assert [row.revision for row in other.updates][-1] == 4
        assert other.rows == client.rows
        assert client.sent_away == other.sent_away == []
        assert w.supervisor.statistics().rooms[0].restarts == 0, "it was no crash"


async def test_commands_wait_while_an_operators_restart_loads(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.SLOW, of="read")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(action(w, "restart"))
            await trio.sleep(0.5)
            assert w.state() is RoomState.STARTING
            again = await action(w, "restart")()
            assert (again.changed, again.message) == (False, "The room is starting already.")
            assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)


async def test_a_restart_that_takes_long_is_answered_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.LOST_AFTER)
        w.store.fail(*[Fault.UNAVAILABLE] * 20, of="read")
        pending = client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(0.5)
        asked = trio.current_time()
        outcome = await action(w, "restart")()
        assert trio.current_time() - asked == pytest.approx(SETTLE_TIMEOUT)
        assert outcome.changed
        w.store.heal()
        await trio.sleep(60)
        assert w.store.loads == 2
        assert len(pending.answers) == 1


async def test_a_crash_before_an_asked_for_restart_counts_as_one(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(max_crashes=0)) as w:
        client = await w.client()
        w.store.fail(Fault.SLOW)
        w.bugs.at = [Tracepoint.APPLIED]
        give_all(client, 1)
        await trio.sleep(0.5)
        outcome = await action(w, "restart")()
        assert state_after(outcome) is RoomState.FAILED


async def test_a_restart_that_a_crash_overtakes_does_not_stand_in_the_way_of_the_next_one(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(max_crashes=0, crash_cool_down=300, deliveries_per_yield=1)
    async with world(config=config) as w:
        clients = [await w.client(number) for number in range(1, 6)]
        w.bugs.at = [Tracepoint.APPLIED]  # durable: it is still sent to all, one by one
        give_all(clients[0], 1)
        while w.events.after(None).events[-1].kind != "room.failed":
            await w.events.wait(w.events.last)
        assert w.state() is RoomState.RUNNING, "the crash is still handled"
        outcome = await action(w, "restart")()
        assert state_after(outcome) is RoomState.FAILED
        outcome = await action(w, "recover")()
        assert (outcome.changed, state_after(outcome)) == (True, RoomState.RUNNING)


# Recover


async def test_recovering_ends_the_pause_and_the_count_of_crashes(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(max_crashes=1, crash_backoff_initial=30, crash_backoff_max=30)
    async with world(config=config) as w:
        client = await w.client()
        for _ in range(3):
            w.bugs.at = [Tracepoint.TAKEN]
            await client.ask(AssignNumber(7, 1))
            assert w.state() is RoomState.BACKOFF, "the crashes before no longer count"
            outcome = await action(w, "recover")()
            assert (outcome.changed, state_after(outcome)) == (True, RoomState.RUNNING)
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)
        again = await action(w, "recover")()
        assert (again.changed, state_after(again)) == (False, RoomState.RUNNING)


async def test_a_failed_room_that_nobody_is_in_starts_at_once_too(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(max_crashes=0, crash_cool_down=1000)) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        client.leave()
        outcome = await action(w, "recover")()
        assert (outcome.changed, state_after(outcome)) == (True, RoomState.RUNNING)


# Stop and drain


async def test_a_stop_finishes_what_was_submitted_and_sends_everybody_away(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        w.store.fail(Fault.SLOW)
        pending = give_all(client, 1)
        await trio.sleep(0.5)
        pending += give_all(client, 2)
        late = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(action(w, "stop"))
            await trio.sleep(0.1)
            assert w.state() is RoomState.DRAINING
            late = give_all(client, 3)
            assert not (await action(w, "stop")()).changed
        assert [type(each.answers[0]) for each in pending] == [Accepted, Accepted]
        assert [code(each.answers[0]) for each in late] == [Code.ROOM_RESTARTED]
        assert w.state() is None
        assert len(client.sent_away) == len(other.sent_away) == 1
        assert client.rows == other.rows
        assert client.subscriber.room is other.subscriber.room is None


async def test_who_joins_a_room_that_stops_waits_and_opens_it_again(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client, late = await w.client(1), await w.client(2, "summer")
        assert late.refused_joins  # there is no such retreat
        late.refused_joins.clear()
        w.store.fail(Fault.SLOW)
        give_all(client, 1)
        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(action(w, "stop"))
            await trio.sleep(0.1)
            await late.join("winter")
        assert late.refused_joins == []
        assert late.subscriber.room is not None
        assert late.snapshot is not None
        assert late.snapshot.revision == 1
        assert late.sent_away == []
        assert w.store.loads == 3


async def test_a_drain_spreads_the_ends_of_the_connections(autojump_clock: MockClock) -> None:
    async with world() as w:
        clients = [await w.client(n + 1) for n in range(4)]
        began = trio.current_time()
        outcome = await action(w, "drain", spread=3.0)()
        assert (outcome.changed, state_after(outcome)) == (True, RoomState.DRAINING)
        await trio.sleep(1.6)
        assert code(await clients[3].ask(AssignNumber(7, 1))) is Code.ROOM_RESTARTED
        clients[3].leave()  # so it is none of the room's any more
        rows = await w.supervisor.read("winter")
        assert isinstance(rows, Snapshot)
        away = [each - began for client in clients for each in client.sent_away]
        assert away == pytest.approx([0.0, 0.75, 1.5])
        assert await w.client(7) is not None
        assert w.state() is RoomState.RUNNING


async def test_a_stop_ends_a_drain_at_once_and_so_does_the_end_of_the_server(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        for end in (action(w, "stop"), w.supervisor.drain):
            clients = [await w.client(n + 1) for n in range(3)]
            await action(w, "drain", spread=100.0)()
            await trio.sleep(1)
            began = trio.current_time()
            await end()
            assert trio.current_time() - began < 0.1
            assert w.state() is None
        assert sum(len(client.sent_away) for client in clients) == 1


async def test_a_failed_room_can_be_stopped_and_replies_to_what_is_in_hand(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(crash_backoff_initial=100, crash_backoff_max=100)
    async with world(config=config) as w:
        client, other = await w.client(1), await w.client(2)
        w.bugs.at = [Tracepoint.COMMITTING]
        (pending,) = give_all(other, 1)
        await trio.sleep(1)
        assert (w.state(), pending.answers) == (RoomState.BACKOFF, [])
        await action(w, "drain", spread=50.0)()
        await trio.sleep(1)
        assert [code(answer) for answer in pending.answers] == [Code.OUTCOME_UNKNOWN]
        assert (len(client.sent_away), len(other.sent_away)) == (1, 0)
        outcome = await action(w, "stop")()
        assert (outcome.changed, state_after(outcome)) == (True, RoomState.STOPPED)
        assert len(other.sent_away) == 1


# All of them


@EACH
async def test_a_trial_changes_nothing(name: str, autojump_clock: MockClock) -> None:
    config = RoomSettings(crash_backoff_initial=100, crash_backoff_max=100)
    async with world(config=config) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        outcome = await action(w, name)(dry_run=True)
        assert (outcome.changed, state_after(outcome)) == (True, RoomState.BACKOFF)
        await trio.sleep(50)
        assert w.state() is RoomState.BACKOFF
        assert client.subscriber.room is not None


@EACH
async def test_a_room_that_is_not_open_stays_so(name: str, autojump_clock: MockClock) -> None:
    async with world() as w:
        outcome = await action(w, name)()
        assert (outcome.changed, outcome.room) == (False, None)
        assert w.store.loads == 0


@EACH
async def test_an_action_goes_on_when_its_wait_is_cancelled(
    name: str, autojump_clock: MockClock
) -> None:
    config = RoomSettings(crash_backoff_initial=100, crash_backoff_max=100)
    async with world(config=config) as w:
        client = await w.client()
        w.bugs.at = [Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        w.store.fail(Fault.SLOW, of="read")
        with trio.move_on_after(0.01):
            await action(w, name)()
        await trio.sleep(5)
        gone = name in ("stop", "drain")
        assert w.state() is (None if gone else RoomState.RUNNING)
