"""Coming back to another server than before: it takes the session over."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.gateway.namespace.session_locations import CHECK_INTERVAL
from gbs_actor.store.protocol import SessionRecord, StoreUnavailable
from tests.gateway.returning import Client, World, two_servers
from tests.gateway.serving import OTHER_SLUG, SLUG
from tests.socketio.lines import Carrier

both = pytest.mark.parametrize("carrier", ["websocket", "polling"])


async def move(client: Client, to: World) -> None:
    """Connect to another server; the former one still thinks that the client is there."""
    await client.abandon()
    client.world = to
    await client.connect()


@both
async def test_a_session_is_resumed_with_what_was_missed(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with two_servers() as (one, other):
        editor = await one.joined(user_id=8)
        client = await one.joined(carrier)
        sid, pid = client.sid, client.pid
        await client.abandon()
        await editor.assign(2, 3)
        await editor.assign(3, 4)
        seen = len(client.events)
        await move(client, other)
        assert client.recovered
        assert (client.sid, client.pid) == (sid, pid)
        await client.until(lambda: client.named("lineup-updated", seen))
        await client.settle()
        assert client.rows == await one.listed()
        # It is in its room.
        await client.assign(4, 5)
        await editor.until(lambda: editor.rows[4]["gbsNumber"] == 5)


async def test_a_kick_reaches_a_session_that_was_just_resumed_elsewhere(
    autojump_clock: MockClock,
) -> None:
    async with two_servers(("a", "b")) as (one, other):
        await trio.sleep(2)  # they have seen each other
        client = await one.joined()
        await move(client, other)
        assert client.recovered
        path = f"/admin/sessions/{client.sid}/kick"
        response = await one.server.http("POST", path, {"reason": "x"}, role=Role.ADMIN_MINISTER)
        answer = response.json()
        assert (answer["sessions"], answer["missing"]) == (2, [])
        await client.until(lambda: client.left)


async def test_rows_are_not_missed_that_the_other_server_has_not_seen_yet(
    autojump_clock: MockClock,
) -> None:
    async with two_servers() as (one, other):
        await other.joined(user_id=9)  # its room runs
        editor, client = await one.joined(user_id=8), await one.joined()
        await client.abandon()
        await editor.assign(2, 3)
        await move(client, other)
        assert client.recovered
        await client.until(lambda: client.rows[2]["gbsNumber"] == 3)


@both
async def test_the_former_server_closes_its_connection(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with two_servers() as (one, other):
        client = await one.joined(carrier)
        await move(client, other)
        assert (one.present(), other.present()) == (1, 1)
        await trio.sleep(2 * CHECK_INTERVAL)
        assert (one.present(), other.present()) == (0, 1)
        assert one.ids == []
        assert other.ids == [client.sid]
        assert other.server.composition.session_locations.statistics().taken_over == 0
        assert one.server.composition.session_locations.statistics().taken_over == 1
        # And that ends nothing for the client.
        await client.assign(2, 3)
        await client.come_back()
        assert client.recovered


async def test_who_comes_and_goes_between_the_servers_is_on_the_last_one(
    autojump_clock: MockClock,
) -> None:
    async with two_servers() as (one, other):
        client = await one.joined()
        sid = client.sid
        for server in (other, one, other, one):
            await move(client, server)
            assert client.recovered
        await trio.sleep(2 * CHECK_INTERVAL)
        assert (one.ids, other.ids) == ([sid], [])
        assert (one.present(), other.present()) == (1, 0)
        await client.assign(2, 3)


async def test_the_other_server_resumes_the_room_that_was_joined_last(
    autojump_clock: MockClock,
) -> None:
    async with two_servers() as (one, other):
        client = await one.joined()
        await move(client, other)
        await client.join(OTHER_SLUG)
        await trio.sleep(1)  # by then it is known that its offset is of that room
        await move(client, one)
        assert client.recovered
        await trio.sleep(2 * CHECK_INTERVAL)
        assert [server.present(OTHER_SLUG) for server in (one, other)] == [1, 0]
        assert [server.present(SLUG) for server in (one, other)] == [0, 0]


async def test_a_room_that_was_left_is_not_resumed(autojump_clock: MockClock) -> None:
    async with two_servers() as (one, other):
        client = await one.joined()
        await move(client, other)
        await client.call("leave-retreat", SLUG)
        # What the former server believes does not come back.
        await trio.sleep(2 * CHECK_INTERVAL)
        await move(client, one)
        assert not client.recovered


async def test_a_former_connection_that_is_alive_moves_no_session(
    autojump_clock: MockClock,
) -> None:
    async with two_servers() as (one, other):
        former, client = await one.joined(), other.client()
        client.pid, client.offset = former.pid, former.offset
        await client.connect()
        assert client.recovered
        # It joins another room before its server looks for sessions that were taken over.
        await former.emit("join-retreat", OTHER_SLUG)
        await former.closed.wait()
        third = one.client()
        third.pid, third.offset = client.pid, client.offset
        await third.connect()
        assert third.recovered
        assert (one.present(SLUG), one.present(OTHER_SLUG)) == (1, 0)


async def test_without_the_store_no_session_is_taken_over(autojump_clock: MockClock) -> None:
    async with two_servers() as (one, other):
        client = await one.joined()
        former = client.sid

        async def unreachable(sid: str) -> None:
            raise StoreUnavailable("told to be")

        other.store.take_over_session = unreachable  # type: ignore[assignment]
        await move(client, other)
        assert not client.recovered
        assert client.sid != former
        assert other.recoveries["store_unavailable"] == 1


async def test_while_the_store_cannot_be_asked_nobody_is_disconnected(
    autojump_clock: MockClock,
) -> None:
    async with two_servers() as (one, _):
        client = await one.joined()
        one.store.begin_outage()
        await trio.sleep(3 * CHECK_INTERVAL)
        one.store.end_outage()
        await trio.sleep(3 * CHECK_INTERVAL)
        assert one.ids == [client.sid]
        assert one.server.composition.session_locations.statistics().checker.failures == 0


@pytest.mark.parametrize(
    ("event", "slug"),
    [("leave-retreat", SLUG), ("join-retreat", OTHER_SLUG)],
    ids=["leave", "join"],
)
async def test_a_room_is_not_left_while_another_server_could_resume_it(
    autojump_clock: MockClock, event: str, slug: str
) -> None:
    async with two_servers() as (one, other):
        client = await one.joined()
        await client.settle()

        async def unreachable(records: Mapping[str, SessionRecord]) -> set[str]:
            raise StoreUnavailable("told to be")

        one.store.update_session_locations = unreachable  # type: ignore[method-assign]
        answer = await client.call(event, slug)
        assert (answer["status"], answer["code"]) == ("ERROR", "STORE_UNAVAILABLE")
        assert (one.present(SLUG), one.present(OTHER_SLUG)) == (1, 0)
        await move(client, other)
        assert client.recovered
        assert other.present(SLUG) == 1
        # There it can be left.
        assert (await client.call(event, slug))["status"] == "OK"
        assert other.present(SLUG) == 0
