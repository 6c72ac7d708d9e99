"""Heads of HTTP requests, and the WebSocket handshakes among them.

Oracles: h11 for what a head says, and RFC 6455 §4.2.1, spelled out, for who gets a 101.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import Final

import h11

from gbs_actor.socketio import Request
from gbs_actor.socketio.net.request import (
    BadRequest,
    head_length,
    parse_request,
    refusal_of_head,
)
from gbs_actor.socketio.websocket.opening_handshake import upgrade
from scripts.fuzz.choices import Choices
from scripts.fuzz.running import Target

_GOOD_LINES: Final = (
    b"Host: a", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
_LINES: Final = (
    *_GOOD_LINES, b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Extensions: permessage-deflate", b"Content-Length: 3", b"Origin: http://a",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=08, x; a=\"b\\\"c\"",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15",
    b"Sec-WebSocket-Protocol: gbs.v1, bearer.x", b"Sec-WebSocket-Key: AAAA",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=", b"Sec-WebSocket-Version: 8",
    b"Upgrade: WebSocket , h2c", b"Upgrade: h2c", b"Connection: close", b"Cookie: a=b; c=\"d\"",
    b"Transfer-Encoding: chunked", b"X: \xff\xfe", b"X:", b" folded", b"X : y", b"X\tY: z", b": no",
    b"X-Forwarded-For: 1.2.3.4", b"X: \x00", b"X: a\rb", b"connection:\tUPGRADE\t",
    b"Sec-WebSocket-Protocol: ", b"Sec-WebSocket-Extensions: ;", b"Upgrade: ,websocket,",
    b"X: \x0b", b"X: \x85y", b"X: \xa0y\xa0", b"X: " + b" \t" * 20_000 + b"\x01",
)  # fmt: skip
_REQUEST_LINES: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", b"GET / HTTP/1.1", b"POST / HTTP/1.1",
    b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"GET / HTTP/2.0", b"GET /", b"OPTIONS * HTTP/1.1",
    b"GET http://a/b HTTP/1.1", b"GET /\xff HTTP/1.1", b"get / http/1.1", b"PRI * HTTP/2.0",
    b"CONNECT a:1 HTTP/1.1", b"", b" GET / HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET / HTTP/1.1 ",
)  # fmt: skip
_ENDS: Final = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r\r\n", b"\r", b"\n\r", b"")
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def check(choices: Choices) -> None:
    head = make_head(choices)
    length = head_length(head)
    assert _length_piecewise(choices.split(head, 4)) == length, "another end, piece by piece"
    if length is None:
        assert b"\n\n" not in head and b"\n\r\n" not in head
        return
    head = head[:length]
    assert re.search(rb"\n\r?\n\Z", head)
    expected = _parse(head)
    try:
        request = parse_request(head)
    except BadRequest as bad:
        assert refusal_of_head(bad.status).status == bad.status
        assert expected is None or _is_refused_besides(head, expected), "a good head is refused"
        return
    assert expected is not None or re.search(rb"[\x0b\x0c\x85\x1c-\x1f]", head), "a bad one is not"
    if expected is not None:
        _check_parsed(request, expected)
    assert request.path + ("?" if "?" in request.target else "") + request.query == request.target
    _check_upgrade(request, deflate=choices.chance())


def _check_parsed(request: Request, expected: h11.Request) -> None:
    assert request.method.encode() == expected.method
    assert request.target.startswith("/")
    assert expected.target.endswith(request.target.encode())
    assert request.version == ("1.0" if expected.http_version == b"1.0" else "1.1")
    changed = {b"connection", b"upgrade", b"content-length", b"transfer-encoding", b"host"}
    fields = [(name.encode(), value.encode("latin-1")) for name, value in request.fields]
    assert [field for field in fields if field[0] not in changed] == [
        field for field in expected.headers if field[0] not in changed
    ]


def make_head(choices: Choices) -> bytes:
    """Return a request's head, good or nearly so, and what comes behind it."""
    if choices.chance(8):
        return choices.bytes(60)
    good = not choices.chance(4)
    lines = [_REQUEST_LINES[0], *_GOOD_LINES] if good else [choices.pick(_REQUEST_LINES)]
    for _ in choices.times(6):
        line = choices.pick(_LINES)
        if choices.chance(4):
            line = choices.spoil_bytes(line)
        lines.insert(choices.below(len(lines)) + 1, line)
    if choices.chance(4):
        del lines[choices.below(len(lines))]
    end = choices.pick(_ENDS)
    return end.join([*lines, b""]) + end + choices.bytes(20)


def _length_piecewise(pieces: list[bytes]) -> int | None:
    """Look for the end as the pieces come, each searched once."""
    received = bytearray()
    for piece in pieces:
        searched = len(received)
        received += piece
        length = head_length(received, searched)
        if length is not None:
            return length
    return None


def _parse(head: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def _is_refused_besides(head: bytes, request: h11.Request) -> bool:
    """Return whether a head that h11 takes is refused on purpose."""
    headers = list(request.headers)
    names = [line.partition(b":")[0].lower() for line in head.split(b"\n")[1:]]
    path = request.target.partition(b"?")[0]
    upgrades = [value.lower() for name, value in headers if name == b"upgrade"]
    return (
        request.http_version[:1] != b"1"
        or request.method != request.method.upper()
        or request.method == b"CONNECT"
        or re.fullmatch(rb"(/|https?://a/)[^#]*", request.target) is None
        or re.search(rb"%(00|(?![0-9A-Fa-f]{2}))", path) is not None
        or re.search(rb"\n[ \t]", head) is not None
        or names.count(b"content-length") > 1
        or (b"transfer-encoding" in names and b"content-length" in names)
        or (b"transfer-encoding" in names and request.http_version == b"1.0")
        or dict(headers).get(b"host", b"a") != b"a"
        or any(b"websocket" in upgrade for upgrade in upgrades)
    )


def _check_upgrade(request: Request, *, deflate: bool) -> None:
    upgraded = upgrade(request, max_payload=1_000, deflate=deflate, now=0.0)
    status = upgraded.status
    assert status in {101, 400, 405, 426}, f"status {status}"
    head, end, body = upgraded.head.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) and end
    assert upgraded.accepted == (status == 101)
    if not upgraded.accepted:
        return
    assert not body
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    key = request.header("sec-websocket-key")
    assert request.method == "GET"
    assert request.header("sec-websocket-version") == "13"
    assert (request.header("upgrade") or "").lower().strip(" \t,") == "websocket"
    assert "upgrade" in re.split(r"[ \t,]+", (request.header("connection") or "").lower())
    assert key is not None and len(key) >= 24
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    assert headers["Sec-WebSocket-Accept"] == b64encode(digest).decode()
    agreed = headers.get("Sec-WebSocket-Extensions")
    assert upgraded.deflated == (agreed is not None)
    if agreed is not None:
        assert deflate
        assert "permessage-deflate" in (request.header("sec-websocket-extensions") or "")
        assert "server_no_context_takeover" in agreed
        assert "client_no_context_takeover" in agreed
        assert "server_max_window_bits" not in agreed, "compressed for one client alone"


TARGET = Target("request-head", check, slice=120)
