"""Coming back to ``/gbs-lineup`` (wire.md, "Recovery"), over WebSocket and over polls."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.rooms import RoomState
from gbs_actor.store.protocol import SessionRecord, StoreUnavailable
from tests.gateway.returning import Client, World, world
from tests.gateway.serving import OTHER_SLUG, SLUG, settings_with
from tests.socketio.lines import Carrier

both = pytest.mark.parametrize("carrier", ["websocket", "polling"])


async def pair(here: World, carrier: Carrier = "websocket") -> tuple[Client, Client]:
    """Return a client that is going to come back, and one that edits."""
    return await here.joined(carrier), await here.joined(user_id=8)


async def is_outside(client: Client) -> bool:
    answer = await client.call("user-editing", {"lineupId": 2, "editing": False})
    return bool(answer.get("code") == "NOT_IN_ROOM")


# On request


@both
async def test_who_asks_is_given_a_secret_that_is_not_the_id(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client = here.client(carrier)
        await client.connect()
        assert client.pid is not None
        assert client.sid not in client.pid


@both
@pytest.mark.parametrize("asked", [None, False, "true", 1, {}])
async def test_who_does_not_ask_is_given_no_secret_and_sees_no_offset(
    autojump_clock: MockClock, carrier: Carrier, asked: Any
) -> None:
    async with world() as here:
        client = here.client(carrier, recovery=False)
        await client.connect(**({} if asked is None else {"recovery": asked}))
        assert client.pid is None
        await client.emit("join-retreat", SLUG)
        editor = await here.joined(user_id=8)
        client.pid = "with which the stock client takes every last text for an offset"
        seen = len(client.events)
        await editor.call("user-editing", {"lineupId": 3})
        await editor.assign(2, 3)
        await client.emit("join-retreat", SLUG)
        await client.emit("no such event")
        for name in ("initial-data", "room-presence", "user-editing", "lineup-updated", "error"):
            assert (await client.event(name, since=seen)).offset is None


# Offsets


@both
async def test_every_event_ends_with_the_revision_as_its_offset(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        editor = await here.joined(user_id=8)
        assert await editor.assign(2, 3) == 1
        client = here.client(carrier)
        await client.connect()
        await client.emit("no such event")
        assert (await client.event("error")).offset == "0"
        await client.emit("join-retreat", SLUG)
        assert (await client.event("initial-data")).offset == "1"
        assert (await client.event("lineup-updated")).offset == "1"  # of before the join
        assert (await client.event("room-presence")).offset == "1"
        await editor.call("user-editing", {"lineupId": 3})
        assert (await client.event("user-editing")).offset == "1"
        seen = len(client.events)
        assert await editor.assign(3, 3) == 2
        update = await client.event("lineup-updated", since=seen)
        assert update.offset == str(update.payload["revision"]) == "2"
        seen = len(client.events)
        await client.emit("no such event")
        assert (await client.event("error", since=seen)).offset == "2"


async def test_offsets_never_go_back_within_a_room(autojump_clock: MockClock) -> None:
    async with world() as here:
        client, editor = await pair(here)
        for number in range(1, 6):
            await editor.call("user-editing", {"lineupId": number})
            await editor.assign(2, number)
            await client.emit("no such event")
            await trio.sleep(0.6)
        offsets = [int(event.offset or -1) for event in client.events]
        assert offsets == sorted(offsets)
        assert offsets[-1] == 5
        assert {event.name for event in client.events} >= {"error", "user-editing"}


async def test_a_token_that_expires_is_notified_with_an_offset(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined(expires_in=60)
        await trio.sleep(91)
        expired = await client.event("error")
        assert (expired.payload["code"], expired.offset) == ("TOKEN_EXPIRED", "0")


# Recovered


@both
async def test_who_comes_back_is_in_the_room_and_has_what_it_missed(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client, editor = await pair(here, carrier)
        sid, pid = client.sid, client.pid
        await editor.assign(2, 1)
        await client.event("lineup-updated")
        await client.cut()
        for row in (3, 4, 5):
            await editor.assign(row, 2)
        seen = len(client.events)
        await client.connect()
        assert client.recovered
        assert (client.sid, client.pid) == (sid, pid)
        connected = {each.sid for each in here.clients.connected}
        assert connected == {client.sid, editor.sid}  # by which operators find them
        await client.settle()
        assert client.rows == await here.listed()
        updates = client.named("lineup-updated", since=seen)
        offsets = [int(update.offset or -1) for update in updates]
        assert offsets == [update.payload["revision"] for update in updates]
        assert offsets == sorted(offsets)
        assert await editor.assign(6, 2) == 5
        await client.settle()
        assert client.rows == await here.listed()
        assert await client.assign(2, 3) == 6


@both
async def test_what_was_missed_comes_before_anything_newer(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client, editor = await pair(here, carrier)
        await client.cut()
        for number in (1, 2, 3):
            await editor.assign(1 + number, number)
        seen = len(client.events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.connect)
            for number in range(4, 30):
                await editor.assign(6, number)
        await client.settle()
        assert client.recovered
        offsets = [int(event.offset or -1) for event in client.events[seen:]]
        assert offsets == sorted(offsets)
        assert client.rows == await here.listed()


async def test_it_can_be_done_again_and_again(autojump_clock: MockClock) -> None:
    async with world() as here:
        client, editor = await pair(here)
        sid = client.sid
        for number in range(1, 8):
            await client.cut()
            await editor.assign(2, number)
            await client.connect()
            assert client.recovered
            assert client.sid == sid
            await client.settle()
            assert client.rows == await here.listed()


async def test_who_has_missed_nothing_is_recovered_too(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        assert client.offset == "0"
        await client.come_back()
        assert client.recovered
        assert not await is_outside(client)


@both
async def test_who_comes_back_by_the_other_carrier_is_recovered(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client = await here.joined(carrier)
        await client.cut()
        client.carrier = "polling" if carrier == "websocket" else "websocket"
        await client.connect()
        assert client.recovered


async def test_who_was_given_up_for_its_silence_is_recovered(autojump_clock: MockClock) -> None:
    async with world(settings_with(ping_interval=10, ping_timeout=10)) as here:
        client = await here.joined()
        await client.abandon()
        await trio.sleep(40)
        assert here.ids == []
        await client.connect()
        assert client.recovered


async def test_with_another_token_of_the_same_user_it_is_recovered(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        await client.come_back(token=here.token(name="다른 이름"))
        assert client.recovered


async def test_a_cookie_is_as_good_as_any_token(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.cut()
        token = client.auth.pop("token")
        peer = await here.site.dial(
            "EIO=4&transport=websocket", [("Cookie", f"accessToken={token}")]
        )
        await peer.receive_text()
        await peer.send(
            f'40/gbs-lineup,{{"recovery":true,"pid":"{client.pid}","offset":"{client.offset}"}}'
        )
        assert f'"sid":"{client.sid}"' in await peer.receive_text()


@both
async def test_it_holds_over_a_restart_of_the_server(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client, editor = await pair(here, carrier)
        await editor.assign(2, 1)
        await client.event("lineup-updated")
        await client.settle()
        await here.server.restart()
        editor = await here.joined(user_id=8)
        await editor.assign(3, 1)
        await client.connect()
        assert client.recovered
        await client.settle()
        assert client.rows == await here.listed()
        assert not await is_outside(client)


async def test_the_role_in_the_retreat_counts_for_who_comes_back(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined(user_id=50)
        await client.come_back()
        assert client.recovered
        answer = await client.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 9})
        assert answer["code"] == "FORBIDDEN"


# Taken over


@both
async def test_an_old_connection_that_looks_alive_is_closed_and_taken_over(
    autojump_clock: MockClock,
    carrier: Carrier,
) -> None:
    async with world() as here:
        client, editor = await pair(here, carrier)
        former = client.closed
        await editor.assign(2, 1)
        await client.until(lambda: client.offset == "1")
        await client.connect()
        assert client.recovered
        await former.wait()
        assert not client.left
        assert sorted(here.ids) == sorted([client.sid, editor.sid])
        assert here.present() == 2
        await editor.assign(3, 1)
        await client.settle()
        assert client.rows == await here.listed()


async def test_an_editing_mark_of_the_old_connection_ends(autojump_clock: MockClock) -> None:
    async with world() as here:
        client, other = await pair(here)
        await client.call("user-editing", {"lineupId": 2})
        await other.event("user-editing")
        await client.connect()
        await other.until(lambda: len(other.named("user-editing")) == 2)
        assert not other.named("user-editing")[-1].payload["editing"]


async def test_a_user_with_as_many_connections_as_they_may_have_takes_over_their_own(
    autojump_clock: MockClock,
) -> None:
    async with world(settings_with(max_connections_per_user=1)) as here:
        client = await here.joined()
        await client.connect()
        assert client.recovered


async def test_of_several_that_come_back_at_once_one_is_there_in_the_end(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                twin = Client(here, "websocket", client.auth)
                twin.pid, twin.offset = client.pid, client.offset
                nursery.start_soon(_connect_or_be_closed, twin)
        await trio.sleep(1)
        assert here.ids.count(client.sid) == 1
        assert here.present() == 1


async def _connect_or_be_closed(client: Client) -> None:
    try:
        await client.connect()
    except AssertionError:
        assert client.closed.is_set()


async def test_attempts_are_counted_by_their_result_and_with_the_rows_that_were_missed(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client, editor = await pair(here)
        await client.cut()
        for row in (2, 3, 4):
            await editor.assign(row, 2)
        seen = len(client.events)
        await client.connect()
        await client.settle()
        missed = len(client.named("lineup-updated", since=seen))
        await client.come_back(offset="x")
        await client.come_back()  # in no room
        assert here.recoveries["recovered"] == here.recoveries["invalid"] == 1
        assert here.recoveries["not_found"] == 1
        assert sum(here.recoveries.values()) == 3
        rows = here.rooms.times.recovered_rows.totals()
        assert (sum(rows.counts), rows.total) == (1, missed)


# Not recovered


async def assert_new(client: Client, former: tuple[str, str | None]) -> None:
    """Check that a client is somebody new, in no room, and can join as anybody."""
    assert not client.recovered
    assert client.sid != former[0]
    assert client.pid not in {None, former[1]}
    assert client.refusal is None
    assert await is_outside(client)
    await client.join()


@both
@pytest.mark.parametrize(
    "offset", [None, "", "x", "-1", "00", "0.0", "1", "9" * 19, "9" * 40, 0, [], "0" * 2_000]
)
async def test_no_offset_an_unknown_or_a_malformed_one_is_not_recovered(
    autojump_clock: MockClock, carrier: Carrier, offset: Any
) -> None:
    async with world() as here:
        client = await here.joined(carrier)
        former = client.sid, client.pid
        await client.come_back(offset=offset)
        await assert_new(client, former)


async def test_an_offset_from_before_the_join_is_not_recovered(autojump_clock: MockClock) -> None:
    async with world() as here:
        editor = await here.joined(user_id=8)
        await editor.assign(2, 1)
        client = await here.joined()
        former = client.sid, client.pid
        assert client.offset == "1"
        await client.come_back(offset="0")
        await assert_new(client, former)


async def test_who_was_in_no_room_is_not_recovered(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = here.client()
        await client.connect()
        await client.emit("no such event")
        await client.event("error")
        assert client.offset == "0"
        former = client.sid, client.pid
        await client.come_back()
        await assert_new(client, former)


@both
async def test_not_after_a_disconnect_by_the_client(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client = await here.joined(carrier)
        former = client.sid, client.pid
        await client.say("41/gbs-lineup,")
        await client.come_back()
        await assert_new(client, former)


async def test_not_after_a_disconnect_on_the_same_connection(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        sid, pid = client.sid, client.pid
        await client.say("41/gbs-lineup,")
        await client.say(
            f'40/gbs-lineup,{{"token":"{here.token()}","recovery":true,'
            f'"pid":"{pid}","offset":"{client.offset}"}}'
        )
        await client.until(lambda: client.pid != pid)
        await assert_new(client, (sid, pid))


async def test_not_after_a_disconnect_behind_a_join_that_is_under_way(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid, client.pid
        here.store.loads_may_go_on = trio.Event()
        await client.emit("join-retreat", OTHER_SLUG)
        await client.say("41/gbs-lineup,")
        await client.settle()
        here.store.loads_may_go_on.set()
        await client.come_back()
        await assert_new(client, former)


@both
async def test_not_after_a_disconnect_by_the_server(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client = await here.joined(carrier, expires_in=60)
        former = client.sid, client.pid
        await trio.sleep(160)
        assert client.left
        client.auth["token"] = here.token()
        await client.come_back()
        await assert_new(client, former)


@pytest.mark.parametrize("broken", ["42/gbs-lineup,{}", "49", "40/gbs-lineup,", "2"])
@both
async def test_not_after_a_parse_error(
    autojump_clock: MockClock, carrier: Carrier, broken: str
) -> None:
    async with world() as here:
        client = await here.joined(carrier)
        former = client.sid, client.pid
        await client.say(broken)
        await client.closed.wait()
        await client.connect()
        await assert_new(client, former)


async def test_not_after_leaving_the_room(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid, client.pid
        await client.call("leave-retreat", SLUG)
        await client.come_back()
        await assert_new(client, former)


async def test_nobody_comes_back_as_another_user(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid, client.pid
        client.auth["token"] = here.token(user_id=9)
        await client.come_back()
        await assert_new(client, former)


async def test_another_user_does_not_even_close_the_connection(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        thief = here.client(user_id=9)
        thief.pid, thief.offset = client.pid, client.offset
        await thief.connect()
        assert not thief.recovered
        assert not await is_outside(client)


@both
async def test_the_token_is_checked_as_at_any_connect(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client = await here.joined(carrier)
        await client.come_back(token="x")
        assert client.refusal == {"message": "Invalid token", "data": {"code": "INVALID_TOKEN"}}
        expired = here.token(expires_in=1)
        here.server.wall.advance(60)
        await client.come_back(token=expired)
        assert client.refusal == {"message": "Token expired", "data": {"code": "TOKEN_EXPIRED"}}
        await client.come_back()
        assert client.recovered  # neither of them has cost it its session


async def test_a_pid_that_is_too_old_is_not_recovered(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid, client.pid
        await client.cut()
        here.server.wall.advance(43_201)
        client.auth["token"] = here.token()
        await client.connect()
        await assert_new(client, former)


async def test_who_may_not_enter_the_retreat_by_now_is_not_recovered(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid
        await client.come_back(token=here.token(retreats=(OTHER_SLUG,)))
        assert client.refusal is None
        assert not client.recovered
        assert client.sid != former
        assert here.present() == 0


async def test_whose_role_may_not_read_there_by_now_is_not_recovered(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined(user_id=53)
        former = client.sid

        here.store.grant(SLUG, 53, "NOBODY")
        here.services.authorizer.clear_cache()
        await client.come_back()
        assert client.refusal is None
        assert not client.recovered
        assert client.sid != former


@pytest.mark.parametrize("carrier", ["websocket", "polling"])
async def test_who_was_disconnected_as_its_grant_was_revoked_has_nothing_left_to_recover(
    autojump_clock: MockClock, carrier: Carrier
) -> None:
    async with world() as here:
        client = await here.joined(carrier)
        former = client.sid, client.pid
        here.store.grant(SLUG, 7, "NOBODY")
        await client.until(lambda: client.left)
        assert client.events[-1].name == "error"
        here.store.grant(SLUG, 7, None)
        await trio.sleep(here.services.settings.auth.grant_ttl)
        await client.come_back()
        await assert_new(client, former)


async def test_a_retreat_that_is_gone_is_not_recovered(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.settle()
        former = client.sid
        await here.server.stop()
        await here.store.delete_retreat(SLUG)
        await here.server.start()
        await client.connect()
        assert client.refusal is None
        assert not client.recovered
        assert client.sid != former


async def test_another_epoch_is_not_recovered(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.settle()
        former = client.sid, client.pid
        await here.server.stop()
        await here.store.new_epoch(SLUG)
        await here.server.start()
        await client.connect()
        await assert_new(client, former)


async def test_in_a_room_that_has_failed_nobody_is_recovered(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid
        await client.cut()
        here.rooms._handles[SLUG].state = RoomState.FAILED
        await client.connect()
        assert client.refusal is None
        assert not client.recovered
        assert client.sid != former


async def test_while_the_store_cannot_be_asked_nobody_is_recovered_and_all_are_let_in(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        former = client.sid, client.pid
        await client.settle()

        async def unreachable(sid: str) -> SessionRecord:
            raise StoreUnavailable("told to be")

        here.store.find_session_location = unreachable  # type: ignore[method-assign]
        await client.come_back()
        await assert_new(client, former)


async def test_a_room_that_does_not_load_in_time_is_not_recovered(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        await client.settle()
        former = client.sid, client.pid
        await here.server.restart()
        here.store.loads_may_go_on = trio.Event()
        before = trio.current_time()
        await client.connect()
        assert trio.current_time() - before == 10
        assert not client.recovered
        here.store.loads_may_go_on.set()
        await assert_new(client, former)
        assert here.present() == 1


async def test_a_client_lost_while_it_is_let_in_comes_back_later(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.settle()
        await here.server.restart()
        here.store.loads_may_go_on = trio.Event()
        with trio.move_on_after(1):
            await client.connect()
        await client.cut()
        here.store.loads_may_go_on.set()
        await client.settle()
        assert here.present() == 0
        await client.connect()
        assert client.recovered
        assert here.present() == 1


# From room to room


async def test_who_has_gone_to_another_room_comes_back_there(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.join(OTHER_SLUG)
        other = await here.joined(user_id=8, slug=OTHER_SLUG)
        await other.assign(8, 1)
        await client.event("lineup-updated")
        await client.cut()
        await other.assign(9, 1)
        await client.connect()
        assert client.recovered
        await client.settle()
        assert client.rows == await here.listed(OTHER_SLUG)


async def test_an_offset_of_the_former_room_does_not_resume_in_the_new_one(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client, editor = await pair(here)
        for number in (1, 2, 3):
            await editor.assign(2, number)
        await client.until(lambda: client.offset == "3")
        await client.emit("join-retreat", OTHER_SLUG)
        await client.abandon()  # before anything has come from there
        await _edit_much_in_the_other_room(here)
        client.offset = "3"
        await client.connect()
        assert not client.recovered
        await client.join(OTHER_SLUG)
        assert client.rows == await here.listed(OTHER_SLUG)


async def test_an_offset_of_a_former_session_does_not_resume_in_the_new_one(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client, editor = await pair(here)
        for number in (1, 2, 3):
            await editor.assign(2, number)
        await client.until(lambda: client.offset == "3")
        await client.say("41/gbs-lineup,")
        await client.come_back()
        await client.emit("join-retreat", OTHER_SLUG)
        await client.abandon()
        await _edit_much_in_the_other_room(here)
        client.offset = "3"
        await client.connect()
        assert not client.recovered
        await client.join(OTHER_SLUG)
        assert client.rows == await here.listed(OTHER_SLUG)


async def _edit_much_in_the_other_room(here: World) -> None:
    """Let as many rows change as one would miss who took 3 for an offset of this room."""
    editor = await here.joined(user_id=8, slug=OTHER_SLUG)
    for row in (8, 9, 10, 11):
        await editor.assign(row, row)


async def test_a_join_that_fails_leaves_the_session_where_it_was(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        assert (await client.call("join-retreat", "gone"))["code"] == "RETREAT_NOT_FOUND"
        await client.come_back()
        assert client.recovered
        assert not await is_outside(client)


async def test_leaving_a_room_one_is_not_in_changes_nothing(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.call("leave-retreat", OTHER_SLUG)
        await client.come_back()
        assert client.recovered


async def test_joining_the_room_one_is_in_changes_nothing(autojump_clock: MockClock) -> None:
    async with world() as here:
        client, editor = await pair(here)
        await editor.assign(2, 1)
        await client.join_only()
        await client.come_back(offset="0")  # what it had before the second join
        assert client.recovered


async def test_a_room_that_was_left_and_joined_again_is_come_back_to(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        await client.call("leave-retreat", SLUG)
        await client.join()
        await client.come_back()
        assert client.recovered
        assert not await is_outside(client)


async def test_what_is_left_is_forgotten_before_it_is_answered(autojump_clock: MockClock) -> None:
    async with world() as here:
        client = await here.joined()
        await client.settle()
        assert (await here.store.find_session_location(client.sid)).location is not None
        await client.call("leave-retreat", SLUG)
        assert (await here.store.find_session_location(client.sid)).location is None


async def test_the_former_room_is_forgotten_before_the_next_one_is_joined(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        client = await here.joined()
        await client.settle()
        here.store.loads_may_go_on = trio.Event()
        await client.emit("join-retreat", OTHER_SLUG)
        await client.settle()
        assert (await here.store.find_session_location(client.sid)).location is None
        here.store.loads_may_go_on.set()
        await client.event("initial-data")
        await client.settle()
        place = (await here.store.find_session_location(client.sid)).location
        assert place is not None
        assert place.slug == OTHER_SLUG


# Whatever a client shows

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
changes = st.sampled_from(["none", "cut", "flip", "double"])


def changed(pid: str, change: str, at: int) -> str:
    at %= len(pid)
    match change:
        case "cut":
            return pid[:at]
        case "flip":
            return pid[:at] + ("A" if pid[at] != "A" else "B") + pid[at + 1 :]
        case "double":
            return pid + pid
        case _:
            return pid


@settings(max_examples=150, deadline=None)
@given(
    pid=json_values | st.tuples(changes, st.integers(0, 200)),
    offset=json_values | st.integers(-1, 5).map(str),
)
def test_whatever_pid_and_offset_a_client_shows_it_is_let_in(pid: Any, offset: Any) -> None:
    async def show() -> None:
        async with world() as here:
            client = await here.joined()
            former, issued = client.sid, client.pid
            assert issued is not None
            shown = changed(issued, *pid) if isinstance(pid, tuple) else pid
            await client.cut()
            await client.connect(pid=shown, offset=offset)
            assert client.refusal is None
            assert client.pid is not None
            assert (client.sid == former) == (shown == issued and offset == "0")

    trio.run(show, clock=MockClock(autojump_threshold=0))
