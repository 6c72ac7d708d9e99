"""Who is in a room on other servers, and what they edit, as those here see it."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise

import trio
from trio.testing import MockClock

from gbs_actor.bus.message import read
from gbs_actor.bus.presence import MAX_MARKS, MAX_NODES
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Editing, Presence, RoomSettings, RoomSupervisor, Tracepoint
from tests.bus.hub import Hub, HubChannel, settled

from .nodes import nodes
from .peers import Bundle, Client, Stamped

Here = dict[int, int]
Marks = set[tuple[int, int, str | None]]


def people(client: Client) -> Here:
    """Return the connections of each user, as a client was sent them last."""
    presence = client.presences[-1]
    assert presence.total == len(presence.users)
    return {user.user_id: user.connections for user in presence.users}


def marks(client: Client) -> Marks:
    """Return the marks that a client shows: those that presence has, begun and ended since."""
    shown: Marks = set()
    for _, message in client.transcript:
        for part in message.parts if isinstance(message, Bundle) else (message,):
            payload = part.payload if isinstance(part, Stamped) else None
            if isinstance(payload, Presence):
                shown = marks_in(payload)
            elif isinstance(payload, Editing):
                mark = (payload.user_id, payload.lineup_id, payload.field)
                if payload.editing:
                    shown.add(mark)
                else:
                    shown.discard(mark)
    return shown


def marks_in(presence: Presence) -> Marks:
    return {
        (user.user_id, edited.lineup_id, edited.field)
        for user in presence.users
        for edited in user.editing
    }


def marks_of_presence(client: Client) -> Marks:
    """Return the marks that the last presence has, the client's own among them."""
    return marks_in(client.presences[-1])


async def test_those_on_all_servers_are_shown_to_all(autojump_clock: MockClock) -> None:
    async with nodes(3, hub=Hub()) as (a, b, c):
        clients = [await a.client(1), await b.client(2), await b.client(1), await c.client(3)]
        await trio.sleep(5)
        for client in clients:
            assert people(client) == {1: 2, 2: 1, 3: 1}
        a.supervisor.disconnect(clients[0].subscriber)
        await trio.sleep(5)
        for client in clients[1:]:
            assert people(client) == {1: 1, 2: 1, 3: 1}
        assert [node.supervisor.counts().other_servers for node in (a, b, c)] == [2, 2, 2]


async def test_one_who_joins_a_room_that_starts_is_sent_who_is_elsewhere(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub()) as (a, b):
        await a.client(1)
        await trio.sleep(60)
        late = await b.client(2)
        await trio.sleep(1)
        assert people(late) == {1: 1, 2: 1}
        later = await b.client(3)
        assert people(later) == {1: 1, 2: 1, 3: 1}  # with the answer to the join


async def test_a_mark_is_shown_on_other_servers_and_so_is_its_end(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub()) as (a, b):
        author, other = await a.client(1), await b.client(2)
        await trio.sleep(3)
        author.mark(7, "memo")
        await trio.sleep(0.05)
        (begun,) = other.editings
        assert (begun.lineup_id, begun.field, begun.editing) == (7, "memo", True)
        assert (begun.user_id, begun.user_name) == (1, "user 1")
        assert author.editings == []
        await trio.sleep(1)
        assert marks_of_presence(other) == marks_of_presence(author) == {(1, 7, "memo")}
        author.mark(8, "memo")
        await trio.sleep(0.5)
        assert marks(other) == {(1, 8, "memo")}
        author.mark(8, "memo", on=False)
        await trio.sleep(0.5)
        assert marks(other) == set()
        await trio.sleep(1)
        assert marks_of_presence(other) == set()


async def test_a_mark_that_is_not_renewed_ends_on_all_servers_and_one_that_is_stays(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub()) as (a, b):
        author, renewing, other = await a.client(1), await a.client(2), await b.client(3)
        await trio.sleep(3)
        author.mark(7, "memo")
        for _ in range(5):
            renewing.mark(8, "memo")
            await trio.sleep(5)
        assert marks(other) == {(2, 8, "memo")}


async def test_a_room_that_starts_is_sent_the_marks_that_there_are(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub()) as (a, b):
        author = await a.client(1)
        await trio.sleep(20)
        author.mark(7, "memo")
        await trio.sleep(5)
        other = await b.client(2)
        await trio.sleep(1)
        assert marks(other) == {(1, 7, "memo")}


async def test_a_server_that_ends_takes_its_people_and_marks_with_it_at_once(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(1, hub=hub) as (a,):
        client = await a.client(1)
        ending = RoomSupervisor(a.store.elsewhere(), bus=hub.bus("z"))
        async with ending.running():
            other = Client(ending, 2)
            await other.join("winter")
            other.mark(7)
            await trio.sleep(5)
            assert people(client) == {1: 1, 2: 1}
            assert marks(client) == {(2, 7, "gbsNumber")}
        await trio.sleep(1)
        assert people(client) == {1: 1}
        assert marks(client) == set()


async def test_a_server_that_is_not_heard_of_takes_its_people_and_marks_with_it(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    config = RoomSettings(editing_timeout=60)
    async with nodes(2, hub=hub, config=config) as (a, b):
        client, other = await a.client(1), await b.client(2)
        other.mark(7)
        await trio.sleep(5)
        assert people(client) == {1: 1, 2: 1}
        hub.deliver = lambda channel, data: None if b'"1"' in data else channel.pass_on(data)
        await trio.sleep(8)
        assert people(client) == {1: 1, 2: 1}
        await trio.sleep(3)
        assert people(client) == {1: 1}
        assert marks(client) == set()
        assert a.supervisor.counts().other_servers == 0
        assert people(other) == {1: 1, 2: 1}  # it hears the other


async def test_a_server_that_was_frozen_is_shown_again_and_goes_again(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(2, hub=hub) as (a, b):
        client = await a.client(1)
        await b.client(2)
        await trio.sleep(5)
        for _ in range(2):
            assert people(client) == {1: 1, 2: 1}
            hub.frozen.add("1")
            await trio.sleep(12)
            assert people(client) == {1: 1}
            hub.frozen.clear()  # no message was lost
            await trio.sleep(5)


async def test_a_mark_that_changes_while_its_room_is_down_is_known_once_that_runs_again(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(crash_backoff_initial=3)
    async with nodes(2, hub=Hub(), config=config) as (a, b):
        author, other = await a.client(1), await b.client(2)
        await trio.sleep(3)
        b.crash_at = Tracepoint.TAKEN
        await other.ask(AssignNumber(7, 1))
        for registration_id in (1, 2, 7, 8):
            author.mark(registration_id, "memo")
            await trio.sleep(0.2)
        assert b.supervisor.statistics().rooms[0].editing_marks == 0  # it keeps none that wait
        await trio.sleep(4)
        assert marks(other) == {(1, 8, "memo")}


# -- what is sent between servers


async def test_who_is_in_a_room_is_sent_every_two_seconds_at_most(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(2, hub=hub) as (a, b):
        watcher = await b.client(1)
        await trio.sleep(5)
        hub.sent.clear()
        for number in range(40):
            await a.client(number + 2)
            await trio.sleep(0.25)
        await trio.sleep(3)
        times = [
            when
            for when, messages in hub.sent
            for message in map(read, messages)
            if message.people and message.node == "0"
        ]
        assert all(later - earlier > 1.95 for earlier, later in pairwise(times))
        assert len(times) == 6
        assert len(people(watcher)) == 41


async def test_one_who_comes_back_at_once_is_no_change(autojump_clock: MockClock) -> None:
    hub = Hub()
    async with nodes(2, hub=hub) as (a, b):
        client, _ = await a.client(1), await b.client(2)
        await trio.sleep(5)
        hub.sent.clear()
        a.supervisor.disconnect(client.subscriber)
        await a.client(1)
        await trio.sleep(5)
        assert not any(message.people for message in hub.messages)


async def test_one_who_has_left_a_room_that_ends_soon_is_shown_nowhere(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub(), config=RoomSettings(idle_timeout=0.1)) as (a, b):
        watcher = await b.client(1)
        client = await a.client(2)
        await trio.sleep(0.9)
        assert people(watcher) == {1: 1, 2: 1}
        a.supervisor.disconnect(client.subscriber)
        await trio.sleep(1)
        assert a.supervisor.statistics().rooms == ()
        assert people(watcher) == {1: 1}


async def test_a_request_that_is_lost_is_repeated_until_it_is_answered(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(2, hub=hub) as (a, b):
        await a.client(1)
        await trio.sleep(5)
        lost: list[bytes] = []

        def deliver(channel: HubChannel, data: bytes) -> None:
            if read(data).wanted and channel.name == "0" and len(lost) < 3:
                lost.append(data)
            else:
                channel.pass_on(data)

        hub.deliver = deliver
        late = await b.client(2)
        await trio.sleep(8)
        assert people(late) == {1: 1, 2: 1}
        hub.sent.clear()
        await trio.sleep(20)
        assert not any(message.wanted for message in hub.messages)


async def test_servers_that_all_come_back_at_once_send_each_room_a_few_times(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    slugs = [f"retreat-{number}" for number in range(20)]
    async with nodes(5, hub=hub, slugs=slugs) as running:
        clients = [
            await node.client(number, slug) for number, node in enumerate(running) for slug in slugs
        ]
        await trio.sleep(20)
        hub.sent.clear()
        hub.refuses = "down"
        hub.cut()
        await trio.sleep(1)
        clients += [await node.client(number, slugs[0]) for number, node in enumerate(running)]
        await trio.sleep(1)
        hub.refuses = None
        await trio.sleep(20)
        sent = Counter(
            (message.node, each.retreat_id) for message in hub.messages for each in message.people
        )
        assert len(sent) == 5 * len(slugs)
        assert max(sent.values()) <= 4
        assert sum(len(message.wanted) for message in hub.messages) <= 5 * 4
        for client in clients:
            assert set(people(client)) == {0, 1, 2, 3, 4}
        assert people(clients[-1]) == dict.fromkeys(range(5), 2)


async def test_of_many_a_hundred_are_named_and_the_others_count(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub()) as (a, b):
        for number in range(130):
            await a.client(number + 10)
        watcher = await b.client(1)
        await b.client(139)  # is among those whom the other server does not name
        await trio.sleep(10)
        presence = watcher.presences[-1]
        assert [user.user_id for user in presence.users] == [1, 139, *range(10, 108)]
        assert presence.total == 132  # 131 users, one of them counted twice


async def test_what_the_bus_brings_is_bounded_and_harms_nobody(autojump_clock: MockClock) -> None:
    hub = Hub()
    async with nodes(1, hub=hub) as (a,):
        client = await a.client(1_000_000)
        await trio.sleep(1)
        (retreat_id,) = {people.retreat_id for each in hub.messages for people in each.people}
        serial = count(1)
        start = b'{"v":1,"node":"%s","serial":%d,"run":"x",'
        for node in range(2 * MAX_NODES):
            name = b"n%d" % node
            users = b",".join(b'[%d,"",1]' % (1_000 * node + n) for n in range(100))
            hub.inject(
                start % (name, next(serial)) + b'"people":[[%d,9,[%s]]]}' % (retreat_id, users)
            )
            for first in range(0, 250, 50):
                marks = b",".join(
                    b'[%d,%d,[%d,"f",%d,1,""]]' % (retreat_id, n, n, 1_000 * node + n % 9)
                    for n in range(first, first + 50)
                )
                hub.inject(start % (name, next(serial)) + b'"editing":[%s]}' % marks)
            wanted = b",".join(b"%d" % n for n in range(250))
            hub.inject(start % (name, next(serial)) + b'"wanted":[[["0"],[%s]]]}' % wanted)
        await trio.sleep(3)
        presence = client.presences[-1]
        assert len(presence.users) == 100
        assert presence.total == 1 + MAX_NODES * 100
        assert a.supervisor.statistics().rooms[0].editing_marks <= MAX_NODES * MAX_MARKS
        await trio.sleep(60)
        assert people(client) == {1_000_000: 1}
        assert marks_of_presence(client) == set()
        assert not client.aborted
        assert a.supervisor.counts().crashes == 0


async def test_a_room_that_is_stopped_takes_marks_along_that_were_just_begun(
    autojump_clock: MockClock,
) -> None:
    async with nodes(2, hub=Hub()) as (a, b):
        watcher, author = await b.client(1), await a.client(2)
        await a.client(3)
        await trio.sleep(5)
        author.mark(7, "memo")
        await trio.sleep(0.05)
        assert marks(watcher) == {(2, 7, "memo")}
        await a.supervisor.actions.stop("winter")
        await trio.sleep(2)
        assert marks(watcher) == set()
        assert people(watcher) == {1: 1}


async def test_a_mark_that_is_sent_with_the_end_of_its_room_ends_with_it(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    config = RoomSettings(editing_timeout=1e6)
    async with nodes(2, hub=hub, config=config) as (a, b):
        watcher, author = await b.client(1), await a.client(2)
        await trio.sleep(5)
        await author.ask(AssignNumber(7, 1))  # a hint goes out, and what follows waits a little
        author.mark(7, "memo")
        await settled()
        await a.supervisor.actions.stop("winter")
        await trio.sleep(5)
        assert [mark.mark is not None for each in hub.messages for mark in each.editing] == [True]
        assert b.supervisor.statistics().rooms[0].editing_marks == 0
        assert marks(watcher) == set()
        assert people(watcher) == {1: 1}


async def test_those_of_other_servers_stand_in_the_order_of_the_servers(
    autojump_clock: MockClock,
) -> None:
    async with nodes(3, hub=Hub()) as (a, b, c):
        watcher = await b.client(1)
        await c.client(2)
        await trio.sleep(5)
        await a.client(3)
        await trio.sleep(5)
        assert [user.user_id for user in watcher.presences[-1].users] == [1, 3, 2]


async def test_however_often_it_is_asked_for_a_room_is_sent_twice_a_second_at_most(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(1, hub=hub) as (a,):
        await a.client(1)
        await trio.sleep(5)
        (retreat_id,) = {people.retreat_id for each in hub.messages for people in each.people}
        hub.sent.clear()
        for serial in range(1, 101):
            hub.inject(
                b'{"v":1,"node":"z","serial":%d,"run":"x","wanted":[[["0"],[%d]]]}'
                % (serial, retreat_id)
            )
            await trio.sleep(0.04)
        await trio.sleep(1)
        answers = [people for message in hub.messages for people in message.people]
        assert 8 <= len(answers) <= 10


async def test_those_whom_servers_do_not_name_count_for_each_server(
    autojump_clock: MockClock,
) -> None:
    hub = Hub()
    async with nodes(1, hub=hub) as (a,):
        client = await a.client(1)
        await trio.sleep(5)
        (retreat_id,) = {people.retreat_id for each in hub.messages for people in each.people}
        for node in (b"y", b"z"):
            hub.inject(
                b'{"v":1,"node":"%s","serial":1,"run":"x","people":[[%d,5,[[2,"b",1]],[]]]}'
                % (node, retreat_id)
            )
        await trio.sleep(3)
        presence = client.presences[-1]
        assert [(user.user_id, user.connections) for user in presence.users] == [(1, 1), (2, 2)]
        assert presence.total == 2 + 4 + 4
