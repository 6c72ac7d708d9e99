"""Other servers that write the same retreat: what a room does when it learns of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import trio
from trio.testing import MockClock

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.rooms import Accepted, RoomSettings, RoomSupervisor
from gbs_actor.rooms.batch_runner import MAX_ROUNDS
from gbs_actor.store.protocol import Attempt, Delta, LockedRetreat, RetreatVersion
from gbs_actor.testing.store import Fault, SimStore

from .peers import Client
from .retreats import small_seed
from .world import World, code, world


async def edit_elsewhere(w: World) -> None:
    """Let another server write a memo on person 8."""
    async with RoomSupervisor(w.store.elsewhere()).running() as elsewhere:
        foreign = Client(elsewhere, 3)
        await foreign.join("winter")
        assert isinstance(await foreign.ask(CreateMemo(8, "다른 곳에서", "")), Accepted)


async def test_what_others_wrote_in_an_outage_is_seen_when_the_store_is_back(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.UNAVAILABLE)
        w.store.fail(*[Fault.UNAVAILABLE] * 3, of="read")
        assert code(await client.ask(AssignNumber(7, 1))) is Code.STORE_UNAVAILABLE
        await edit_elsewhere(w)
        await trio.sleep(10)
        assert client.rows[8]["lineupMemo"] == "다른 곳에서"
        assert client.rows[7]["gbsNumber"] is None


async def test_an_idle_room_sees_what_others_wrote_while_the_store_was_theirs(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await edit_elsewhere(w)
        await trio.sleep(10)
        w.store.interrupt()
        await trio.sleep(1)
        assert client.rows[8]["lineupMemo"] == "다른 곳에서"
        answer = await w.supervisor.read("winter", since=1)
        assert not isinstance(answer, Rejection)
        assert answer.revision == 1


async def test_every_room_compares_itself_with_the_store_after_an_interruption(
    autojump_clock: MockClock,
) -> None:
    async with world("summer", "winter") as w:
        await w.client(1, "summer")
        client = await w.client(2, "winter")
        for text in ("하나", "둘"):
            async with RoomSupervisor(w.store.elsewhere()).running() as elsewhere:
                foreign = Client(elsewhere, 3)
                await foreign.join("winter")
                await foreign.ask(AssignNumber(15, 1 if text == "하나" else 2))
            w.store.interrupt()
            await trio.sleep(1)
        assert client.rows[15]["gbsNumber"] == 2


async def test_a_room_that_the_store_agrees_with_is_not_loaded_again(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await client.ask(AssignNumber(7, 1))
        updates = len(client.updates)
        w.store.interrupt()
        await trio.sleep(10)
        assert (w.store.loads, len(client.updates)) == (1, updates)


async def test_a_comparison_that_fails_is_made_when_the_store_is_back(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await edit_elsewhere(w)
        w.store.fail(*[Fault.UNAVAILABLE] * 3, of="read")
        w.store.interrupt()
        await trio.sleep(0.01)
        assert code(await client.ask(AssignNumber(7, 1))) is Code.STORE_UNAVAILABLE
        await trio.sleep(10)
        assert client.rows[8]["lineupMemo"] == "다른 곳에서"


async def test_a_comparison_that_fails_is_no_reason_to_load(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client()
        w.store.fail(*[Fault.UNAVAILABLE] * 3, of="read")
        w.store.interrupt()
        await trio.sleep(10)
        assert (w.store.loads, w.store.pending("read")) == (1, ())


async def test_an_interruption_in_the_middle_of_a_broadcast_is_not_missed(
    autojump_clock: MockClock,
) -> None:
    class Interrupting(Client):
        armed = False

        def deliver(self, message: object) -> None:
            super().deliver(message)
            if self.armed:
                self.armed = False
                w.store.interrupt()

    async with world(config=RoomSettings(deliveries_per_yield=1)) as w:
        client = Interrupting(w.supervisor, 1)
        await client.join("winter")
        others = [await w.client(n) for n in (2, 3)]
        await trio.sleep(5)
        await edit_elsewhere(w)
        client.armed = True
        w.supervisor.leave(others[0].subscriber)  # so that presence is sent
        await trio.sleep(5)
        assert not client.armed
        assert client.rows[8]["lineupMemo"] == "다른 곳에서"


async def test_what_others_wrote_behind_a_commit_of_unknown_outcome_is_seen(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.LOST_AFTER, Fault.UNAVAILABLE, Fault.UNAVAILABLE)
        pending = client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(0.05)
        await edit_elsewhere(w)
        await trio.sleep(10)
        assert isinstance(pending.answers[0], Accepted)
        assert client.rows[8]["lineupMemo"] == "다른 곳에서"


async def test_a_new_epoch_ends_the_connections_that_updates_cannot_bring_up_to_date(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await w.store.elsewhere().new_epoch("winter")
        w.store.interrupt()
        await trio.sleep(1)
        assert client.aborted


async def test_a_room_whose_retreat_is_no_more_ends(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await w.store.elsewhere().delete_retreat("winter")
        w.store.interrupt()
        await trio.sleep(1)
        assert (client.subscriber.room_slug, w.state()) == (None, None)


async def test_a_command_that_others_were_faster_than_is_decided_on_what_they_wrote(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.CONTENDED)
        answer = await client.ask(AssignNumber(7, 1))
        assert isinstance(answer, Accepted)
        assert (answer.revision, w.store.loads) == (2, 1)


async def test_others_that_are_always_faster_are_so_twice(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for number in (1, 2):
            w.store.fail(*[Fault.CONTENDED] * 1_000)
            answer = await client.ask(AssignNumber(7, number))
            assert isinstance(answer, Accepted)
            assert answer.revision == 3 * number
            w.store.heal()
        counts = w.supervisor.counts()
        assert (counts.stale_commits, counts.locks, counts.deltas) == (4, 2, 4)


class _ForgetfulStore(SimStore):
    """Has never what a room lacks."""

    async def commit(self, attempt: Attempt) -> Delta | None:
        delta = await super().commit(attempt)
        return None if delta is None else Delta(delta.version, complete=False)

    @asynccontextmanager
    async def locked(
        self, retreat_id: int, epoch: str, revision: int
    ) -> AsyncIterator[LockedRetreat]:
        async with super().locked(retreat_id, epoch, revision) as retreat:
            delta = Delta(RetreatVersion(1, 1_000, epoch, 0), complete=False)
            yield cast("LockedRetreat", SimpleNamespace(delta=delta, commit=retreat.commit))


async def test_a_room_that_has_to_be_loaded_each_time_is_busy_and_does_not_crash(
    autojump_clock: MockClock,
) -> None:
    store = _ForgetfulStore()
    await store.import_retreat(small_seed())
    async with RoomSupervisor(store).running() as supervisor:
        client = Client(supervisor)
        await client.join("winter")
        store.fail(*[Fault.CONTENDED] * 1_000)
        assert code(await client.ask(AssignNumber(7, 1))) is Code.ROOM_BUSY
        assert store.loads == 1 + MAX_ROUNDS + 1
        store.heal()
        assert isinstance(await client.ask(AssignNumber(7, None)), Accepted)
        assert supervisor.statistics().crashes == 0
