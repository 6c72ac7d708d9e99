"""Presence and editing marks, under a mock clock."""

from __future__ import annotations

from itertools import pairwise

import trio
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Done, Presence, RoomSettings, Subscriber, Tracepoint
from gbs_actor.testing.store import Fault

from .peers import Client, Stamped, TestFormat
from .world import code, world


async def test_an_editing_mark_is_shown_to_the_others_and_ends_by_itself(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(9)
        assert [(e.lineup_id, e.user_id, e.editing) for e in other.editings] == [(7, 1, True)]
        await trio.sleep(2)
        assert [e.editing for e in other.editings] == [True, False]
        assert author.editings == []


async def test_a_renewed_mark_lasts_on_and_a_new_one_replaces_it(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(8)
        author.mark(7)
        await trio.sleep(8)
        assert all(e.editing for e in other.editings)
        author.mark(8)
        await trio.sleep(1)
        assert [(e.lineup_id, e.editing) for e in other.editings[-2:]] == [(7, False), (8, True)]
        assert [p.lineup_id for p in other.presences[-1].users[0].editing] == [8]


async def test_a_mark_ends_when_its_connection_does(autojump_clock: MockClock) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(1)
        w.supervisor.disconnect(author.subscriber)
        await trio.sleep(1)
        assert [e.editing for e in other.editings] == [True, False]
        assert other.presences[-1].total == 1


async def test_a_mark_ends_when_its_connection_does_while_the_room_is_down(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(crash_backoff_initial=2)) as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(0.1)
        w.bugs.at = [Tracepoint.TAKEN]
        await other.ask(AssignNumber(8, 1))
        w.supervisor.disconnect(author.subscriber)
        await trio.sleep(3)
        assert [e.editing for e in other.editings] == [True, False]


async def test_a_mark_given_before_a_join_elsewhere_is_carried_out(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client, other = await w.client(1), await w.client(2)
        w.store.fail(Fault.SLOW)
        other.give(other.command(AssignNumber(7, 1)))
        await trio.sleep(0.1)
        answers = client.mark(7)
        await client.join("summer")
        assert [type(answer) for answer in answers] == [Done]


async def test_joining_again_tells_nobody(autojump_clock: MockClock) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        await trio.sleep(5)
        before = len(other.presences)
        await client.join("winter")
        await trio.sleep(5)
        assert len(other.presences) == before


async def test_a_mark_on_nobody_is_not_found(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        answers = client.mark(999)
        await trio.sleep(1)
        assert [code(a) for a in answers] == [Code.NOT_FOUND]


def _is_presence(message: object) -> bool:
    return isinstance(message, Stamped) and isinstance(message.payload, Presence)


async def test_presence_counts_the_connections_of_a_user(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client(1)
        await w.client(1)
        last = await w.client(2)
        await trio.sleep(1)
        presence = last.presences[-1]
        assert [(u.user_id, u.connections) for u in presence.users] == [(1, 2), (2, 1)]
        assert presence.total == 2


async def test_presence_is_sent_at_most_twice_a_second(autojump_clock: MockClock) -> None:
    async with world() as w:
        watcher = await w.client(1)
        await trio.sleep(1)
        watcher.transcript.clear()  # its own join
        for n in range(40):
            await w.client(n + 2)
            await trio.sleep(0.05)
        await trio.sleep(1)
        times = [at for at, message in watcher.transcript if _is_presence(message)]
        assert all(later - earlier >= 0.49 for earlier, later in pairwise(times))
        assert watcher.presences[-1].total == 41


async def test_presence_of_a_large_room_is_sent_every_two_seconds_and_names_a_hundred(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        watcher = await w.client(1)
        for n in range(120):
            await w.client(n + 2)
        watcher.transcript.clear()
        for n in range(10):
            await w.client(n + 200)
            await trio.sleep(0.5)
        times = [at for at, message in watcher.transcript if _is_presence(message)]
        assert all(later - earlier >= 2 for earlier, later in pairwise(times))
        await trio.sleep(3)
        assert (len(watcher.presences[-1].users), watcher.presences[-1].total) == (100, 131)


async def test_the_larger_a_room_the_longer_the_time_between_two_presences(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(presence_rate=10)
    async with world(config=config) as w:
        watcher = await w.client(1)
        for n in range(59):
            await w.client(n + 2)
        await trio.sleep(10)
        watcher.transcript.clear()
        for n in range(40):
            await w.client(n + 100)
            await trio.sleep(0.5)
        times = [at for at, message in watcher.transcript if _is_presence(message)]
        assert len(times) >= 2
        assert all(later - earlier >= 6 for earlier, later in pairwise(times))
        await trio.sleep(10)
        assert watcher.presences[-1].total == 100


async def test_who_has_declined_presence_is_sent_it_behind_the_own_join_only(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = Client(w.supervisor, 1)
        client.subscriber = Subscriber(client.line, client.author, wants_presence=False)
        await client.join("winter")
        other = await w.client(2)
        await trio.sleep(5)
        assert [presence.total for presence in client.presences] == [1]
        assert other.presences[-1].total == 2


async def test_who_joins_is_sent_presence_right_behind_the_rows_and_the_others_later(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        watcher = await w.client(1)
        await w.client(2)
        seen = len(watcher.presences)
        joiner = await w.client(3)
        assert [type(message).__name__ for _, message in joiner.transcript] == [
            "Snapshot",
            "Stamped",
        ]
        assert joiner.offset == 0
        assert len(watcher.presences) == seen
        await trio.sleep(1)
        assert watcher.presences[-1].total == joiner.presences[-1].total == 3


async def test_who_joins_again_is_sent_presence_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client(1)
        await trio.sleep(5)
        seen = len(client.presences)
        await client.join("winter")
        assert len(client.presences) == seen + 1


async def test_who_comes_back_after_a_while_is_in_the_presence_behind_the_rows(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        await w.client(1)
        await trio.sleep(5)
        joiner = await w.client(2)
        assert [user.user_id for user in joiner.presences[0].users] == [1, 2]


async def test_a_thousand_who_join_at_once_share_the_presence_of_a_few_encodings(
    autojump_clock: MockClock,
) -> None:
    class Form(TestFormat):
        presences = 0

        def presence(self, presence: Presence, revision: int) -> Stamped:
            self.presences += 1
            return super().presence(presence, revision)

    form = Form()
    async with world() as w:
        clients = [Client(w.supervisor, n, form) for n in range(1_000)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(client.join, "winter")
        assert all(client.presences for client in clients)
        assert form.presences <= 3
        await trio.sleep(5)
        assert {client.presences[-1].total for client in clients} == {1_000}
