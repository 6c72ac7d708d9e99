"""Who is in a room on other servers, and what they edit, as those here see it."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from gbs_actor.rooms import Editing, Presence, RoomSettings, RoomSupervisor
from tests.bus.hub import Hub

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
        assert people(other) == {1: 1, 2: 1}  # it hears the other
