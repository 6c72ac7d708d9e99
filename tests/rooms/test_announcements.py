"""What other servers are sent of the rooms of a node that has many of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from gbs_actor.bus.node_bus import HEARTBEAT, NodeBus
from gbs_actor.bus.presence import MAX_MARKS, ConnectionMark, People
from gbs_actor.bus.protocol import NodeMessage
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSettings, RoomSupervisor
from gbs_actor.rooms.announcements import MAX_ABSENT, Announcements
from gbs_actor.rooms.freshness import Freshness
from gbs_actor.rooms.handle import RoomHandle
from gbs_actor.rooms.node_link import TOGETHER
from gbs_actor.rooms.slow_commands import SlowCommands
from gbs_actor.testing.store import SimStore
from tests.bus.hub import Hub, started

from .peers import Client

RECORDS = MAX_ABSENT - 1
"""That wait for the bus, at most."""


class Heard:
    """What another server hears."""

    def __init__(self, bus: NodeBus) -> None:
        self.people: list[People] = []
        self.marks: list[ConnectionMark] = []
        self.gaps = 0
        bus.listen(self._hear)

    def _hear(self, message: NodeMessage) -> None:
        self.people += message.people
        self.marks += message.editing
        self.gaps += message.gap


@asynccontextmanager
async def announcing() -> AsyncIterator[tuple[Announcements, Heard]]:
    """Send what is due, again and again, to a server that has heard of this one."""
    hub = Hub()
    here, there = hub.bus("a", limit=RECORDS), hub.bus("b")
    heard, announcements = Heard(there), Announcements(here)

    async def send() -> None:
        while True:
            announcements.send_due(trio.current_time())
            await trio.sleep(TOGETHER)

    async with trio.open_nursery() as nursery:
        await started(nursery, here, there)
        await trio.sleep(1.5 * HEARTBEAT)
        heard.gaps = 0
        nursery.start_soon(send)
        yield announcements, heard
        nursery.cancel_scope.cancel()


def room(slug: str) -> RoomHandle:
    """Return a room in which as many edit as others are sent."""
    store = SimStore()
    supervisor, freshness = RoomSupervisor(store), Freshness(store)
    handle = RoomHandle(
        slug, RoomSettings(), OperatorEvents(), SlowCommands(0), freshness=freshness
    )
    for number in range(MAX_MARKS):
        subscriber = Client(supervisor, number + 1).subscriber
        subscriber.number = number + 1
        handle.subscribers[subscriber] = None
        handle.marks.begin(subscriber, number + 1, "memo", trio.current_time())
    return handle


def mark_all(announcements: Announcements, handle: RoomHandle) -> None:
    """Send the marks of a room."""
    while changes := handle.marks.changes():
        announcements.send_marks(handle.slug, changes)
        handle.marks.sent(changes, trio.current_time())


async def test_more_than_may_wait_is_sent_in_parts_where_another_server_asks(
    autojump_clock: MockClock,
) -> None:
    count = RECORDS // MAX_MARKS + 10
    async with announcing() as (announcements, heard):
        for retreat_id in range(count):
            handle = room(str(retreat_id))
            announcements.open(retreat_id, handle)
            mark_all(announcements, handle)
            await trio.sleep(0.2)
        await trio.sleep(3)
        heard.people.clear()
        heard.marks.clear()
        announcements.ask(range(count))
        await trio.sleep(0.2)
        announcements.ask(range(count))  # those that are still to come are not sent twice
        await trio.sleep(10)
        assert heard.gaps == 0
        assert len({each.retreat_id for each in heard.people}) == count
        marked = {(each.retreat_id, each.connection) for each in heard.marks}
        assert len(marked) == count * MAX_MARKS > RECORDS
        assert len(heard.people) < 1.5 * count


async def test_that_rooms_are_not_here_is_sent_in_parts_too(autojump_clock: MockClock) -> None:
    async with announcing() as (announcements, heard):
        announcements.ask(range(2 * MAX_ABSENT))
        await trio.sleep(3)
        assert [each.retreat_id for each in heard.people] == list(range(MAX_ABSENT))
        announcements.ask(range(MAX_ABSENT, 2 * MAX_ABSENT))  # which comes again
        await trio.sleep(3)
        assert heard.people == list(map(People, range(2 * MAX_ABSENT)))
        assert heard.gaps == 0


async def test_a_room_that_is_opened_before_it_is_sent_that_it_is_not_here_is_sent(
    autojump_clock: MockClock,
) -> None:
    async with announcing() as (announcements, heard):
        announcements.ask(range(MAX_ABSENT))
        handle = room("opened")
        announcements.open(0, handle)
        mark_all(announcements, handle)
        await trio.sleep(3)
        (shown,) = [each for each in heard.people if each.retreat_id == 0]
        assert len(shown.marked) == shown.total == MAX_MARKS
