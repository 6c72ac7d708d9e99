"""When a bus sends presence, and what becomes of it where messages or connections are lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.bus import Hint, NodeMessage
from gbs_actor.bus.node_bus import HEARTBEAT, PRESENCE_SIZE, NodeBus
from gbs_actor.bus.presence import ConnectionMark, Mark, People, Person, Request
from gbs_actor.bus.serials import MAX_REPLACED, SILENT_AFTER
from tests.bus.hub import EPOCH, INTERVAL, Hub, HubChannel, settled, started

PEOPLE = People(12, 2, (Person(1, "가", 1), Person(2, "나", 3)), (5,))
MARK = ConnectionMark(12, 5, Mark(7, "memo", 1, 1, "가"))


class Listening:
    """A bus, and what it was told of presence."""

    def __init__(self, bus: NodeBus) -> None:
        self.bus = bus
        self.heard: list[NodeMessage] = []
        bus.listen(self.heard.append)

    @property
    def people(self) -> list[People]:
        return [people for message in self.heard for people in message.people]

    @property
    def marks(self) -> list[ConnectionMark]:
        return [mark for message in self.heard for mark in message.editing]


@pytest.fixture
def hub() -> Hub:
    return Hub()


@asynccontextmanager
async def listening(*buses: NodeBus) -> AsyncIterator[list[Listening]]:
    """Run buses until they have heard of each other."""
    nodes = [Listening(bus) for bus in buses]
    async with trio.open_nursery() as nursery:
        await started(nursery, *buses)
        await trio.sleep(1.5 * HEARTBEAT)
        for node in nodes:
            node.heard.clear()
        yield nodes
        nursery.cancel_scope.cancel()


@pytest.fixture
async def pair(hub: Hub) -> AsyncIterator[list[Listening]]:
    async with listening(hub.bus("a"), hub.bus("b")) as nodes:
        hub.sent.clear()
        yield nodes


async def test_presence_reaches_the_other_nodes_at_once_and_not_its_own(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    now = trio.current_time()
    pair[0].bus.send(PEOPLE)
    pair[0].bus.send(MARK)
    pair[0].bus.publish(1, EPOCH, 5)
    await settled()
    (message,) = pair[1].heard
    assert (message.node, message.gap, message.restarted, message.leaves) == ("a", *[False] * 3)
    assert (message.people, message.editing, message.requested) == ((PEOPLE,), (MARK,), ())
    assert (await pair[1].bus.next()).latest == (Hint(1, EPOCH, 5),)
    assert pair[0].heard == []
    assert [when for when, _ in hub.sent] == [now]


async def test_only_those_who_are_asked_get_a_request(autojump_clock: MockClock, hub: Hub) -> None:
    async with listening(*map(hub.bus, "abc")) as (a, b, c):
        a.bus.send(Request(("b", "z"), (12, 13)))
        await settled()
        assert [message.requested for message in b.heard] == [(12, 13)]
        assert [message.requested for message in c.heard] == [()]


async def test_much_presence_is_spread_and_hints_do_not_wait_for_it(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    users = tuple(Person(10_000_000 + n, "남궁민수", 1) for n in range(100))
    start = trio.current_time()
    for retreat in range(100):
        pair[0].bus.send(People(retreat, 100, users))
    await trio.sleep(1.5 * INTERVAL)
    pair[0].bus.publish(1, EPOCH, 5)
    assert pair[0].bus.statistics().pending_presence > 50
    await trio.sleep(INTERVAL)
    assert (await pair[1].bus.next()).latest == (Hint(1, EPOCH, 5),)
    await trio.sleep(2)
    assert [people.retreat_id for people in pair[1].people] == list(range(100))
    assert not any(message.gap for message in pair[1].heard)
    busy = [(when, messages) for when, messages in hub.sent if len(messages) > 1]
    assert all(sum(map(len, messages)) < PRESENCE_SIZE + 7_000 for _, messages in busy)
    assert busy[-1][0] - start >= (len(busy) - 1) * INTERVAL


async def test_what_is_sent_while_the_bus_is_down_is_a_gap_later_and_nothing_waits(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    first, second = pair
    hub.refuses = "down"
    hub.cut("a")
    await settled()
    for number in range(1_000):
        first.bus.send(ConnectionMark(12, number))
    assert first.bus.statistics().pending_presence == 0
    await trio.sleep(30)
    hub.refuses = None
    await trio.sleep(5)
    assert second.heard[0].gap
    assert not any(message.gap for message in second.heard[1:])
    assert second.marks == []


async def test_what_waits_when_the_connection_ends_is_a_gap(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    first, second = pair
    first.bus.send(PEOPLE)
    await settled()
    first.bus.send(MARK)  # waits for the interval
    hub.cut("a")
    await trio.sleep(2 * HEARTBEAT)
    assert [message.gap for message in second.heard[:2]] == [False, True]
    assert second.marks == []


async def test_a_lost_message_is_a_gap_and_a_late_or_double_one_is_left_out(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    first, second = pair
    late: list[bytes] = []
    hub.deliver = lambda channel, data: late.append(data) if channel.name == "b" else None
    first.bus.send(PEOPLE)
    await settled()
    hub.deliver = HubChannel.pass_on
    first.bus.send(People(12))
    await trio.sleep(2 * INTERVAL)
    hub.inject(late[0])
    await settled()
    assert second.people == [People(12)]
    assert [message.gap for message in second.heard] == [True]


async def test_a_serial_far_ahead_is_forgotten_once_nothing_newer_has_come_for_some_time(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    first, second = pair
    await trio.sleep(1.5 * HEARTBEAT)
    run = next(message.run for message in hub.messages if message.node == "a")
    hub.inject(b'{"v":1,"node":"a","serial":%d,"run":"%s"}' % (2**62, run.encode()))
    second.heard.clear()
    await trio.sleep(SILENT_AFTER + 3 * HEARTBEAT)
    assert [message.gap for message in second.heard[:2]] == [True, False]
    first.bus.send(PEOPLE)
    await trio.sleep(2 * INTERVAL)
    assert second.people == [PEOPLE]


async def test_another_process_of_the_name_has_restarted(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    hub.cut("a")
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.bus("a").run)
        await settled()
        assert any(message.gap and message.restarted for message in pair[1].heard)
        nursery.cancel_scope.cancel()


async def test_a_process_that_another_one_of_its_name_has_replaced_does_not_count(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    frozen, other = pair
    async with trio.open_nursery() as nursery:
        later = hub.bus("a")
        await nursery.start(later.run)
        await trio.sleep(2 * HEARTBEAT)  # both go on
        assert [message.restarted for message in other.heard].count(True) == 1
        other.heard.clear()
        frozen.bus.send(PEOPLE)
        later.send(MARK)
        frozen.bus.publish(1, EPOCH, 5)
        await trio.sleep(2 * HEARTBEAT)
        assert (other.people, other.marks) == ([], [MARK])
        assert not any(message.gap for message in other.heard)
        assert (await other.bus.next()).latest == (Hint(1, EPOCH, 5),)  # it is true, whoever knows
        nursery.cancel_scope.cancel()
    await trio.sleep(SILENT_AFTER + HEARTBEAT)
    frozen.bus.send(PEOPLE)
    await trio.sleep(2 * INTERVAL)
    assert other.people == [PEOPLE]  # it has its name again
    assert [message.restarted for message in other.heard].count(True) == 1


async def test_a_process_that_is_replaced_often_is_forgotten_at_some_point(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    message = b'{"v":1,"node":"z","serial":1,"run":"%d"}'
    for run in range(MAX_REPLACED + 2):
        hub.inject(message % run)
    heard = len(pair[1].heard)
    for run in range(1, MAX_REPLACED + 1):
        hub.inject(message % run)
    assert len(pair[1].heard) == heard
    hub.inject(message % 0)
    assert len(pair[1].heard) == heard + 1


async def test_a_node_sends_nothing_while_it_may_not_use_its_name(
    autojump_clock: MockClock, hub: Hub
) -> None:
    may_send = True
    a, b = hub.bus("a", may_send=lambda: may_send), hub.bus("b")
    async with listening(a, b) as (_, other):
        may_send = False
        a.send(PEOPLE)
        a.publish(1, EPOCH, 5)
        await trio.sleep(5 * HEARTBEAT)
        assert other.heard == []
        may_send = True
        await trio.sleep(2 * INTERVAL)
        assert other.people == [PEOPLE]
        assert [message.gap for message in other.heard] == [False]
        assert (await other.bus.next()).latest == (Hint(1, EPOCH, 5),)
        may_send = False
        await a.leave()
        assert not any(message.leaves for message in other.heard)


async def test_a_node_that_leaves_is_not_heard_of_again(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    first, second = pair
    first.bus.send(PEOPLE)
    await first.bus.leave()
    assert second.heard[-1].leaves
    heard = len(second.heard)
    first.bus.send(PEOPLE)
    await trio.sleep(5 * HEARTBEAT)
    assert len(second.heard) == heard


async def test_to_leave_holds_up_nobody_where_the_bus_is_down_or_goes_down(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    hub.silent = True
    with trio.fail_after(10):
        await pair[0].bus.leave()
        assert not pair[0].bus.statistics().connected
        await pair[0].bus.leave()


async def test_a_node_of_the_version_before_is_no_source_of_presence(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    hub.inject(b'{"v":1,"node":"z","serial":1,"hints":[[1,"e",9]]}')
    assert (await pair[1].bus.next()).latest == (Hint(1, "e", 9),)
    assert pair[1].heard == []


async def test_the_version_before_reads_the_hints_of_a_message_with_presence(
    autojump_clock: MockClock, hub: Hub, pair: list[Listening]
) -> None:
    pair[0].bus.publish(12, EPOCH, 5)
    pair[0].bus.send(PEOPLE)
    await settled()
    ((_, (data,)),) = hub.sent
    fields = json.loads(data)
    assert (fields["v"], fields["node"]) == (1, "a")
    assert fields["hints"] == [[12, EPOCH, 5]]
