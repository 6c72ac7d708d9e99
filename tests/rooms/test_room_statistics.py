"""What a room reports to operators: figures, the batch in hand, crashes, who is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.commands import AssignNumber, CreateMemo, Kind
from gbs_actor.observability import Bucket
from gbs_actor.rooms import RoomSettings, RoomState, RoomStatistics, Tracepoint
from gbs_actor.rooms.batch import Phase
from gbs_actor.rooms.crash_history import KEPT
from gbs_actor.rooms.handle import LAST_CHANGES
from gbs_actor.rooms.room_statistics import SHOWN_SUBSCRIBERS
from gbs_actor.testing.store import Fault

from .peers import Client
from .world import COMMAND_ID, World, give_all, world

MEMO = "a memo that operators are not shown"


def room_of(w: World) -> RoomStatistics:
    room = w.supervisor.room_statistics("winter")
    assert room is not None
    return room


async def test_a_room_tells_where_it_is_in_its_life(autojump_clock: MockClock) -> None:
    config = RoomSettings(max_crashes=1, crash_backoff_initial=2, crash_cool_down=30)
    async with world(config=config) as w, trio.open_nursery() as nursery:
        client = Client(w.supervisor, 1)
        w.store.fail(Fault.SLOW, of="read")
        nursery.start_soon(client.join, "winter")
        await trio.sleep(0.5)
        assert (w.state(), room_of(w).revision) == (RoomState.STARTING, None)
        await trio.sleep(1)
        assert (w.state(), room_of(w).restart_in) == (RoomState.RUNNING, None)
        w.bugs.at = [Tracepoint.TAKEN, Tracepoint.TAKEN]
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(0.5)
        assert w.state() is RoomState.BACKOFF
        assert room_of(w).restart_in == pytest.approx(1.5)
        await trio.sleep(2)
        assert (w.state(), room_of(w).restart_in) == (RoomState.RUNNING, None)
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(10)
        assert w.state() is RoomState.FAILED
        assert room_of(w).restart_in == pytest.approx(20)
        await trio.sleep(21)
        w.store.fail(Fault.SLOW)
        pending = client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(0.5)
        nursery.start_soon(w.supervisor.drain)
        await trio.sleep(0.1)
        assert w.state() is RoomState.DRAINING
        assert not pending.answers


async def test_age_and_idle_time(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(100)
        assert (room_of(w).age, room_of(w).idle_for) == (100, 100)
        w.store.fail(Fault.SLOW)
        client.give(client.command(AssignNumber(7, 1)))
        await trio.sleep(0.5)
        assert room_of(w).idle_for == 0
        await trio.sleep(4.5)
        assert (room_of(w).age, room_of(w).idle_for) == (105, 5)


async def test_the_mailbox_keeps_its_high_water_mark(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.SLOW)
        give_all(client, 1)
        await trio.sleep(0.5)
        give_all(client, 2, 3, 4, 5, 6)
        assert (room_of(w).mailbox_depth, room_of(w).mailbox_high_water) == (5, 5)
        await client.subscriber.wait_replied()
        assert (room_of(w).mailbox_depth, room_of(w).mailbox_high_water) == (0, 5)


async def test_commands_per_second(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for _ in range(90):
            await client.ask(AssignNumber(7, 1))
            await client.ask(AssignNumber(7, 2))
            await trio.sleep(1)
        assert room_of(w).commands_per_second == pytest.approx(2, abs=0.05)
        await trio.sleep(120)
        assert room_of(w).commands_per_second == 0
        assert room_of(w).accepted == 180


async def test_how_long_commits_took_in_the_last_minutes(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for fault in (*[Fault.NONE] * 9, Fault.SLOW):
            w.store.fail(fault)
            await client.ask(AssignNumber(7, 1))
        commit = room_of(w).commit
        assert commit.count == 10
        assert commit.p50 < 0.001
        assert 0.75 < commit.p99 <= commit.longest < 1.4
        slow = [bucket for bucket in room_of(w).commit_times if bucket.count]
        assert [bucket.count for bucket in slow] == [9, 1]
        await trio.sleep(400)
        assert room_of(w).commit.count == 0
        assert room_of(w).commit_times == ()
        assert room_of(w).accepted == 10


async def test_what_commits_nothing_has_no_time_of_its_own(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        client.mark(7)
        await trio.sleep(1)
        room = room_of(w)
        assert room.batches == 1
        assert (room.commit.count, room.hand_out.count, room.batch_sizes) == (0, 0, ())
        assert room.commands_per_second == 0


async def test_how_many_commands_share_a_batch(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.SLOW)
        give_all(client, 1)
        await trio.sleep(0.5)
        give_all(client, 2, 3, 4)
        await client.subscriber.wait_replied()
        assert room_of(w).batch_sizes == (Bucket(1, 1), Bucket(2, 0), Bucket(4, 1))


async def test_the_batch_in_hand_and_how_long_nothing_has_moved(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client(3)
        await trio.sleep(10)
        assert room_of(w).batch is None
        assert room_of(w).since_progress == pytest.approx(10)
        w.store.fail(Fault.HANGS)
        client.give(client.command(CreateMemo(7, MEMO, ""), command_id=COMMAND_ID))
        client.mark(7)
        await trio.sleep(4)
        room = room_of(w)
        assert (room.in_hand, room.phase) == (2, Phase.COMMITTING)
        assert room.since_progress == pytest.approx(4)
        assert room.batch is not None
        assert (room.batch.phase, room.batch.marks, room.batch.attempts) == ("committing", 1, 0)
        (command,) = room.batch.commands
        assert (command.command_id, command.kind) == (COMMAND_ID, Kind.CREATE_MEMO)
        assert (command.user_id, command.replied) == (3, False)
        assert MEMO.encode() not in msgspec.json.encode(room)


async def test_the_last_changes(autojump_clock: MockClock) -> None:
    async with world() as w:
        one, other = await w.client(1), await w.client(3)
        for number in range(1, LAST_CHANGES + 1):
            await one.ask(AssignNumber(7, number))
        await other.ask(CreateMemo(8, MEMO, ""), command_id=COMMAND_ID)
        room = room_of(w)
        last, before = room.last_changes[:2]
        assert (last.revision, last.kind, last.command_id) == (21, Kind.CREATE_MEMO, COMMAND_ID)
        assert (last.user_id, last.user_name, last.registration_id) == (3, "user 3", 8)
        assert datetime.now(UTC) - last.at < timedelta(minutes=5)
        assert (before.revision, before.kind, before.user_id) == (20, Kind.ASSIGN_NUMBER, 1)
        assert len(room.last_changes) == LAST_CHANGES
        assert MEMO.encode() not in msgspec.json.encode(room)


async def test_changes_that_were_refused_are_none_of_the_last(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.REFUSED)
        await client.ask(AssignNumber(7, 1))
        assert room_of(w).last_changes == ()


@pytest.mark.parametrize("crash", [False, True])
async def test_a_fence_is_among_the_last_changes(autojump_clock: MockClock, *, crash: bool) -> None:
    async with world() as w:
        client = await w.client()
        if crash:
            w.bugs.at = [Tracepoint.COMMITTING]
        else:
            w.store.fail(Fault.LOST_BEFORE)
        await client.ask(AssignNumber(7, 1))
        await trio.sleep(1)
        kinds = [change.kind for change in reversed(room_of(w).last_changes)]
        assert kinds == ([Kind.FENCE] if crash else [Kind.FENCE, Kind.ASSIGN_NUMBER])
        fence = room_of(w).last_changes[-1]
        assert (fence.revision, fence.user_id, fence.registration_id) == (1, None, None)


async def test_crashes_are_kept_with_their_tracebacks(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        assert room_of(w).crash_history == ()
        for tracepoint in (Tracepoint.JOINING, Tracepoint.COMMITTING):
            w.bugs.at = [tracepoint]
            await w.client(5)
            await client.ask(AssignNumber(7, 1))
            await trio.sleep(1)
        last, first = room_of(w).crash_history
        assert (first.phase, last.phase) == (None, Phase.COMMITTING)
        assert first.error == last.error == room_of(w).last_error == "ZeroDivisionError: a bug"
        assert 'raise ZeroDivisionError("a bug")' in last.traceback
        assert "commits.py" in last.traceback
        assert datetime.now(UTC) - last.at < timedelta(minutes=5)
        assert first.at <= last.at


async def test_only_the_latest_crashes_are_kept(autojump_clock: MockClock) -> None:
    async with world(config=RoomSettings(max_crashes=100)) as w:
        client = await w.client()
        for _ in range(KEPT + 2):
            w.bugs.at = [Tracepoint.TAKEN]
            await client.ask(AssignNumber(7, 1))
            await trio.sleep(10)
        room = room_of(w)
        assert (room.restarts, len(room.crash_history)) == (KEPT + 2, KEPT)
        times = [crash.at for crash in room.crash_history]
        assert times == sorted(times, reverse=True)


async def test_who_is_there(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client(1)
        await trio.sleep(10)
        await w.client(3)
        await trio.sleep(10)
        room = room_of(w)
        assert room.presence is not None
        assert [user.user_id for user in room.presence.users] == [1, 3]
        assert [(each.user_id, each.connected_for) for each in room.subscribers] == [
            (1, 20),
            (3, 10),
        ]


async def test_of_a_very_large_room_some_subscribers_are_shown(autojump_clock: MockClock) -> None:
    async with world() as w:
        for user in range(SHOWN_SUBSCRIBERS + 10):
            await w.client(user)
        room = room_of(w)
        assert room.subscriber_count == SHOWN_SUBSCRIBERS + 10
        assert [each.user_id for each in room.subscribers] == list(range(SHOWN_SUBSCRIBERS))


async def test_while_the_store_is_away_the_room_says_so(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.store.fail(Fault.UNAVAILABLE)
        w.store.fail(*[Fault.UNAVAILABLE] * 5, of="read")
        await client.ask(AssignNumber(7, 1))
        assert room_of(w).store_down
        await trio.sleep(20)
        assert not room_of(w).store_down
