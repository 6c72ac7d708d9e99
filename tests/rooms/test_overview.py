"""All rooms at a glance: what has closed is still counted, and few are shown by themselves."""

from __future__ import annotations

import msgspec
import trio
from trio.testing import MockClock

from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import RoomLoad, RoomSettings, RoomState, Tracepoint
from gbs_actor.testing.store import Fault

from .world import COMMAND_ID, give_all, world

SLUGS = ("winter", "summer", "spring", "autumn")
PEOPLE = 8


async def test_the_count_of_deliveries_never_goes_down(autojump_clock: MockClock) -> None:
    async with world("winter", "summer", config=RoomSettings(deliveries_per_yield=1)) as w:
        await w.client(90, "summer")
        clients = [await w.client(number) for number in range(1, 31)]
        counts = [0]
        give_all(clients[0], 1)
        async with trio.open_nursery() as nursery:
            while counts[-1] < 2:
                await trio.lowlevel.checkpoint()
                counts.append(w.supervisor.counts().deliveries)
            nursery.start_soon(clients[-1].join, "summer")
            for _ in range(60):
                await trio.lowlevel.checkpoint()
                counts.append(w.supervisor.counts().deliveries)
        assert counts == sorted(counts), "Prometheus would take it for a restart"
        assert counts[-1] == len(clients) - 1


async def test_what_rooms_have_counted_stays_when_they_close(autojump_clock: MockClock) -> None:
    config = RoomSettings(idle_timeout=10.0)
    async with world("winter", config=config, people=PEOPLE) as w:
        one, two = await w.client(1), await w.client(2)
        await one.ask(AssignNumber(7, 1))
        for _ in range(2):
            await one.ask(AssignNumber(7, 2), command_id=COMMAND_ID)
        await one.ask(AssignNumber(999, 1))
        counts = w.supervisor.counts()
        assert (counts.open, counts.subscribers, counts.mailbox_depth) == (1, 2, 0)
        assert (counts.accepted, counts.repeated, counts.rejected) == (2, 1, 1)
        assert counts.deliveries == 4  # two changes, for each of two
        for client in (one, two):
            w.supervisor.disconnect(client.subscriber)
        await trio.sleep(30)
        closed = w.supervisor.counts()
        assert closed == msgspec.structs.replace(counts, open=0, states={}, subscribers=0)
        assert sum(w.supervisor.times.commit.totals().counts) == 2
        assert w.supervisor.times.batch_sizes.totals().total == 4
        await (await w.client(3)).ask(AssignNumber(8, 1))
        assert w.supervisor.counts().accepted == 3


async def test_the_rooms_with_most_commands_are_shown_then_those_with_most_subscribers(
    autojump_clock: MockClock,
) -> None:
    async with world(*SLUGS, people=PEOPLE) as w:
        for number, slug in enumerate(SLUGS):
            clients = [await w.client(1 + n, slug) for n in range(4 - number)]
            for value in range(6 if slug == "autumn" else 0):
                await clients[0].ask(AssignNumber(number * PEOPLE + 7, value + 1))
        await trio.sleep(1)
        loads = await w.supervisor.loads(2)
        assert list(loads.named) == ["autumn", "winter"]
        assert loads.named["winter"] == RoomLoad(0.0, 4, 0)
        assert loads.named["autumn"].commands_per_second > 1
        assert loads.others == RoomLoad(0.0, 3 + 2, 0)
        assert w.supervisor.counts().subscribers == 4 + 3 + 2 + 1
        await trio.sleep(120)
        assert list((await w.supervisor.loads(1)).named) == ["winter"]
        none = await w.supervisor.loads(0)
        assert (none.named, none.others.subscribers) == ({}, 10)


async def test_states_crashes_and_restarts_are_counted(autojump_clock: MockClock) -> None:
    async with world("winter", "summer", config=RoomSettings(max_crashes=0)) as w:
        await w.client(1, "summer")
        client = await w.client(2)
        w.bugs.at = [Tracepoint.TAKEN]
        client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(1)
        counts = w.supervisor.counts()
        assert counts.crashes == 1
        assert counts.states == {RoomState.RUNNING: 1, RoomState.FAILED: 1}
        await trio.sleep(120)
        assert w.supervisor.counts().restarts == 1


async def test_a_room_is_counted_once_while_it_closes(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer", config=RoomSettings(idle_timeout=1.0)) as w:
        for slug, person in (("winter", 7), ("summer", 15)):
            client = await w.client(1, slug)
            await client.ask(AssignNumber(person, 1))
            w.supervisor.disconnect(client.subscriber)
        totals = []
        for _ in range(40):
            totals.append(w.supervisor.counts().accepted)
            await trio.sleep(0.05)
        assert set(totals) == {2}


async def test_stale_and_unknown_commits_are_counted(autojump_clock: MockClock) -> None:
    async with world("winter") as w:
        client = await w.client(1)
        w.store.fail(Fault.LOST_BEFORE)
        await client.ask(AssignNumber(7, 1))
        w.store.fail(Fault.CONTENDED)
        await client.ask(AssignNumber(7, 2))
        counts = w.supervisor.counts()
        assert (counts.unknown_outcomes, counts.stale_commits) == (1, 1)
