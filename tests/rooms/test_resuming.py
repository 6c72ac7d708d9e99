"""Coming back to a room on a new connection, under a mock clock."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Done, RoomState
from gbs_actor.testing.store import Fault

from .peers import Client, Stamped, TestFormat
from .world import World, code, world


async def resumed(
    client: Client, since: int, *, slug: str = "winter", epoch: str | None = None
) -> Done | Rejection:
    """Lose the connection and resume from a revision on."""
    assert client.place is not None
    client.hang_up()
    return await client.supervisor.resume(
        slug, client.subscriber, since=since, epoch=client.place.epoch if epoch is None else epoch
    )


async def three_edits(w: World) -> Client:
    """Let somebody make three edits, each to one person and their group."""
    editor = await w.client(9)
    for number in (1, 2, 3):
        await editor.ask(AssignNumber(7, number))
    return editor


async def test_who_comes_back_gets_what_was_missed_ascending_and_is_in_the_room(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        editor = await three_edits(w)
        client.updates.clear()
        assert await resumed(client, 1) == Done(3)
        revisions = [row.revision for row in client.updates]
        assert revisions == sorted(revisions)
        assert set(revisions) == {2, 3}  # whatever changed at 1 has changed again
        assert client.rows == editor.rows
        await editor.ask(AssignNumber(8, 1))
        assert client.rows == editor.rows
        assert client.subscriber.sent_revision == 4


async def test_a_cut_within_a_revision_loses_nothing(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        client.reading = False
        editor = await w.client(9)
        await editor.ask(AssignNumber(7, 1))  # three rows under one revision
        client.hang_up()  # the first of them has arrived
        client.reading = True
        assert client.offset == 1
        assert client.rows != editor.rows
        assert isinstance(await client.come_back(), Done)
        assert client.rows == editor.rows


async def test_who_resumes_shows_in_presence(autojump_clock: MockClock) -> None:
    async with world() as w:
        client, other = await w.client(1), await w.client(2)
        client.hang_up()
        await trio.sleep(1)
        assert other.presences[-1].total == 1
        await client.come_back()
        await trio.sleep(1)
        assert other.presences[-1].total == 2


async def test_what_was_missed_is_encoded_in_the_format_of_who_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        form = TestFormat()
        client = Client(w.supervisor, 1, form)
        await client.join("winter")
        await trio.sleep(1)
        await three_edits(w)
        form.encodings = 0
        client.updates.clear()
        await resumed(client, 1)
        assert form.encodings == len(client.updates) > 0


async def test_a_revision_that_is_yet_to_come_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        answer = await resumed(client, 1)
        assert code(answer) is Code.VALIDATION_FAILED
        assert client.subscriber.room is None


async def test_another_epoch_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        answer = await resumed(client, 0, epoch="another")
        assert code(answer) is Code.VALIDATION_FAILED
        assert client.subscriber.room is None
        room = w.supervisor.room_statistics("winter")
        assert room is not None
        assert room.subscribers == ()


async def test_a_retreat_that_is_gone_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        assert code(await resumed(client, 0, slug="gone")) is Code.RETREAT_NOT_FOUND


async def test_it_waits_for_a_room_that_has_to_start(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        editor = await three_edits(w)
        client.hang_up()
        w.supervisor.disconnect(editor.subscriber)
        await trio.sleep(100)  # idle: the room has stopped
        assert w.state() is None
        w.store.fail(Fault.SLOW, of="read")
        assert isinstance(await client.come_back(), Done)
        assert w.state() is RoomState.RUNNING
        assert client.rows == editor.rows


async def test_given_up_it_is_not_carried_out(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        client.hang_up()
        await trio.sleep(100)
        w.store.fail(Fault.SLOW, of="read")
        with trio.move_on_after(0.5) as patience:
            await client.come_back()
        assert patience.cancelled_caught
        await trio.sleep(5)
        assert client.subscriber.room is None


async def test_who_is_gone_again_is_not_taken_in(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        client.hang_up()
        w.supervisor.disconnect(client.subscriber)
        assert isinstance(await client.come_back(), Rejection)
        assert client.subscriber.room is None


async def test_what_a_client_knows_of_former_rooms_is_remembered(
    autojump_clock: MockClock,
) -> None:
    async with world("winter", "summer") as w:
        client = await w.client()
        assert client.subscriber.known_elsewhere == -1
        await three_edits(w)
        await client.join("summer")
        assert client.subscriber.known_elsewhere == 3
        assert client.subscriber.sent_revision == 0
        w.supervisor.leave(client.subscriber)
        await trio.sleep(1)
        assert client.subscriber.known_elsewhere == 3


async def test_who_comes_back_is_sent_presence_behind_the_rows(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(1)
        await three_edits(w)
        client.transcript.clear()
        assert await resumed(client, 1) == Done(3)
        *rows, presence = [message for _, message in client.transcript]
        assert rows
        assert isinstance(presence, Stamped)
        assert client.offset == 3
