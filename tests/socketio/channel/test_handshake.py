"""What a handshake offers."""

from __future__ import annotations

import pytest

from gbs_actor.environment import SYSTEM
from gbs_actor.socketio import offered_subprotocols
from gbs_actor.socketio.channel.handshake import join_fields, open_handshake
from gbs_actor.socketio.net.request import parse_request
from gbs_actor.socketio.net.trusted_proxies import RemoteEndpoint
from gbs_actor.socketio.websocket.subprotocol import select_subprotocol


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ("", []),
        ("Sec-WebSocket-Protocol: \r\n", []),
        ("Sec-WebSocket-Protocol: a, b\r\n", ["a", "b"]),
        ("Sec-WebSocket-Protocol: a,,\t b ,\r\n", ["a", "b"]),
        ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n", ["a", "b"]),
    ],
)
def test_subprotocols_are_offered_in_one_field_or_in_several(
    fields: str, offered: list[str]
) -> None:
    request = parse_request(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    assert offered_subprotocols(join_fields(request.fields)) == offered


@pytest.mark.parametrize(
    ("offered", "selected"),
    [(["b", "a"], "a"), (["b"], "b"), (["c", "b"], "b"), (["c"], None), ([], None), (["A"], None)],
)
def test_the_best_one_that_is_offered_is_selected(offered: list[str], selected: str | None) -> None:
    assert select_subprotocol(offered, ["a", "b"]) == selected


def test_kept_fields_are_as_those_that_were_sent() -> None:
    fields = {"host": "here", "cookie": "a=1; b=2; a=3"}
    sender = RemoteEndpoint("192.0.2.1", False, "here")
    handshake = open_handshake(fields, {"EIO": "4"}, sender, SYSTEM.now())
    assert handshake.headers == fields
    assert list(handshake.headers) == list(fields)
    assert handshake.headers.get("origin") is None
    assert "origin" not in handshake.headers
    assert handshake.query["EIO"] == "4"
    with pytest.raises(KeyError):
        handshake.query["sid"]
    assert handshake.cookies == {"a": "1", "b": "2"}


def test_who_sends_no_cookie_has_none() -> None:
    assert open_handshake({}, {}, RemoteEndpoint(None, False, None), SYSTEM.now()).cookies == {}
