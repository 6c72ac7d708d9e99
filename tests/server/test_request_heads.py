"""One table of request heads, for every way in.

The front door serves WebSockets on fresh connections; the app behind it serves the rest, and all of
them under stock Hypercorn. All follow the RFCs, and nginx where those leave a choice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest
import trio

from gbs_actor.socketio.net.front_door import http_stream
from tests.gateway.serving import SLUG
from tests.server.running import Running, answer, running, running_hosted, token

Serving = Callable[[], AbstractAsyncContextManager[Running]]

HEALTH = "/healthz"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
AT_ONCE = 3.0
"""Seconds; less than the server would linger for a client that does not close."""


@dataclass(frozen=True)
class Head:
    """A request's head, and what it gets as an ordinary request and as a WebSocket handshake."""

    name: str
    source: str
    """Where the rule is from."""
    status: int = 400
    websocket: int | None = None
    """The same as ``status`` by default, but 101 for 200."""
    line: str = "GET {} HTTP/1.1"
    fields: str = "Host: a\r\n"
    before: str = ""
    body: str = ""
    handshake: str = HANDSHAKE
    end: str = "\r\n"

    def request(self) -> tuple[bytes, int]:
        """Return the ordinary request, and the status it gets."""
        return self._written(HEALTH, self.fields), self.status

    def upgrade(self) -> tuple[bytes, int]:
        """Return the handshake, and the status it gets."""
        served = 101 if self.status == 200 else self.status
        data = self._written(WEBSOCKET, self.fields + self.handshake)
        return data, self.websocket or served

    def _written(self, target: str, fields: str) -> bytes:
        head = f"{self.line.format(target)}\r\n{fields}\r\n".replace("\r\n", self.end)
        return (self.before + head + self.body).encode("latin-1")


def host(value: str, status: int = 400) -> Head:
    return Head(f"Host: {value[:20]}", "RFC 9112 §3.2", status, fields=f"Host: {value}\r\n")


def field(name: str, source: str, line: str, status: int = 400) -> Head:
    return Head(name, source, status, fields=f"Host: a\r\n{line}\r\n")


def body(name: str, source: str, fields: str, status: int = 400, data: str = "") -> Head:
    """A head that says how long the body is; 405 is for one that is well-formed."""
    method, websocket = ("POST", 400) if status == 405 else ("GET", None)
    line = f"{method} {{}} HTTP/1.1"
    return Head(name, source, status, websocket, line, f"Host: a\r\n{fields}", body=data)


def handshake(name: str, source: str, old: str, new: str, status: int) -> Head:
    """A head that differs only as a handshake."""
    assert old in HANDSHAKE
    return Head(name, source, 200, status, handshake=HANDSHAKE.replace(old, new))


KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

HEADS = [
    Head("as usual", "RFC 9112 §2.1", 200),
    # The lines before
    Head("an empty line before", "RFC 9112 §2.2", 200, before="\r\n"),
    Head("several empty lines before", "nginx", 200, before="\r\n\r\n\n"),
    Head("a byte order mark before", "RFC 9112 §2.2", before="\xef\xbb\xbf"),
    Head("white space before", "RFC 9112 §2.2", before=" "),
    Head("TLS", "nginx", before="\x16\x03\x01\x02\x00\x01"),
    Head("lines that end in LF", "RFC 9112 §2.2", 200, end="\n"),
    # The target
    Head("an absolute target", "RFC 9112 §3.2.2", 200, line="GET http://a{} HTTP/1.1"),
    Head("one in capitals", "RFC 3986 §3.1", 200, line="GET HTTPS://A:443{} HTTP/1.1"),
    Head("one for another host", "RFC 9112 §3.2.2", 200, line="GET http://b{} HTTP/1.1"),
    Head("one without Host", "RFC 9112 §3.2", line="GET http://a{} HTTP/1.1", fields=""),
    Head("one without a host", "RFC 9110 §4.2.1", line="GET http://{} HTTP/1.1"),
    Head("one with a malformed host", "RFC 9112 §3.2", line="GET http://[::1{} HTTP/1.1"),
    Head("one with a user", "RFC 9110 §4.2.4", line="GET http://u@a{} HTTP/1.1"),
    Head("one of another scheme", "RFC 9112 §3.3", line="GET ftp://a{} HTTP/1.1"),
    Head("no slash", "RFC 9112 §3.2.1", line="GET x{} HTTP/1.1"),
    Head("a query only", "RFC 9112 §3.2.1", line="GET ?x={} HTTP/1.1"),
    Head("a fragment", "RFC 9112 §3.2", line="GET {}#x HTTP/1.1"),
    Head("a NUL", "RFC 9112 §3", line="GET {}\0 HTTP/1.1"),
    Head("beyond ASCII", "RFC 9112 §3", line="GET {}\xff HTTP/1.1"),
    Head("a NUL that is encoded", "nginx", line="GET /%00{} HTTP/1.1"),
    Head("an encoding that is none", "nginx", line="GET /%zz{} HTTP/1.1"),
    Head("half an encoding", "nginx", line="GET /% HTTP/1.1"),
    Head("an asterisk", "nginx", line="OPTIONS * HTTP/1.1"),
    Head("an authority", "RFC 9112 §3.2.3", line="CONNECT a:1 HTTP/1.1"),
    Head("CONNECT of a path", "RFC 9112 §3.2.3", line="CONNECT {} HTTP/1.1"),
    Head("too long a target", "RFC 6585 §5", 431, line=f"GET {{}}&{'x' * 20_000} HTTP/1.1"),
    # The request line
    Head("two words", "RFC 9112 §3", line="GET {}"),
    Head("two spaces", "RFC 9112 §3", line="GET  {} HTTP/1.1"),
    Head("a space behind", "RFC 9112 §3", line="GET {} HTTP/1.1 "),
    Head("a tab", "RFC 9112 §3", line="GET\t{} HTTP/1.1"),
    Head("a method in small letters", "RFC 9110 §9.1", line="get {} HTTP/1.1"),
    Head("an unknown method", "RFC 9110 §15.5.6", 405, 400, line="BREW {} HTTP/1.1"),
    Head("a handshake by POST", "RFC 6455 §4.1", 405, 400, line="POST {} HTTP/1.1"),
    Head("HTTP in small letters", "RFC 9112 §2.3", line="GET {} http/1.1"),
    Head("HTTP/0.9", "nginx", line="GET {} HTTP/0.9"),
    Head("HTTP/1.2", "RFC 9110 §2.5", 200, line="GET {} HTTP/1.2"),
    Head("HTTP/2.0", "RFC 9110 §15.6.6", 505, line="GET {} HTTP/2.0"),
    Head("HTTP/3.0", "RFC 9110 §15.6.6", 505, line="GET {} HTTP/3.0"),
    Head("the preface of HTTP/2", "RFC 9113 §3.4", 505, line="PRI * HTTP/2.0", fields=""),
    # Host
    Head("no Host", "RFC 9112 §3.2", fields=""),
    Head("two", "RFC 9112 §3.2", fields="Host: a\r\nHost: a\r\n"),
    Head("two that differ", "RFC 9112 §3.2", fields="Host: a\r\nHost: b\r\n"),
    *(host(value, 200) for value in ("a:", "A.b.", "a_b:8080", "[::1]", "[::1]:80", "1.2.3.4")),
    *(
        host(value)
        for value in (
            "", "a b", "a/b", "u@a", "a:b", "a:-1", "a:80:80", "a:70000", "[::1", "[zz]", "[]",
            "::1", "a,b", "\xfc", "a..b", ".", "http://a", "a\\b", "a#", "a?b", "x" * 64,
            "a." * 200,
        )
    ),
    # Other fields
    field("a folded line", "RFC 9112 §5.2", "X: y\r\n z"),
    Head("a folded line first", "RFC 9112 §2.2", fields=" X: y\r\nHost: a\r\n"),
    field("a space before the colon", "RFC 9112 §5.1", "X : y"),
    field("no colon", "RFC 9112 §5", "X"),
    field("no name", "RFC 9112 §5", ": y"),
    field("a name beyond ASCII", "RFC 9110 §5.1", "\xe4: y"),
    field("a NUL in a value", "RFC 9110 §5.5", "X: y\0"),
    field("a CR in a value", "RFC 9112 §2.2", "X: y\rz"),
    field("another control character", "nginx", "X: \x01y\x0bz\x7f", 200),
    field("a value beyond ASCII", "RFC 9110 §5.5", "X: \xff\xa0\x85", 200),
    field("too long a value", "RFC 6585 §5", f"X: {'x' * 20_000}", 431),
    field("an unknown expectation", "nginx", "Expect: x", 200),
    # The body's length
    body("no body", "RFC 9112 §6.2", "Content-Length: 0\r\n", 200),
    body("a body", "RFC 9112 §6.2", "Content-Length: 1\r\n", 405, "x"),
    body("chunks", "RFC 9112 §6.3", "Transfer-Encoding: Chunked\r\n", 405, "0\r\n\r\n"),
    *(
        body(f"Content-Length: {value}", "RFC 9112 §6.3", f"Content-Length: {value}\r\n")
        for value in ("", "+1", "-1", "x", "1, 1", "1 1", "0x1", "9" * 30, "\xb2")
    ),
    body("two lengths", "RFC 9112 §6.3", "Content-Length: 1\r\nContent-Length: 2\r\n"),
    body("the same length twice", "nginx", "Content-Length: 0\r\nContent-Length: 0\r\n"),
    body("length and chunks", "nginx", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    body("another coding", "RFC 9112 §6.1", "Transfer-Encoding: gzip, chunked\r\n", 501),
    body("no coding at all", "RFC 9112 §6.1", "Transfer-Encoding: identity\r\n", 501),
    body("chunks of chunks", "nginx", "Transfer-Encoding: chunked\r\n" * 2),
    Head(
        "chunks in HTTP/1.0", "RFC 9112 §6.1", line="POST {} HTTP/1.0",
        fields="Host: a\r\nTransfer-Encoding: chunked\r\n", body="0\r\n\r\n",
    ),
    # Upgrades. What asks for none in the right way is an ordinary GET: Engine.IO refuses it.
    handshake("without Connection", "RFC 9110 §7.8", "Connection: Upgrade\r\n", "", 400),
    handshake("another option", "RFC 9110 §7.8", "Connection: Upgrade", "Connection: close", 400),
    handshake("in a list", "RFC 9110 §7.6.1", ": Upgrade", ": keep-alive, UPGRADE", 101),
    handshake(
        "in two fields", "RFC 9110 §5.3", ": Upgrade", ": Upgrade\r\nConnection: keep-alive", 101
    ),
    handshake("two protocols", "RFC 9110 §7.8", ": websocket", ": h2c, WebSocket", 101),
    handshake("another protocol", "RFC 9110 §7.8", ": websocket", ": h2c", 400),
    handshake("another version of it", "RFC 6455 §4.2.1", ": websocket", ": websocket/13", 400),
    handshake("no key", "RFC 6455 §4.2.1", KEY, "", 400),
    handshake("two keys", "RFC 6455 §11.3.1", KEY, KEY * 2, 400),
    handshake("too short a key", "RFC 6455 §4.2.1", "dGhlIHNhbXBsZSBub25jZQ==", "AAAA", 400),
    handshake("no version", "RFC 6455 §4.2.1", "Sec-WebSocket-Version: 13\r\n", "", 426),
    handshake("an old version", "RFC 6455 §4.4", "Version: 13", "Version: 8", 426),
    handshake("two versions", "RFC 6455 §11.3.5", "Version: 13", "Version: 13, 8", 426),
    handshake("a subprotocol", "RFC 6455 §11.3.4", KEY, f"{KEY}Sec-WebSocket-Protocol: @\r\n", 400),
    handshake("an extension", "RFC 6455 §9.1", KEY, f"{KEY}Sec-WebSocket-Extensions: ;\r\n", 400),
    handshake("with a body", "RFC 6455 §4.1", KEY, f"{KEY}Content-Length: 2\r\n", 400),
    handshake("with chunks", "RFC 6455 §4.1", KEY, f"{KEY}Transfer-Encoding: chunked\r\n", 400),
    handshake("with an expectation", "RFC 9110 §10.1.1", KEY, f"{KEY}Expect: x\r\n", 101),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _long_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even a busy machine close a connection in a small part of that time."""
    monkeypatch.setattr(http_stream, "_LINGER", 10 * AT_ONCE)


@pytest.fixture(params=["own listener", "stock Hypercorn"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """Both ways in."""
    return running if request.param == "own listener" else running_hosted


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
async def test_every_way_in_gives_the_same_answer(
    serving: Serving, head: Head, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server:
        for data, status in (head.request(), head.upgrade()):
            for kept in (False, True):
                await get(server, data, status, kept=kept)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING or r.exc_info]


async def get(server: Running, data: bytes, status: int, *, kept: bool) -> None:
    """Send a request, and check its response and what becomes of the connection."""
    async with await server.stream() as stream:
        if kept:
            await healthy(stream)
        await stream.send_all(data)
        received = await response(stream)
        assert received.startswith(b"HTTP/1.1 %d " % status), received[:300]
        if status == 101:
            return
        fields, _, content = received.partition(b"\r\n\r\n")
        assert json.loads(content)
        if b"connection: close" in fields.lower():
            assert status >= 400
            await closed(stream)
        else:
            assert status in {200, 400, 405}
            await healthy(stream)


async def closed(stream: trio.abc.Stream) -> None:
    with trio.fail_after(AT_ONCE):
        assert await stream.receive_some() == b""


async def healthy(stream: trio.abc.Stream) -> None:
    assert (await answer(stream, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"))[9:12] == b"200"


async def response(stream: trio.abc.Stream) -> bytes:
    """Return a response: with its body, or only the head of a 101."""
    received = b""
    with trio.fail_after(5):
        while b"\r\n\r\n" not in received:
            chunk = await stream.receive_some()
            assert chunk, received
            received += chunk
    return received if received[9:12] == b"101" else received + await answer_rest(received, stream)


async def answer_rest(received: bytes, stream: trio.abc.Stream) -> bytes:
    head, _, content = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    rest = b""
    with trio.fail_after(5):
        while len(content) + len(rest) < length:
            chunk = await stream.receive_some()
            assert chunk, received
            rest += chunk
    return rest


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_an_upgrade_by_http_1_0_is_ignored(serving: Serving, version: str) -> None:
    # RFC 9110 §7.8
    head = f"GET {WEBSOCKET} HTTP/{version}\r\nHost: a\r\n{HANDSHAKE}\r\n".encode()
    async with serving() as server, await server.stream() as stream:
        await stream.send_all(head)
        received = await response(stream)
        if version == "1.1":
            assert received.startswith(b"HTTP/1.1 101 ")
            return
        assert received.startswith(b"HTTP/1.1 400 ")
        assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == 3
        await closed(stream)


async def test_http_1_0_needs_no_host_and_ends_after_the_response(serving: Serving) -> None:
    async with serving() as server, await server.stream() as stream:
        await stream.send_all(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await response(stream)).startswith(b"HTTP/1.1 200 ")
        await closed(stream)


@pytest.mark.parametrize(("origin", "status"), [("http://b", 101), ("http://a", 403)])
async def test_the_host_of_an_absolute_target_is_the_one_that_counts(
    serving: Serving, origin: str, status: int
) -> None:
    # RFC 9112 §3.2.2
    head = (
        f"GET http://b{WEBSOCKET} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n"
        f"Cookie: accessToken={token()}\r\n{HANDSHAKE}\r\n"
    )
    async with serving() as server:
        for kept in (False, True):
            await get(server, head.encode(), status, kept=kept)


async def test_a_byte_order_mark_before_json_is_refused(serving: Serving) -> None:
    # RFC 8259 §8.1
    data = b'\xef\xbb\xbf{"gbsNumber":3}'
    head = (
        f"PUT /api/v1/retreat/{SLUG}/line-up/user-lineups/2 HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Bearer {token()}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    async with serving() as server:
        for kept in (False, True):
            await get(server, head.encode() + data, 400, kept=kept)


async def test_a_websocket_elsewhere_is_not_found(serving: Serving) -> None:
    head = f"GET /healthz HTTP/1.1\r\nHost: a\r\n{HANDSHAKE}\r\n".encode()
    async with serving() as server:
        for kept in (False, True):
            async with await server.stream() as stream:
                if kept:
                    await healthy(stream)
                await stream.send_all(head)
                received = await response(stream)
                assert received.startswith(b"HTTP/1.1 404 ")
                assert b"\r\nconnection: close\r\n" in received.lower()
                await closed(stream)


@pytest.mark.parametrize("kept", [False, True])
async def test_a_refusal_is_read_even_if_much_more_was_sent(kept: bool) -> None:
    # RFC 9112 §9.6: a close with unread bytes would be a reset, which overtakes the response.
    async with running() as server, await server.stream() as stream:
        if kept:
            await healthy(stream)
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: a b\r\n\r\n" + b"x" * 1_000_000)
        assert (await response(stream)).startswith(b"HTTP/1.1 400 ")
        await closed(stream)
