"""Who may open a connection, and how the others are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.socketio import Handshake, Request, Socket, SocketServer
from gbs_actor.socketio.websocket.opening_handshake import upgrade
from tests.socketio.peer import Refused, serving


def make_server(**options: Any) -> SocketServer:
    server = SocketServer(**options)
    server.namespace("/")
    return server


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", 0, "Transport unknown"),
        ("EIO=4", 0, "Transport unknown"),
        ("EIO=4&transport=abc", 0, "Transport unknown"),
        ("transport=websocket", 5, "Unsupported protocol version"),
        ("EIO=3&transport=websocket", 5, "Unsupported protocol version"),
        ("EIO=abc&transport=websocket", 5, "Unsupported protocol version"),
        ("EIO=4&transport=polling", 3, "Bad request"),
        ("EIO=4&transport=websocket&sid=abc", 1, "Session ID unknown"),
        ("EIO=4&transport=websocket&sid=", 1, "Session ID unknown"),
        ("&".join(f"a{i}=1" for i in range(200)), 3, "Bad request"),
    ],
)
async def test_a_wrong_query_is_refused_with_its_code(
    clock: MockClock, query: str, code: int, message: str
) -> None:
    async with serving(make_server()) as service:
        peer = service.dial()
        await peer.upgrade(f"/socket.io/?{query}")
        refusal = await peer.receive()
        assert isinstance(refusal, Refused)
        assert refusal.status == 400
        assert refusal.json() == {"code": code, "message": message}
        assert service.server.statistics().refused == 1


async def test_the_open_packet_has_exactly_its_five_fields(clock: MockClock) -> None:
    server = make_server(ping_interval=0.3, ping_timeout=0.2, max_payload=5_000)
    async with serving(server) as service:
        opened = await service.dial().open()
        sid = opened.pop("sid")
        assert opened == {
            "upgrades": [],
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 5_000,
        }
        assert len(sid) >= 20


async def test_the_documented_defaults_are_announced(clock: MockClock) -> None:
    async with serving(make_server()) as service:
        opened = await service.dial().open()
        assert (opened["pingInterval"], opened["pingTimeout"]) == (25_000, 60_000)
        assert opened["maxPayload"] == 1_000_000


async def test_session_ids_differ_from_each_other_and_from_socket_ids(clock: MockClock) -> None:
    async with serving(make_server()) as service:
        ids = []
        for _ in range(3):
            peer = service.dial()
            ids.append((await peer.open())["sid"])
            ids.append(await peer.connect())
        assert len(set(ids)) == 6


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ([("Origin", "https://evil.test"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "https://evil.test"), ("Cookie", "a=b; accessToken=t")], True),
        ([("Origin", "null"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "https://server.test.evil.test"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "https://server.test:8443"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "https://evil.test\\@server.test"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "https://evil.test@server.test"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "https://server.test"), ("Cookie", "accessToken=t")], True),
        ([("Origin", "http://server.test"), ("Cookie", "accessToken=t")], False),
        ([("Origin", "https://page.test"), ("Cookie", "accessToken=t")], False),
        ([("Origin", "https://evil.test"), ("Cookie", "other=t")], False),
        ([("Origin", "https://evil.test")], False),
        ([("Cookie", "accessToken=t")], False),
    ],
)
async def test_only_a_foreign_page_with_the_users_cookie_is_refused(
    clock: MockClock, headers: list[tuple[str, str]], refused: bool
) -> None:
    server = make_server(allowed_origins=["https://page.test"], cookie_names=["accessToken"])
    async with serving(server) as service:
        peer = service.dial()
        await peer.upgrade(headers=headers)
        received = await peer.receive()
        if refused:
            assert isinstance(received, Refused)
            assert received.status == 403
            assert received.json() == {"code": 4, "message": "Forbidden"}
        else:
            assert isinstance(received, str)


async def test_connections_beyond_the_limit_are_asked_to_come_back(clock: MockClock) -> None:
    async with serving(make_server(max_connections=2)) as service:
        peers = [await service.joined() for _ in range(2)]
        late = service.dial()
        await late.upgrade()
        refusal = await late.receive()
        assert isinstance(refusal, Refused)
        assert refusal.status == 503
        await peers[0].close()
        await trio.testing.wait_all_tasks_blocked()
        again = service.dial()
        await again.open()


async def test_a_server_that_shuts_down_asks_to_come_back(clock: MockClock) -> None:
    async with serving(make_server()) as service:
        await service.server.shutdown()
        peer = service.dial()
        await peer.upgrade()
        refusal = await peer.receive()
        assert isinstance(refusal, Refused)
        assert refusal.status == 503


async def test_handlers_see_the_request_and_the_auth(clock: MockClock) -> None:
    server = SocketServer()
    seen: list[Handshake] = []

    @server.namespace("/").on_connect
    def connect(socket: Socket, auth: Any) -> None:
        seen.append(socket.handshake)

    async with serving(server) as service:
        peer = service.dial()
        await peer.upgrade(
            "/socket.io/?EIO=4&transport=websocket&room=a%20b&EIO=3&room=second",
            [
                ("Authorization", "Bearer t"),
                ("Cookie", 'accessToken="t"; theme=dark; theme=light'),
                ("X-Many", "1"),
                ("X-Many", "2"),
            ],
        )
        await peer.receive()
        await peer.connect(auth='{"token":"x"}')
    (handshake,) = seen
    assert handshake.headers["authorization"] == "Bearer t"
    assert handshake.headers["x-many"] == "1, 2"
    assert handshake.cookies == {"accessToken": "t", "theme": "dark"}
    assert handshake.query["room"] == "a b"
    assert handshake.auth == {"token": "x"}
    assert handshake.remote_address is None
    assert not handshake.secure
    assert handshake.issued is not None
    assert abs((datetime.now(UTC) - handshake.issued).total_seconds()) < 60


@pytest.mark.parametrize(
    "options",
    [
        {"socketio_path": "socket.io"},
        {"ping_interval": 0},
        {"max_payload": -1},
        {"max_unanswered_events": 0},
    ],
)
def test_a_setting_that_cannot_work_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SocketServer(**options)


@pytest.mark.parametrize("name", ["custom", "", "/a,b"])
def test_a_namespace_needs_a_name_that_can_be_sent(name: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        SocketServer().namespace(name)


def test_a_namespace_is_made_once() -> None:
    server = SocketServer()
    assert server.namespace("/a") is server.namespace("/a")


@pytest.mark.parametrize("version", [None, "8", "14", "13, 8"])
async def test_a_refused_version_is_told_which_one_is_spoken(version: str | None) -> None:
    # RFC 6455 §4.4
    async with serving(SocketServer()) as service:
        stream = service.dial().stream
        field = "" if version is None else f"Sec-WebSocket-Version: {version}\r\n"
        await stream.send_all(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n" % field.encode()
        )
        answer = await stream.receive_some(10_000)
    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer


def test_a_handshake_by_post_is_answered_by_405() -> None:
    # RFC 6455 §4.1: its body would be read as frames.
    fields = (
        ("host", "h"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    asked = Request("POST", "/ws/retreats/x", "1.1", fields)
    assert upgrade(asked, max_payload=100, deflate=False, now=0.0).status == 405


async def test_behind_a_proxy_the_id_of_a_session_names_its_server(clock: MockClock) -> None:
    async with serving(make_server(node="seoul-1")) as service:
        node, dot, random = (await service.dial().open())["sid"].partition(".")
        assert (node, dot) == ("seoul-1", ".")
        assert len(random) >= 20
        assert "." not in random


async def test_a_session_of_another_server_is_unknown(clock: MockClock) -> None:
    async with serving(make_server(node="a")) as service:
        sid = (await service.dial().open())["sid"]
        peer = service.dial()
        await peer.upgrade(f"/socket.io/?EIO=4&transport=websocket&sid=b{sid[1:]}")
        refusal = await peer.receive()
        assert isinstance(refusal, Refused)
        assert (refusal.status, refusal.json()["code"]) == (400, 1)


@pytest.mark.parametrize("node", ["", "a.b", "a b", "가", "a/"])
def test_the_name_of_a_server_fits_into_an_id(node: str) -> None:
    with pytest.raises(ValueError, match="node"):
        make_server(node=node)
