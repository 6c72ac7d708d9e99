"""A change of a thousand registrations, at pages in both forms, most of which do not read."""

from __future__ import annotations

import json
from dataclasses import replace as changed
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
import trio
from msgspec.structs import replace

from gbs_actor.gateway.format import EventFormat
from gbs_actor.gateway.plain.frame import PlainFormat
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import AssignNumber, Author, Command, Kind
from gbs_actor.lineup.records import Group, Retreat, Stamp
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSettings, Subscriber
from gbs_actor.rooms.batch import Batch, Phase, Step
from gbs_actor.rooms.fan_out import FanOut
from gbs_actor.rooms.freshness import Freshness
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.mailbox import Submission
from gbs_actor.rooms.recent_changes import RecentChanges
from gbs_actor.rooms.rows import EncodedRows
from gbs_actor.rooms.slow_commands import SlowCommands
from gbs_actor.rooms.subscriptions import Subscriptions
from tests.gateway.simulated_sink import ENDLESS, SimulatedSink
from tests.rooms.peers import Rows, apply
from tests.rooms.retreats import memory_store
from tests.rooms.test_costs import counted_steps

PEOPLE = 1_000
GROUPS = 125
PAGES = 50
LONGEST_STEP = 120_000
"""Calls of functions, some 9 ms. Without a checkpoint it would be seven times as many."""
AUTHOR = Author(7, "김간사", 7)
FORMATS = PlainFormat(), PlainFormat(batched=True)


class Page(SimulatedSink):
    """A page that merges what it has read."""

    def __init__(self, form: EventFormat, board: Board, *, reads: bool) -> None:
        super().__init__(form, direct=True, room=ENDLESS if reads else 0)
        self.rows: Rows = {it.id: json.loads(msgspec.json.encode(it)) for it in board.rows()}
        self.events = 0

    def read(self) -> None:
        self.wire.room = ENDLESS
        while self.outbox.write_some():
            pass
        for text in self.wire.frames():
            frame = json.loads(text)
            self.events += 1
            if frame["event"] == "lineup-updated":
                self.rows[frame["data"]["id"]] = frame["data"]
            else:
                apply(self.rows, frame["data"])


def move_all(retreat: Retreat) -> tuple[Retreat, Change]:
    """Put everybody into another group by one change."""
    revision, now = retreat.revision + 1, datetime.now(UTC)
    moved = tuple(
        replace(
            registration,
            gbs_number=1 + (number * 7 + revision) % GROUPS,
            number_stamp=Stamp(revision, AUTHOR.user_id, AUTHOR.name, now),
            updated_at=now,
        )
        for number, registration in enumerate(retreat.registrations)
    )
    groups = {number: Group(number, "", revision) for number in range(1, GROUPS + 1)}
    after = changed(retreat, registrations=moved, groups=groups, revision=revision)
    rows = tuple(Board(after).rows())
    change = Change(
        revision=revision,
        command_id=uuid4(),
        author=AUTHOR,
        kind=Kind.ASSIGN_NUMBER,
        at=now,
        request=b"",
        registration_id=rows[0].id,
        registrations=moved,
        groups=tuple(groups.values()),
        rows=rows,
        row=rows[0],
    )
    return after, change


@pytest.mark.parametrize("reads", [True, False])
async def test_a_change_of_a_thousand_rows_reaches_everybody_and_lets_others_run(
    reads: bool,
) -> None:
    store = await memory_store(people=PEOPLE)
    retreat = await store.load("winter")
    assert retreat is not None
    board = Board(retreat)
    handle = RoomHandle(
        "winter",
        RoomSettings(),
        OperatorEvents(),
        SlowCommands(1.0),
        freshness=Freshness(store),
    )
    handle.rows = EncodedRows(board, RecentChanges(0, 0))
    fan_out = FanOut(handle, Subscriptions(handle), lambda _: None)
    pages = [Page(FORMATS[number % 2], board, reads=reads) for number in range(PAGES)]
    for page in pages:
        subscriber = Subscriber(page, AUTHOR)
        subscriber.enter(handle)
        handle.subscribers[subscriber] = None
    with counted_steps() as steps:
        for _ in range(2):
            retreat, change = move_all(retreat)
            command = Command(AssignNumber(1, 1), AUTHOR, change.command_id)
            work = Submission(command, lambda _: None, None, 0.0, handle)
            batch = Batch([Step(work, change)], Phase.COMMITTED, retreat.revision - 1, (change,))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fan_out.apply_and_send, batch, name="room winter")
    assert steps.longest < LONGEST_STEP
    listed = {it.id: json.loads(msgspec.json.encode(it)) for it in board.rows()}
    own = {each.id: each.revision for each in retreat.registrations}
    assert {row["revision"] for row in listed.values()} == set(own.values()) == {2}
    for page in pages:
        page.read()
        assert page.rows == listed
    # Who reads gets each change as one event, who does not the last state of each part.
    assert {page.events for page in pages[1::2]} == {2 if reads else PEOPLE + GROUPS}
