"""What rooms take of the loop: steps of bounded length, and nothing that nobody is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Accepted, EncodedRow, RoomSettings, encoded
from gbs_actor.testing.store import Fault

from .peers import Client, TestFormat, Updates
from .world import World, give_all, world

PEOPLE = 200
LONGEST_STEP = 15_000
"""Calls of functions, some 2 ms. In one step, a batch of 256 moves in groups of a hundred
people would take some 400,000."""


class Quiet(Client):
    """Does not read what it gets: whatever is counted is the room's work."""

    def deliver(self, message: object) -> None:
        pass


class Steps(trio.abc.Instrument):
    """Counts the calls of functions in each step of the rooms' tasks, from one to the next
    time that they let other tasks run."""

    def __init__(self) -> None:
        self.longest = 0
        self._calls = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.name.startswith("room "):
            self._calls = 0
            sys.setprofile(self._count)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        sys.setprofile(None)
        if task.name.startswith("room "):
            self.longest = max(self.longest, self._calls)

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self._calls += 1


@contextmanager
def counted_steps() -> Iterator[Steps]:
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        yield steps
    finally:
        trio.lowlevel.remove_instrument(steps)


async def longest_step(w: World, moves: int, clients: list[Client]) -> int:
    """Let the clients move people between two groups of a hundred, in one batch."""
    author = clients[0]
    for person in range(7, PEOPLE):
        author.give(author.command(AssignNumber(person, 1 + person % 2)))
    await author.subscriber.wait_replied()
    w.store.fail(Fault.SLOW)
    author.give(author.command(AssignNumber(7, 9)))
    await trio.sleep(0.5)
    with counted_steps() as steps:
        for n in range(moves):
            client = clients[n % len(clients)]
            client.give(client.command(AssignNumber(8 + n % 150, 2 - n % 2)))
        for client in clients:
            await client.subscriber.wait_replied()
    room = w.supervisor.room_statistics("winter")
    assert room is not None
    assert room.batch_largest >= moves
    return steps.longest


@pytest.mark.parametrize("authors", [1, 5])
async def test_a_large_batch_in_large_groups_lets_others_run_in_between(
    autojump_clock: MockClock, authors: int
) -> None:
    async with world(people=PEOPLE) as w:
        forms = [TestFormat() for _ in range(3)]
        clients: list[Client] = []
        for n in range(authors + 6):
            clients.append(Quiet(w.supervisor, n + 1, forms[n % 3]))
            await clients[-1].join("winter")
        assert await longest_step(w, 256, clients[:authors]) < LONGEST_STEP


async def test_a_fan_out_to_many_lets_others_run_in_between(autojump_clock: MockClock) -> None:
    async with world(config=RoomSettings(deliveries_per_yield=100)) as w:
        clients = [Quiet(w.supervisor, n + 1) for n in range(1_500)]
        for client in clients:
            await client.join("winter")
        await trio.sleep(5)
        with counted_steps() as steps:
            await clients[0].ask(AssignNumber(7, 1))
        assert steps.longest < 5_000


async def test_a_room_that_somebody_leaves_during_its_fan_out_sends_nothing_more_to_them(
    autojump_clock: MockClock,
) -> None:
    class Leaving(TestFormat):
        """Its client joins another room while its rows are being written."""

        def update(self, row: EncodedRow) -> Updates:
            if not self.encodings:
                nursery.start_soon(leaver.join, "summer")
            return super().update(row)

    config = RoomSettings(deliveries_per_yield=1)
    async with world("winter", "summer", people=60, config=config) as w:
        author = await w.client(1)
        for person in range(7, 60):
            author.give(author.command(AssignNumber(person, 9)))
        await author.subscriber.wait_replied()
        leaver = Client(w.supervisor, 2, Leaving())
        await leaver.join("winter")
        await Client(w.supervisor, 3, TestFormat()).join("summer")  # so that its rows are encoded
        async with trio.open_nursery() as nursery:
            await author.ask(AssignNumber(60, 9))
            await trio.sleep(1)
        assert leaver.subscriber.room_slug == "summer"
        assert leaver.updates == []


async def test_a_summary_asks_no_subscriber_for_its_statistics(autojump_clock: MockClock) -> None:
    class Asked(Client):
        times = 0

        def statistics(self) -> Any:
            Asked.times += 1
            return super().statistics()

    async with world() as w:
        for n in range(3):
            await Asked(w.supervisor, n + 1).join("winter")
        (room,) = w.supervisor.statistics().rooms
        assert (room.subscriber_count, Asked.times) == (3, 0)
        assert w.supervisor.room_statistics("winter") is not None
        assert Asked.times == 3


class CountingEncoder:
    """Counts the rows encoded."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.rows = 0

    def encode(self, row: object) -> bytes:
        self.rows += 1
        json: bytes = self._encoder.encode(row)
        return json


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> CountingEncoder:
    counting = CountingEncoder(encoded._encoder)
    monkeypatch.setattr(encoded, "_encoder", counting)
    return counting


async def test_rows_that_nobody_is_sent_are_not_encoded(
    autojump_clock: MockClock, encoder: CountingEncoder
) -> None:
    async with world() as w:
        client = Client(w.supervisor)
        answers: list[Accepted | Rejection] = []
        w.supervisor.submit_to("winter", client.command(AssignNumber(7, 1)), answers.append)
        await trio.sleep(1)
        assert isinstance(answers[0], Accepted)
        assert (len(answers[0].rows), encoder.rows) == (3, 0)
        assert answers[0].row is not None
        assert (answers[0].row.json, encoder.rows) == (answers[0].rows[-1].json, 1)


async def test_only_the_last_state_of_a_row_is_encoded_for_a_batch_of_others(
    autojump_clock: MockClock, encoder: CountingEncoder
) -> None:
    async with world() as w:
        viewers = [await w.client(n) for n in (1, 2)]
        encoder.rows = 0
        outside = Client(w.supervisor, 3)
        w.store.fail(Fault.SLOW)
        for number in (1, 2, 3, None):
            command = outside.command(AssignNumber(7, number))
            w.supervisor.submit_to("winter", command, lambda answer: None)
        await trio.sleep(5)
        # All six of the three groups, and person 7.
        assert [len(viewer.updates) for viewer in viewers] == [7, 7]
        assert encoder.rows == 7


async def test_a_format_that_nobody_speaks_any_more_writes_nothing(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings()) as w:
        form = TestFormat()
        gone = Client(w.supervisor, 2, form)
        await gone.join("winter")
        w.supervisor.leave(gone.subscriber)
        author = await w.client(1)
        await author.ask(AssignNumber(7, 1))
        assert form.encodings == 0


async def test_who_leaves_behind_its_reply_is_sent_no_rows_of_the_same_batch_after_that(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(deliveries_per_yield=1)
    async with world("winter", "summer", config=config) as w:
        author, other = await w.client(1), await w.client(2)
        await w.client(3, "summer")
        w.store.fail(Fault.SLOW)
        give_all(other, 1)
        async with trio.open_nursery() as nursery:
            await trio.sleep(0.1)
            pending = give_all(author, 2)
            give_all(other, 3, 1, 2)
            nursery.start_soon(author.join, "summer")
            await trio.sleep(5)
        assert isinstance(pending[0].answers[0], Accepted)
        assert author.subscriber.room_slug == "summer"
        kinds = [type(message).__name__ for _, message in author.transcript]
        joined = len(kinds) - 1 - kinds[::-1].index("Snapshot")
        assert "EncodedRow" in kinds[:joined]
        assert "EncodedRow" not in kinds[joined:]


async def test_the_version_of_a_room_is_made_once_a_revision(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        (room,) = w.supervisor._handles.values()
        before = room.version
        assert before is not None
        assert room.version is before
        await client.ask(AssignNumber(7, 1))
        assert room.version == replace(before, revision=1)
        assert room.version is room.version
