"""What operators are notified of about clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked
from wsproto.events import Ping

from gbs_actor.observability import EventFilter, OperatorEvent
from gbs_actor.testing import Conditions
from tests.gateway.serving import LINEUPS, SLUG, Transport, World, settings_with, world
from tests.gateway.test_closed_sessions import let_nobody_in
from tests.gateway.test_plain_limits import RawPeer

TRANSPORTS = pytest.mark.parametrize("transport", ["socketio", "plain"])
EDIT = {"lineupId": 2, "gbsNumber": 3}
MARK = {"lineupId": 2, "editing": True}


def published(here: World, kind: str) -> list[OperatorEvent]:
    return list(here.events.after(0, EventFilter((kind,))).events)


def about(event: OperatorEvent) -> tuple[str | None, int | None]:
    return event.room, event.user_id


# Limits


async def hit(here: World, transport: Transport, name: str, argument: Any) -> OperatorEvent:
    """Send an event until it is refused; return what operators were notified of."""
    async with here.joined_by(transport) as peer:
        while (await peer.call(name, argument))["status"] == "OK":
            pass
        (event, *_) = published(here, "limit.hit")
        return event


@TRANSPORTS
@pytest.mark.parametrize(
    ("config", "limit", "name", "argument"),
    [
        ({"event_rate": 0.1, "event_burst": 3}, "event_rate", "update-gbs-number", EDIT),
        ({"user_rate": 0.1, "user_burst": 3}, "user_rate", "update-gbs-number", EDIT),
        ({"join_rate": 0.1, "join_burst": 3}, "join_rate", "join-retreat", SLUG),
        ({"user_join_rate": 0.1, "user_join_burst": 3}, "user_join_rate", "join-retreat", SLUG),
        (
            {"user_editing_rate": 0.1, "user_editing_burst": 3},
            "user_editing_rate",
            "user-editing",
            MARK,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_rate_that_is_exceeded_is_named(
    transport: Transport, config: dict[str, float], limit: str, name: str, argument: Any
) -> None:
    async with world(settings_with(**config)) as here:
        event = await hit(here, transport, name, argument)
        assert event.details == {"limit": limit}
        assert event.severity == "warning"
        assert event.text == f"user 7 exceeds {limit}"
        assert about(event) == (SLUG, 7)
        assert event.sid is not None


async def test_requests_of_http_that_exceed_the_rate_are_reported() -> None:
    async with world(settings_with(user_rate=0.001, user_burst=1)) as here:
        for _ in range(2):
            await here.get(LINEUPS, here.bearer())
        (event,) = here.events.after(0, EventFilter(("limit.",))).events
        assert (event.user_id, event.details) == (7, {"limit": "user_rate"})


@TRANSPORTS
async def test_a_user_with_too_many_connections_is_named(transport: Transport) -> None:
    async with world(settings_with(max_connections_per_user=1)) as here, here.joined_by("plain"):
        if transport == "socketio":
            await let_nobody_in(here.connect("socketio"))
        else:
            await let_nobody_in(here.connect("plain"))
        (event, *_) = published(here, "limit.hit")
        assert (event.user_id, event.details) == (7, {"limit": "max_connections_per_user"})


async def test_memory_of_a_user_that_is_used_up_is_reported_with_who_was_closed() -> None:
    async with world(settings_with(outbox_bytes_per_user=10)) as here:
        slow = await stuck(here)
        await wait_all_tasks_blocked()
        (event,) = published(here, "limit.hit")
        assert (event.user_id, event.details) == (
            99,
            {"limit": "outbox_bytes_per_user", "allowed": 10},
        )
        assert event.text.startswith("outbox_bytes_per_user: 1 connections were closed")
        await slow.stream.aclose()


# Refusals


async def refuse_socketio(here: World) -> None:
    await let_nobody_in(here.connect("socketio", token="x"))


async def refuse_plain(here: World) -> None:
    await let_nobody_in(here.connect("plain", token="x"))


async def refuse_cookie(here: World) -> None:
    headers = {"Cookie": f"accessToken={here.token()}", "Origin": "https://evil.example"}
    await let_nobody_in(here.connect("plain", token="", headers=headers))


@pytest.mark.parametrize(
    ("refuse", "protocol", "reason"),
    [
        (refuse_socketio, "socket.io", "INVALID_TOKEN"),
        (refuse_plain, "websocket", "INVALID_TOKEN"),
        (refuse_cookie, "websocket", "FORBIDDEN"),
    ],
)
async def test_a_refused_client_is_reported_with_the_code(
    refuse: Callable[[World], Any], protocol: str, reason: str
) -> None:
    async with world() as here:
        await refuse(here)
        await wait_all_tasks_blocked()
        (event,) = published(here, "session.")
        assert event.kind == "session.refused"
        assert event.text == f"a client from 198.18.0.2 was refused: {reason}"
        assert (event.details["reason"], event.details["protocol"]) == (reason, protocol)


# Ends


@TRANSPORTS
async def test_who_leaves_is_no_event(transport: Transport) -> None:
    async with world() as here:
        async with here.joined_by(transport):
            pass
        await wait_all_tasks_blocked()
        assert published(here, "session.") == []


@TRANSPORTS
async def test_who_is_closed_by_a_fault_is_reported_with_the_reason(transport: Transport) -> None:
    async with world() as here:
        async with here.joined_by(transport) as peer:
            server = (
                here.services.sockets if transport == "socketio" else here.server.composition.plain
            )
            (channel,) = server.channels
            channel.overflow()
            await peer.closed.wait()
        await wait_all_tasks_blocked()
        (event,) = published(here, "session.")
        assert event.text == ("the session of user 7 was closed: transport close (too far behind)")
        assert (event.severity, about(event)) == ("warning", (SLUG, 7))
        assert event.details["detail"] == "too far behind"


async def test_who_answers_no_ping_is_reported(autojump_clock: trio.testing.MockClock) -> None:
    async with world(settings_with(ping_interval=10, ping_timeout=5)) as here:
        silent = RawPeer(await here.server.open_stream())
        await silent.upgrade(here.token())
        await trio.sleep(20)
        (event,) = published(here, "session.")
        assert event.text == "the session of user 7 was closed: ping timeout"
        assert event.severity == "info"


# Clients that do not keep up


async def stuck(here: World) -> RawPeer:
    """Connect a client that does not read, by a plain WebSocket."""
    slow = RawPeer(await here.server.open_stream(conditions=Conditions(buffer=1_024)))
    await slow.upgrade(here.token(user_id=99))
    await wait_all_tasks_blocked()
    return slow


async def answer_pings(peer: RawPeer) -> None:
    """Read all that comes."""
    while True:
        ping = await peer.until(Ping)
        await peer.send(ping.response())


async def test_a_plain_client_that_does_not_keep_up_is_reported_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        world(settings_with(ping_interval=10, ping_timeout=60)) as here,
        here.joined_by("plain") as fast,
    ):
        slow = await stuck(here)
        for number in range(1, 30):
            edit = {"lineupId": 2, "gbsNumber": number}
            assert (await fast.call("update-gbs-number", edit))["status"] == "OK"
        await trio.sleep(25)
        (event,) = published(here, "subscriber.")
        assert (event.kind, about(event)) == ("subscriber.lagging", (SLUG, 99))
        queued = event.details["queued_bytes"]
        assert isinstance(queued, int)
        assert queued > 0
        async with trio.open_nursery() as reading:
            reading.start_soon(answer_pings, slow)
            await trio.sleep(22)
            reading.cancel_scope.cancel()
        assert [event.kind for event in published(here, "subscriber.")] == [
            "subscriber.lagging",
            "subscriber.caught_up",
        ]


async def test_a_client_of_socket_io_that_does_not_keep_up_is_reported_with_its_id() -> None:
    async with world() as here, here.joined_by("socketio"):
        (socket,) = here.services.sockets.namespaces[0].sockets
        for socket.session.lagging in (True, False):
            socket.session.lag_changed()
        lagging, caught_up = published(here, "subscriber.")
        assert (lagging.kind, caught_up.kind) == ("subscriber.lagging", "subscriber.caught_up")
        assert {(event.sid, *about(event)) for event in (lagging, caught_up)} == {
            (socket.id, SLUG, 7)
        }
