"""What changed shortly before a join goes out behind its rows, for who wants that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from gbs_actor.lineup.commands import AssignNumber, CreateMemo
from gbs_actor.lineup.records import Registration, Stamp
from gbs_actor.rooms import EncodedRow, RoomSettings, RoomState, Snapshot, Tracepoint
from gbs_actor.rooms.recent_changes import RecentChanges, settled_revision

from .peers import Client, Stamped, TestFormat
from .retreats import memory_store
from .world import World, world

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Form(TestFormat):
    """Of clients that are sent recent changes again."""

    repeats_recent = True


async def joined(w: World, since: int | None = None, form: TestFormat | None = None) -> Client:
    client = Client(w.supervisor, 5, form or Form())
    await client.join("winter", since)
    return client


async def test_recent_changes_follow_the_rows_ascending_and_presence_is_last(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        editor = await w.client(1)
        for number in (1, 2, 3):
            await editor.ask(AssignNumber(7, number))
        client = await joined(w)
        first, *changes, last = [message for _, message in client.transcript]
        assert isinstance(first, Snapshot)
        assert isinstance(last, Stamped)
        assert all(isinstance(change, EncodedRow) for change in changes)
        revisions = [row.revision for row in client.updates]
        assert revisions == sorted(revisions)
        assert {row.id for row in client.updates} == set(range(1, 8))
        assert client.rows == editor.rows
        assert client.offset == client.subscriber.sent_revision == 3


async def test_older_changes_do_not(autojump_clock: MockClock) -> None:
    async with world() as w:
        editor = await w.client(1)
        await editor.ask(AssignNumber(7, 1))
        await trio.sleep(60)
        await editor.ask(AssignNumber(6, 2))
        await trio.sleep(61)
        assert {row.revision for row in (await joined(w)).updates} == {2}
        await trio.sleep(60)
        assert (await joined(w)).updates == []


@pytest.mark.parametrize(
    ("since", "form", "seconds"), [(1, Form(), 120), (None, TestFormat(), 120), (None, Form(), 0)]
)
async def test_nothing_follows_for_who_has_a_revision_or_another_format_or_if_it_is_off(
    autojump_clock: MockClock, since: int | None, form: TestFormat, seconds: float
) -> None:
    async with world(config=RoomSettings(recent_changes_time=seconds)) as w:
        editor = await w.client(1)
        await editor.ask(AssignNumber(7, 1))
        assert (await joined(w, since, form)).updates == []


async def test_of_many_the_latest_200_follow(autojump_clock: MockClock) -> None:
    async with world(people=230) as w:
        editor = await w.client(1)
        for person in range(1, 221):
            await editor.ask(CreateMemo(person, "memo", ""))
        client = await joined(w)
        assert [row.revision for row in client.updates] == list(range(21, 221))


async def test_all_who_join_share_what_was_encoded_once(autojump_clock: MockClock) -> None:
    form = Form()
    async with world() as w:
        editor = await w.client(1)
        await editor.ask(AssignNumber(7, 1))
        clients = [await joined(w, form=form) for _ in range(100)]
        assert {len(client.updates) for client in clients} == {3}
        assert form.encodings == 3


async def test_changes_are_recent_also_after_the_room_has_started_anew(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        editor = await w.client(1)
        await editor.ask(AssignNumber(7, 1))
        w.bugs.at.append(Tracepoint.JOINING)
        client = await joined(w)
        assert w.state() is RoomState.RUNNING
        assert {row.id for row in client.updates} == {1, 2, 7}


# Times


def test_a_change_is_recent_for_the_time_and_at_most_a_second_more() -> None:
    recent = RecentChanges(5, 120)
    recent.reached(6, 10.2)
    recent.reached(7, 10.9)
    recent.reached(8, 11.5)
    assert recent.settled(10.9) == 5
    assert recent.settled(130.9) == 5
    assert recent.settled(131.0) == 7
    assert recent.settled(132.0) == 8


async def _registration() -> Registration:
    retreat = await (await memory_store()).load("winter")
    assert retreat is not None
    return replace(retreat.registrations[0], updated_at=NOW)


async def test_a_revision_is_settled_if_a_field_was_changed_by_it_before() -> None:
    old, new = NOW - timedelta(minutes=5), NOW
    registration = await _registration()
    recently = replace(
        registration,
        row_revision=9,
        number_stamp=Stamp(revision=4, at=old),
        memo_stamp=Stamp(revision=8, at=new),
    )
    assert settled_revision([recently], NOW - timedelta(minutes=2)) == 4
    assert settled_revision([replace(recently, updated_at=old)], NOW - timedelta(minutes=2)) == 9
    assert settled_revision([], NOW) == 0
