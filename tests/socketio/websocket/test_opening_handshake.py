"""The opening handshake: what is accepted without ``websockets`` is what that accepts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbs_actor.socketio import Request
from gbs_actor.socketio.net.request import parse_request
from gbs_actor.socketio.websocket import opening_handshake
from gbs_actor.socketio.websocket.frame_parser import FrameParser
from gbs_actor.socketio.websocket.opening_handshake import Upgrade, negotiate, upgrade

NOW = 1_700_000_000.0
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
FIELDS = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", KEY),
)
VALUES = {
    "connection": ["Upgrade", "upgrade", "keep-alive, Upgrade", "close", "", "Upgrade,"],
    "upgrade": ["websocket", "WebSocket", "h2c", "websocket/13", "h2c, websocket", ""],
    "sec-websocket-version": ["13", "8", "13, 8", " 13", ""],
    "sec-websocket-key": [KEY, KEY[:-1], "x", "", "AAAAAAAAAAAAAAAAAAAAA/==", "é" * 24],
    "sec-websocket-protocol": ["chat", "chat, lineup", "lineup,, chat", "", "a b", "a;b", "é"],
    "sec-websocket-extensions": [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=9",
        "x-other",
        ";",
        "",
    ],
    "sec-websocket-x": ["\x01"],
    "cookie": ["a=b", "a=\x7f"],
    "host": ["h"],
}

one_field = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(VALUES[name]))
)


@st.composite
def field_lists(draw: st.DrawFn) -> tuple[tuple[str, str], ...]:
    """Fields of a handshake: those of a right one, some replaced, repeated, added or left out."""
    fields = list(FIELDS)
    for changed in draw(st.lists(one_field, max_size=3)):
        if draw(st.booleans()):
            fields = [field for field in fields if field[0] != changed[0]]
        if draw(st.sampled_from([True, True, False])):
            fields.append(changed)
    return tuple(draw(st.permutations(fields)))


def outcome(upgraded: Upgrade) -> tuple[object, ...]:
    """What can be seen of a response; its fields may be in another order."""
    head = sorted(upgraded.head.split(b"\r\n"))
    return upgraded.status, head, upgraded.hints, upgraded.deflated, type(upgraded.parser)


@settings(max_examples=1_000)
@given(
    st.sampled_from(["GET", "GET", "GET", "POST"]),
    field_lists(),
    st.booleans(),
    st.lists(st.sampled_from(["chat", "lineup", "other"]), unique=True),
)
def test_every_handshake_gets_the_response_of_websockets(
    method: str, fields: tuple[tuple[str, str], ...], deflate: bool, available: list[str]
) -> None:
    request = Request(method, "/x", "1.1", fields)
    ours = upgrade(request, max_payload=100, deflate=deflate, subprotocols=available, now=NOW)
    theirs = negotiate(request, max_payload=100, deflate=deflate, subprotocols=available, now=NOW)
    assert outcome(ours) == outcome(theirs)
    assert b"\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in ours.head


@pytest.mark.parametrize(
    ("further", "deflate"),
    [
        ("", False),
        ("", True),
        ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", False),
        ("Sec-WebSocket-Protocol: chat, lineup\r\n", False),
        ("Origin: https://a.test\r\nCookie: a=b\r\nUser-Agent: x\r\n", False),
    ],
)
def test_what_a_browser_sends_is_accepted_without_websockets(
    further: str, deflate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(opening_handshake, "negotiate")
    request = parse_request(
        "GET /socket.io/ HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
        f"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        f"{further}\r\n".encode()
    )
    upgraded = upgrade(request, max_payload=100, deflate=deflate, subprotocols=["lineup"], now=NOW)
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in upgraded.head
    assert (b"\r\nSec-WebSocket-Protocol: lineup\r\n" in upgraded.head) == ("lineup" in further)
    assert isinstance(upgraded.parser, FrameParser)


@pytest.mark.parametrize("name", [name for name, _ in FIELDS])
def test_a_control_character_in_a_field_of_the_handshake_is_refused(name: str) -> None:
    request = Request("GET", "/", "1.1", (*FIELDS, (name, "a\x01")))
    upgraded = upgrade(request, max_payload=1_000, deflate=False, now=NOW)
    assert upgraded.status == 400
