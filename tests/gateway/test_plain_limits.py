"""Plain WebSocket: how many, how often, how slowly; pings; compression."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
import trio
import trio.testing
import wsproto
from wsproto import events
from wsproto.extensions import PerMessageDeflate

from gbs_actor.socketio.channel import message as message_module
from gbs_actor.socketio.websocket.frame import deflate
from gbs_actor.testing import Conditions
from tests.gateway.serving import OTHER_SLUG, SLUG, World, settings_with, world

Wanted = TypeVar("Wanted", bound=events.Event)

SMALL = Conditions(buffer=1_024)
EDIT = {"lineupId": 2, "gbsNumber": 3}


class RawPeer:
    """wsproto over a stream: answers no ping and reads only when it is told to."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.events: list[events.Event] = []

    async def upgrade(self, token: str, *, deflated: bool = False) -> None:
        """Connect, with the handshake's answer read and nothing behind it looked at."""
        request = events.Request(
            host="testserver",
            target=f"/ws/retreats/{SLUG}",
            extra_headers=[(b"Authorization", b"Bearer " + token.encode())],
            extensions=[PerMessageDeflate()] if deflated else [],
        )
        await self.stream.send_all(self.protocol.send(request))
        await self.until(events.AcceptConnection)

    async def send(self, event: events.Event) -> None:
        await self.stream.send_all(self.protocol.send(event))

    async def receive(self) -> None:
        """Read what comes next."""
        with trio.fail_after(10_000):
            data = await self.stream.receive_some()
            self.protocol.receive_data(bytes(data) or None)
        self.events.extend(self.protocol.events())

    async def until(self, wanted: type[Wanted]) -> Wanted:
        """Read until there is such an event; return it, and forget those before it."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, wanted):
                    return event
            await self.receive()

    async def until_text(self, text: str) -> None:
        """Read until something like this was said."""
        said = ""
        while text not in said:
            said += (await self.until(events.TextMessage)).data

    async def close_code(self) -> int:
        """Read until the server closes; return the code of its close frame."""
        return (await self.until(events.CloseConnection)).code


@asynccontextmanager
async def raw(here: World, **how: Any) -> AsyncIterator[RawPeer]:
    peer = RawPeer(await here.server.open_stream())
    await peer.upgrade(here.token(user_id=99), **how)
    yield peer
    await peer.stream.aclose()


# Places


async def test_socketio_and_plain_connections_take_the_same_places() -> None:
    async with (
        world(settings_with(max_connections=2)) as here,
        here.joined_plainly(),
        here.joined_by("socketio"),
    ):
        async with here.plainly() as third:
            assert await third.end() == (1013, "too many connections")
        assert len(here.services.sockets.connection_limit) == 2


async def test_a_place_is_free_again_once_its_connection_has_ended() -> None:
    async with world(settings_with(max_connections=1)) as here:
        async with here.joined_plainly():
            pass
        await trio.testing.wait_all_tasks_blocked()
        async with here.joined_plainly():
            assert len(here.services.sockets.connection_limit) == 1


async def test_a_user_with_too_many_connections_gets_the_reason() -> None:
    config = settings_with(max_connections_per_user=2)
    async with world(config) as here, here.joined_plainly(), here.joined_by("socketio"):
        async with here.plainly() as third:
            assert await third.end() == (4429, "too many connections of this user")
        async with here.joined_plainly(user_id=8):
            pass
        assert here.clients.statistics().refused == 1


async def test_an_address_with_too_many_connections_gets_the_reason() -> None:
    headers = {"X-Forwarded-For": "192.0.2.7"}
    async with world(
        settings_with(max_connections_per_address=1, trusted_proxies=("198.18.0.0/15",))
    ) as here:
        token = here.token()
        async with here.plainly_with(token=token, headers=headers) as first:
            await first.event("initial-data")
            async with here.plainly_with(token=token, headers=headers) as second:
                assert await second.end() == (4429, "too many connections from this address")
            other = {"X-Forwarded-For": "192.0.2.8"}
            async with here.plainly_with(token=token, headers=other) as elsewhere:
                await elsewhere.event("initial-data")


# Rates


async def test_frames_that_are_no_events_count_as_events(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = settings_with(event_rate=1.0, event_burst=1)
    async with world(config) as here, here.joined_plainly() as peer:
        await peer.send("x")
        await peer.send("x")
        await peer.wait_for(lambda _: len(peer.named("error")) == 2)
        assert [error["code"] for error in peer.named("error")] == [
            "VALIDATION_FAILED",
            "RATE_LIMITED",
        ]


async def test_joins_of_a_connection_have_a_rate_of_their_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = settings_with(join_rate=0.5, join_burst=2)
    async with world(config) as here, here.connect("socketio") as peer:
        answers = [await peer.call("join-retreat", SLUG) for _ in range(3)]
        assert [answer["status"] for answer in answers] == ["OK", "OK", "ERROR"]
        assert answers[2]["code"] == "RATE_LIMITED"
        assert answers[2]["retryable"] is True
        await trio.sleep(2)
        assert (await peer.call("join-retreat", SLUG))["status"] == "OK"
        await peer.call("user-editing", {"lineupId": 3})  # others are not refused


async def test_joins_of_a_user_have_a_rate_over_all_connections_and_protocols(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = settings_with(user_join_rate=0.5, user_join_burst=2)
    async with world(config) as here, here.joined_by("socketio"), here.joined_plainly():
        async with here.connect("socketio") as third:
            assert (await third.call("join-retreat", SLUG))["code"] == "RATE_LIMITED"
        async with here.plainly() as fourth:
            assert await fourth.end() == (1013, "RATE_LIMITED")
        async with here.joined_plainly(user_id=8):
            pass


# What waits


async def test_what_is_queued_for_one_user_is_bounded_and_another_user_is_not_closed() -> None:
    config = settings_with(outbox_bytes_per_user=10_000)
    async with world(config) as here, here.joined_plainly() as other:
        slow = RawPeer(await here.server.open_stream(conditions=SMALL))
        await slow.upgrade(here.token(user_id=99))
        join = slow.protocol.send(
            events.TextMessage(f'{{"id":1,"event":"join-retreat","data":"{SLUG}"}}')
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.stream.send_all, join * 10)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        room = here.rooms.room_statistics(SLUG)
        assert room is not None
        assert [each.user_id for each in room.subscribers] == [7]
        assert (await other.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_who_has_too_much_unanswered_is_not_read_on_until_it_is() -> None:
    async with world(settings_with(max_held_bytes=2_000)) as here, here.joined_plainly() as peer:
        here.store.commits_may_go_on = trio.Event()
        edits = [f"{number}{'x' * 900}" for number in range(6)]
        for edit in edits:
            frame = {"id": edit, "event": "update-gbs-number", "data": EDIT}
            await peer.send(json.dumps(frame))
        await here.store.commit_waits.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert here.dispatch.statistics().events == 3
        here.store.commits_may_go_on.set()
        for edit in edits:
            assert (await peer.reply(edit))["status"] == "OK"


async def test_only_so_many_requests_may_be_without_an_answer() -> None:
    async with world(settings_with(max_unanswered_events=2)) as here, here.joined_plainly() as peer:
        here.dispatch._max_pending_commands = 100  # commands are refused before
        here.store.commits_may_go_on = trio.Event()
        edits = [await peer.begin("update-gbs-number", EDIT) for _ in range(6)]
        await here.store.commit_waits.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert here.dispatch.statistics().events == 3
        here.store.commits_may_go_on.set()
        for edit in edits:
            assert (await peer.reply(edit))["status"] == "OK"


async def test_the_data_of_a_request_count_until_it_is_with_the_room() -> None:
    async with world(settings_with(max_held_bytes=2_000)) as here, here.joined_plainly() as peer:
        here.store.commits_may_go_on = trio.Event()
        padded = {**EDIT, "padding": "x" * 900}
        edits = [await peer.begin("update-gbs-number", padded) for _ in range(6)]
        await here.store.commit_waits.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert here.dispatch.statistics().events == 6
        here.store.commits_may_go_on.set()
        for edit in edits:
            assert (await peer.reply(edit))["status"] == "OK"


async def test_events_that_wait_for_a_join_count_with_all_their_bytes() -> None:
    async with world(settings_with(max_held_bytes=2_000)) as here, here.joined_plainly() as peer:
        here.store.loads_may_go_on = trio.Event()
        joining = await peer.begin("join-retreat", OTHER_SLUG)
        padded = {**EDIT, "padding": "x" * 900}
        edits = [await peer.begin("update-gbs-number", padded) for _ in range(6)]
        await trio.testing.wait_all_tasks_blocked()
        assert here.services.plain().received_messages == 1 + 3
        here.store.loads_may_go_on.set()
        assert (await peer.reply(joining))["status"] == "OK"
        for edit in edits:
            assert (await peer.reply(edit))["code"] == "NOT_FOUND"


async def test_a_request_that_is_never_answered_counts_until_the_end_of_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(settings_with(max_unanswered_events=2)) as here:
        async with here.joined_plainly() as peer:
            monkeypatch.setattr(here.rooms, "submit", lambda *_: None)
            for _ in range(10):
                await peer.begin("update-gbs-number", EDIT)
            await trio.testing.wait_all_tasks_blocked()
            assert here.dispatch.statistics().events == 3
        monkeypatch.undo()
        async with here.joined_plainly() as peer:
            assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"


async def test_a_log_that_keeps_its_records_pauses_no_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A record keeps the traceback, that its frames, and those the event.
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async with (
        world(settings_with(max_unanswered_events=2, max_held_bytes=200)) as here,
        here.joined_plainly() as peer,
    ):
        monkeypatch.setattr(here.rooms, "submit", broken)
        for _ in range(10):
            await peer.emit("update-gbs-number", EDIT)
        for _ in range(10):
            assert (await peer.call("update-gbs-number", EDIT))["code"] == "INTERNAL"
        assert len([record for record in caplog.records if record.exc_info]) == 20


async def test_who_reads_late_costs_the_others_nothing_() -> None:
    async with world(settings_with(outbox_messages=10)) as here, here.joined_plainly() as fast:
        slow = RawPeer(await here.server.open_stream(conditions=SMALL))
        await slow.upgrade(here.token(user_id=99))
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1, 60):
            edit = {"lineupId": 2, "gbsNumber": number}
            assert (await fast.call("update-gbs-number", edit))["status"] == "OK"
        room = here.rooms.room_statistics(SLUG)
        assert room is not None
        assert {each.user_id: each.sink.queued > 0 for each in room.subscribers} == {
            7: False,
            99: True,
        }
        # Its updates were merged row by row, so it is still there, and learns the last state.
        await slow.until_text('"gbsNumber":59,')


async def test_answers_that_nobody_reads_are_bounded() -> None:
    async with world(settings_with(outbox_messages=10)) as here:
        slow = RawPeer(await here.server.open_stream(conditions=SMALL))
        await slow.upgrade(here.token())
        sends = b"".join(
            slow.protocol.send(events.TextMessage('{"id":1,"event":"none"}')) for _ in range(100)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.stream.send_all, sends)
            await trio.testing.wait_all_tasks_blocked()
            assert 0 < here.dispatch.statistics().events < 20
            nursery.cancel_scope.cancel()


# Pings


async def test_the_server_pings_and_who_answers_lives_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        world(settings_with(ping_interval=10, ping_timeout=5)) as here,
        here.joined_plainly() as peer,
    ):
        await trio.sleep(1_005)
        assert not peer.closed.is_set()


async def test_who_answers_no_ping_is_closed_when_the_time_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world(settings_with(ping_interval=10, ping_timeout=5)) as here, raw(here) as peer:
        began = trio.current_time()
        await peer.until(events.Ping)
        assert trio.current_time() == began + 10
        assert await peer.close_code() == 1008
        assert trio.current_time() == began + 15
        assert here.services.plain().closes == {"ping timeout": 1}


async def test_a_pong_puts_the_next_ping_off_and_one_unasked_for_does_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world(settings_with(ping_interval=10, ping_timeout=5)) as here, raw(here) as peer:
        began = trio.current_time()
        ping = await peer.until(events.Ping)
        await peer.send(ping.response())
        await peer.send(events.Pong())
        await peer.until(events.Ping)
        assert trio.current_time() == began + 20
        assert await peer.close_code() == 1008
        assert trio.current_time() == began + 25


async def test_how_long_a_ping_took_is_shown(autojump_clock: trio.testing.MockClock) -> None:
    def round_trip(here: World) -> float | None:
        room = here.rooms.room_statistics(SLUG)
        assert room is not None
        return room.subscribers[0].sink.round_trip

    async with world(settings_with(ping_interval=10, ping_timeout=5)) as here, raw(here) as peer:
        await trio.testing.wait_all_tasks_blocked()
        for seconds in (2, 3):
            before = round_trip(here)
            ping = await peer.until(events.Ping)
            await trio.sleep(seconds)
            assert round_trip(here) == before
            await peer.send(ping.response())
            await peer.send(events.Pong())
            await trio.testing.wait_all_tasks_blocked()
            assert round_trip(here) == pytest.approx(seconds)


async def test_a_clients_own_ping_is_answered(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as here, raw(here) as peer:
        await peer.send(events.Ping(b"here?"))
        pong = await peer.until(events.Pong)
        assert bytes(pong.payload) == b"here?"


# Compression


async def test_with_deflate_an_update_is_compressed_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compressed: list[bytes] = []

    def counting(payload: bytes, head: int) -> bytes | None:
        compressed.append(payload)
        return deflate(payload, head)

    async with (
        world(settings_with(deflate=True)) as here,
        here.joined_plainly() as author,
        trio.open_nursery() as n,
    ):
        peers = [RawPeer(await here.server.open_stream()) for _ in range(20)]
        for peer in peers:
            await peer.upgrade(here.token(user_id=99), deflated=True)
            await peer.until_text("initial-data")
        monkeypatch.setattr(message_module, "deflate", counting)
        await author.call("update-gbs-number", EDIT)
        for peer in peers:
            n.start_soon(peer.until_text, "lineup-updated")
    updates = [payload for payload in compressed if payload.startswith(b'{"event":"lineup-u')]
    assert len(updates) == 1
    assert len(zlib.compress(updates[0])) < len(updates[0])
