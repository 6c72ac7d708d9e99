"""The end of rooms: drained, given up, cancelled."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Accepted, RoomSettings, RoomSupervisor, Tracepoint
from gbs_actor.testing.store import Fault

from .peers import Client
from .retreats import memory_store
from .world import code, give_all, world


async def test_draining_answers_what_was_submitted_and_refuses_what_comes(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.SLOW)
        pending = client.give(client.command(AssignNumber(7, 1)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(w.supervisor.drain)
            await trio.sleep(0.5)
            refused = client.give(client.command(AssignNumber(7, 2)))
        assert isinstance(pending.answers[0], Accepted)
        assert code(refused.answers[0]) is Code.ROOM_UNAVAILABLE
        assert w.supervisor.statistics().rooms == ()


async def test_a_room_that_has_drained_already_says_that_the_server_shuts_down(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client, busy = await w.client(1), await w.client(2, "summer")
        w.store.fail(Fault.SLOW)
        busy.give(busy.command(AssignNumber(15, 1)))
        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(w.supervisor.drain)
            await trio.sleep(0.1)
            refused = client.give(client.command(AssignNumber(7, 1)))
        assert code(refused.answers[0]) is Code.ROOM_UNAVAILABLE


async def test_giving_up_answers_what_a_drain_still_waits_for(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.LOST_BEFORE, *[Fault.UNAVAILABLE] * 1_000)
        pending = client.give(client.command(AssignNumber(7, 1)))
        with trio.move_on_after(1):
            await w.supervisor.drain()
        assert pending.answers == []
        w.supervisor.reject_pending()
        assert [code(answer) for answer in pending.answers] == [Code.OUTCOME_UNKNOWN]


async def test_cancelling_the_rooms_answers_everything_that_waits(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(*[Fault.HANGS] * 3)
        pendings = give_all(client, 1)
        await trio.sleep(0.1)
        pendings += give_all(client, 2)
    assert [code(p.answers[0]) for p in pendings] == [Code.OUTCOME_UNKNOWN, Code.ROOM_UNAVAILABLE]


async def test_giving_up_in_the_middle_of_a_fan_out_takes_no_reply_away(
    autojump_clock: MockClock,
) -> None:
    def give_up(slug: str, tracepoint: Tracepoint) -> None:
        if tracepoint is Tracepoint.DELIVERING:
            supervisor.reject_pending()

    supervisor = RoomSupervisor(await memory_store(), observe=give_up)
    async with supervisor.running():
        client = Client(supervisor)
        await client.join("winter")
        assert isinstance(await client.ask(AssignNumber(7, 1)), Accepted)


async def test_what_was_rejected_at_the_end_while_it_was_decided_is_not_committed(
    autojump_clock: MockClock,
) -> None:
    store = await memory_store("winter")

    def give_up(slug: str, tracepoint: Tracepoint) -> None:
        if tracepoint is Tracepoint.DECIDED:
            supervisor.reject_pending()

    supervisor = RoomSupervisor(store, observe=give_up)
    async with supervisor.running():
        client = Client(supervisor)
        await client.join("winter")
        pending = client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(1)
        assert [code(answer) for answer in pending.answers] == [Code.ROOM_RESTARTED]
        assert await store.log(1) == []


async def test_a_cancellation_in_the_middle_of_a_fan_out_does_not_divide_it(
    autojump_clock: MockClock,
) -> None:
    delivering = trio.Event()

    def observe(slug: str, tracepoint: Tracepoint) -> None:
        if tracepoint is Tracepoint.DELIVERING:
            delivering.set()

    store = await memory_store("winter")
    supervisor = RoomSupervisor(store, RoomSettings(deliveries_per_yield=1), observe=observe)
    async with supervisor.running():
        clients = [Client(supervisor, number) for number in range(1, 5)]
        for client in clients:
            await client.join("winter")
        pendings = give_all(clients[-1], 1, 2)
        await delivering.wait()
        assert [pending.answers for pending in pendings] == [[], []]
    assert [type(answer) for p in pendings for answer in p.answers] == [Accepted, Accepted]
    assert [client.updates[-1].revision for client in clients] == [2] * 4


async def test_what_is_given_up_while_the_first_list_is_encoded_harms_no_room(
    autojump_clock: MockClock,
) -> None:
    # At some of these moments, the join is in the room's hands.
    for moment in range(40):
        async with world(config=RoomSettings(deliveries_per_yield=1)) as w:
            client = Client(w.supervisor, 1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.join, "winter")
                for _ in range(moment):
                    await trio.lowlevel.checkpoint()
                w.supervisor.reject_pending()
            assert w.supervisor.statistics().crashes == 0
            await (other := Client(w.supervisor, 2)).join("winter")
            assert len(other.rows) == 8
