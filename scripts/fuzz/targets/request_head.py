"""Heads of HTTP requests, and the WebSocket handshakes among them.

Judges: h11 for what a head says, and RFC 6455 §4.2.1, spelled out, for who gets a 101.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import Final

import h11

from gbs_actor.socketio.channel.websocket import upgrade
from gbs_actor.socketio.net.request import Request, head_length, parse_request
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target

LINES: Final = (
    b"Host: a", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Connection: keep-alive, Upgrade",
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
    b"X: \x0b", b"X: \x85y",
)  # fmt: skip
"""Header fields, the good ones first."""

REQUEST_LINES: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", b"GET / HTTP/1.1", b"POST / HTTP/1.1",
    b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"GET / HTTP/2.0", b"GET /", b"OPTIONS * HTTP/1.1",
    b"GET http://a/b HTTP/1.1", b"GET /\xff HTTP/1.1", b"get / http/1.1", b"PRI * HTTP/2.0",
    b"CONNECT a:1 HTTP/1.1", b"", b" GET / HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET / HTTP/1.1 ",
)  # fmt: skip

_GOOD_FIELDS: Final = 5
_ENDS: Final = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r\r\n", b"\r", b"\n\r", b"")
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def check(data: bytes) -> None:
    choices = Choices(data)
    head = make_head(choices)
    length = head_length(head)
    for end in {choices.below(len(head) + 1), len(head) - 1}:
        assert head_length(head[: max(end, 0)]) in {None, length}
    if length is None:
        assert b"\n\n" not in head
        assert b"\n\r\n" not in head
        return
    assert re.search(rb"\n\r?\n\Z", head[:length])
    request = parse_request(head[:length])
    expected = _parse(head[:length])
    if request is None:
        assert expected is None or not _is_ours(head[:length]), "a good head is not understood"
        return
    if expected is not None:
        assert request.method.encode() == expected.method
        assert request.target.encode() == expected.target
        assert request.version.encode() == expected.http_version
        said = [(name.encode(), value.encode("latin-1")) for name, value in request.fields]
        read = [(bytes(name), bytes(value)) for name, value in expected.headers]
        assert _without_framing(said) == _without_framing(read)
    assert request.path + ("?" if "?" in request.target else "") + request.query == request.target
    _check_upgrade(request, deflate=choices.flip())


def make_head(choices: Choices) -> bytes:
    """Return a request's head, good or nearly so."""
    if choices.flip(8):
        return choices.rest
    good = not choices.flip(4)
    lines = [REQUEST_LINES[0] if good else choices.pick(REQUEST_LINES)]
    if good:
        lines.extend(LINES[:_GOOD_FIELDS])
    while choices.more():
        line = choices.pick(LINES)
        if choices.flip(4):
            at = choices.below(len(line) + 1)
            line = line[:at] + choices.take(3) + line[at + choices.below(3) :]
        lines.insert(choices.below(len(lines)) + 1, line)
    if choices.flip(4):
        del lines[choices.below(len(lines))]
    lines.append(b"")
    end = choices.pick(_ENDS)
    return end.join(lines) + end + choices.take(20)


def _parse(head: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def _without_framing(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Leave out what h11 joins or rewrites."""
    return [pair for pair in fields if pair[0] not in {b"content-length", b"transfer-encoding"}]


def _is_ours(head: bytes) -> bool:
    """Return whether a head that h11 takes is one to understand here, too.

    Not so, on purpose: other versions, lines that are folded, and control characters.
    """
    line = head.split(b"\n")[0]
    return (
        re.search(rb"HTTP/1\.[01]\r?\Z", line) is not None
        and re.search(rb"\n[ \t]", head) is None
        and re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", head.replace(b"\r\n", b"\n")) is None
    )


def _check_upgrade(request: Request, *, deflate: bool) -> None:
    upgraded = upgrade(request, max_payload=1_000, deflate=deflate)
    status = upgraded.response.status_code
    assert status in {101, 400, 405, 426}, f"status {status}"
    upgraded.response.serialize()
    assert upgraded.accepted == (status == 101)
    if not upgraded.accepted:
        return
    headers = upgraded.response.headers
    key = request.header("sec-websocket-key")
    assert request.method == "GET"
    assert request.header("sec-websocket-version") == "13"
    assert (request.header("upgrade") or "").lower().strip(" \t,") == "websocket"
    assert "upgrade" in re.split(r"[ \t,]+", (request.header("connection") or "").lower())
    assert key is not None
    assert len(key) >= 24
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    assert headers["Sec-WebSocket-Accept"] == b64encode(digest).decode()
    offers = request.header("sec-websocket-extensions") or ""
    agreed = headers.get("Sec-WebSocket-Extensions")
    assert upgraded.deflated == (agreed is not None)
    if agreed is not None:
        assert deflate
        assert "permessage-deflate" in offers
        assert "server_no_context_takeover" in agreed
        assert "client_no_context_takeover" in agreed
        assert "server_max_window_bits" not in agreed, "compressed for one client alone"


TARGET = Target("request-head", check, max_size=128, slice=3_000)
