"""Who has vanished, and who was refused: the last of each, with the reason."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from trio.testing import wait_all_tasks_blocked

from gbs_actor.gateway.client import Client
from gbs_actor.gateway.closed_sessions import ClosedSession, ClosedSessions
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.gateway.namespace.closing import ClosingObserver
from gbs_actor.observability import OperatorEvents
from gbs_actor.socketio import ConnectError, Handshake, Session
from gbs_actor.testing import PeerRefused
from tests.gateway.serving import SLUG, Transport, World, settings_with, world


def client(user_id: int = 7) -> Client:
    """Return the part of a client that is recorded."""
    return cast(
        Client,
        SimpleNamespace(
            user=SimpleNamespace(user_id=user_id),
            author=SimpleNamespace(name=f"user {user_id}"),
            subscriber=SimpleNamespace(last_slug=SLUG),
            log_fields=lambda: {"room": SLUG, "user_id": user_id, "sid": "sid"},
        ),
    )


class Clock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


def end(closed: ClosedSessions, user_id: int = 7, **fields: Any) -> None:
    values: dict[str, Any] = {
        "reason": "transport close",
        "address": "192.0.2.1",
        "opened_at": 900.0,
    } | fields
    closed.add_ended(
        "socket.io",
        "polling",
        values["reason"],
        "",
        client=client(user_id),
        address=values["address"],
        opened_at=values["opened_at"],
        sid="sid",
    )


def closed_sessions(kept: int = 10) -> ClosedSessions:
    """Return what keeps so many of each."""
    return ClosedSessions(kept, events=OperatorEvents(), now=Clock())


# What is kept


def test_a_session_is_kept_with_its_client_its_room_and_its_age() -> None:
    closed = closed_sessions()
    end(closed)
    assert closed.recent() == [
        ClosedSession(
            closed_at=1_000.0,
            accepted=True,
            protocol="socket.io",
            transport="polling",
            reason="transport close",
            detail="",
            address="192.0.2.1",
            sid="sid",
            user_id=7,
            user_name="user 7",
            room=SLUG,
            age=100.0,
        )
    ]


def test_a_clock_that_was_set_back_makes_no_negative_age() -> None:
    closed = closed_sessions()
    end(closed, opened_at=2_000.0)
    assert closed.recent()[0].age == 0.0


def test_the_newest_comes_first_whether_ended_or_refused() -> None:
    closed = closed_sessions()
    end(closed, 1)
    closed.add_refused("socket.io", "websocket", "FORBIDDEN", address=None)
    end(closed, 2)
    closed.add_refused("websocket", "websocket", "TOKEN_EXPIRED", address=None)
    end(closed, 3)
    assert [(each.user_id, each.reason) for each in closed.recent()] == [
        (3, "transport close"),
        (None, "TOKEN_EXPIRED"),
        (2, "transport close"),
        (None, "FORBIDDEN"),
        (1, "transport close"),
    ]


def test_they_are_found_by_user_address_and_reason() -> None:
    closed = closed_sessions()
    end(closed, 1, address="192.0.2.1")
    end(closed, 2, address="192.0.2.1", reason="ping timeout")
    end(closed, 2, address="192.0.2.2")
    closed.add_refused("socket.io", "polling", "ping timeout", address="192.0.2.2")

    def found(**only: Any) -> list[tuple[int | None, str | None]]:
        return [(each.user_id, each.address) for each in closed.recent(**only)]

    assert found(user_id=2) == [(2, "192.0.2.2"), (2, "192.0.2.1")]
    assert found(address="192.0.2.2") == [(None, "192.0.2.2"), (2, "192.0.2.2")]
    assert found(reason="ping timeout") == [(None, "192.0.2.2"), (2, "192.0.2.1")]
    assert found(user_id=2, reason="ping timeout") == [(2, "192.0.2.1")]
    assert found(user_id=3) == []


def test_a_flood_of_refusals_displaces_older_ones_and_no_session() -> None:
    closed = closed_sessions(3)
    for user_id in range(5):
        end(closed, user_id)
    for number in range(100):
        closed.add_refused("socket.io", "polling", f"reason {number % 2}", address=None)
    kept = closed.recent()
    assert [each.user_id for each in kept] == [None] * 3 + [4, 3, 2]
    statistics = closed.statistics()
    assert statistics.kept == 6
    assert statistics.closed == {"transport close": 5}
    assert statistics.refused == {"reason 0": 50, "reason 1": 50}


# What a server adds


def kept(here: World) -> list[tuple[Any, ...]]:
    """Return what is kept, the oldest first."""
    return [
        (each.accepted, each.protocol, each.transport, each.reason, each.detail)
        for each in reversed(here.services.closed_sessions.recent())
    ]


async def let_nobody_in(connecting: AbstractAsyncContextManager[object]) -> None:
    """Connect, which has to fail: refused, rejected, or closed before an answer."""
    try:
        async with connecting:
            pytest.fail("it was let in")
    except PeerRefused:
        pass


async def answer(here: World, query: str) -> bytes:
    """Return the response to a handshake of Socket.IO."""
    ours = await here.server.open_stream()
    lines = (
        f"GET /socket.io/?{query} HTTP/1.1",
        "Host: testserver",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    await ours.send_all("\r\n".join((*lines, "", "")).encode())
    return bytes(await ours.receive_some())


NAMES: dict[Transport, str] = {"socketio": "socket.io", "plain": "websocket"}


@pytest.mark.parametrize("transport", ["socketio", "plain"])
async def test_a_client_that_leaves_is_found_with_its_room(transport: Transport) -> None:
    async with world() as here:
        async with here.joined_by(transport, cookie=here.token(user_id=31, name="김하늘")):
            pass
        await wait_all_tasks_blocked()
        (closed,) = here.services.closed_sessions.recent(user_id=31)
        assert (closed.accepted, closed.protocol, closed.transport, closed.reason) == (
            True,
            NAMES[transport],
            "websocket",
            "transport close",
        )
        assert (closed.user_name, closed.room, closed.detail) == ("김하늘", SLUG, "")
        assert closed.age is not None
        assert 0 <= closed.age < 60


@pytest.mark.parametrize("transport", ["socketio", "plain"])
async def test_a_client_that_the_server_closes_is_found_with_why(transport: Transport) -> None:
    async with world() as here:
        cookie = here.token()
        async with here.joined_by(transport, cookie=cookie) as peer:
            server = (
                here.services.sockets if transport == "socketio" else here.server.composition.plain
            )
            (channel,) = server.channels
            channel.overflow()
            await peer.closed.wait()
        await wait_all_tasks_blocked()
        assert kept(here) == [
            (True, NAMES[transport], "websocket", "transport close", "too far behind")
        ]


async def test_a_refused_token_is_found_by_its_code_and_once() -> None:
    async with world() as here:
        await let_nobody_in(here.connect("socketio", token="x"))
        for session in here.services.sockets.channels:
            session.abort()  # its end is not another entry
        await let_nobody_in(here.connect("plain", token="x"))
        await wait_all_tasks_blocked()
        assert kept(here) == [
            (
                False,
                "socket.io",
                "websocket",
                "INVALID_TOKEN",
                "Invalid token: /gbs-lineup",
            ),
            (False, "websocket", "websocket", "INVALID_TOKEN", ""),
        ]
        assert here.services.closed_sessions.statistics().closed == {}


def refused_session(sid: str) -> Session:
    session = SimpleNamespace(
        sid=sid,
        transport=SimpleNamespace(name="polling"),
        handshake=Handshake({}, {}, "192.0.2.1", datetime.fromtimestamp(990.0, UTC)),
        joined=False,
        close_text="",
    )
    return cast(Session, session)


def test_a_client_that_is_refused_again_and_again_is_one_and_displaces_no_other() -> None:
    closed = closed_sessions(3)
    observer = ClosingObserver(closed, cast(SocketClients, None))
    expired = ConnectError("Token expired", {"code": "TOKEN_EXPIRED"})
    observer.connect_refused(refused_session("other"), "/gbs-lineup", expired)
    session = refused_session("sid")
    for number in range(100):
        observer.connect_refused(session, f"/{number}", ConnectError("Invalid namespace"))
    observer.connect_refused(session, "/gbs-lineup", expired)
    observer.session_ended(session, "transport close")
    assert closed.statistics().refused == {"TOKEN_EXPIRED": 2, "Invalid namespace": 1}
    assert len(closed.recent(reason="TOKEN_EXPIRED")) == 2


def test_of_a_namespace_that_does_not_exist_the_beginning_is_kept() -> None:
    closed = closed_sessions()
    observer = ClosingObserver(closed, cast(SocketClients, None))
    error = ConnectError("Invalid namespace")
    observer.connect_refused(refused_session("sid"), "/" + 5_000 * "x", error)
    (refused,) = closed.recent(address="192.0.2.1")
    assert (refused.reason, refused.age) == ("Invalid namespace", 10.0)
    assert refused.detail == "Invalid namespace: /" + 99 * "x"


async def test_more_connections_than_a_user_may_have_are_found_as_refused() -> None:
    async with world(settings_with(max_connections_per_user=1)) as here, here.joined_by("plain"):
        await let_nobody_in(here.connect("plain"))
        await let_nobody_in(here.connect("socketio"))
        await wait_all_tasks_blocked()
        reason = "too many connections of this user"
        assert kept(here) == [
            (False, "websocket", "websocket", reason, ""),
            (False, "socket.io", "websocket", reason, ""),
        ]


async def test_a_handshake_that_gets_an_http_error_is_found() -> None:
    async with world() as here:
        foreign = {"Cookie": f"accessToken={here.token()}", "Origin": "https://elsewhere"}
        await let_nobody_in(here.connect("plain", token="", headers=foreign))
        for query in ("EIO=3&transport=websocket", "EIO=4&transport=websocket&sid=unknown"):
            assert (await answer(here, query)).startswith(b"HTTP/1.1 400")
        assert kept(here) == [
            (
                False,
                "websocket",
                "websocket",
                "FORBIDDEN",
                "403 Pages of this origin may not connect.",
            ),
            (
                False,
                "socket.io",
                "websocket",
                "Unsupported protocol version",
                "400 Unsupported protocol version",
            ),
        ]
        assert here.services.closed_sessions.statistics().refused == {
            "FORBIDDEN": 1,
            "Unsupported protocol version": 1,
        }
