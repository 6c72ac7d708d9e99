"""The whole server with requests of clients that have no valid token, on both ways in.

What must hold: a request of theirs is served or refused, never an error of the server's; nothing is
logged above INFO; and the connection serves the next request, or is closed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from pydantic import SecretStr

from gbs_actor.server.composition import Composition
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.settings import AuthSettings, HttpSettings, Settings
from gbs_actor.socketio import FrontDoor
from gbs_actor.store.memory import MemoryStore
from scripts.fuzz.choices import Choices
from scripts.fuzz.client import NarrowListener
from scripts.fuzz.running import Target
from scripts.fuzz.simulation import simulate
from tests.gateway.serving import SECRET, SLUG, seed

_SETTINGS: Final = Settings(
    auth=AuthSettings(jwt_secret=SecretStr(SECRET)),
    http=HttpSettings(trusted_proxies=("unix",), allowed_origins=("https://page.example",)),
)
_LINEUP: Final = f"/api/v1/retreat/{SLUG}/line-up/"
_PATHS: Final = (
    "/", "/healthz", "/readyz", "/docs", "/openapi.json", "/admin/rooms", f"/admin/rooms/{SLUG}",
    "/socket.io/", "/ws/retreats/", f"/ws/retreats/{SLUG}", f"{_LINEUP}user-lineups",
    f"{_LINEUP}user-lineups/1", f"{_LINEUP}assign-gbs", f"{_LINEUP}1/lineup-memo", "//[", "*",
    "http://a/healthz", "http://[::1]/", "/%ff", "/%00", "/%", "/docs/x/y", "/a/../b", "/\\", "",
)  # fmt: skip
_QUERIES: Final = (
    "EIO=4", "EIO=3", "EIO=%ff", "transport=polling", "transport=websocket", "sid=x", "sid=",
    "since=1", "since=" + "9" * 5_000, "since=-1", "since=%d9%a1", "epoch=x", "epoch=%00",
    "updates=batch", "a=b;c=d", "&" * 200, "=", "%", "%zz", "j=0", "t=x", "[]=1", "EIO=4&EIO=4",
)  # fmt: skip
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW")
_HOSTS: Final = (
    "a", "", "a..b", ".", "x" * 300, "[::1]", "[::1", "a:99999999999", "xn--a-0", "\xff", "a b",
    "xn--" + "a" * 60, "1.2.3.4.5", "a:0", "-", "_",
)  # fmt: skip
_FIELDS: Final = (
    "Origin", "Cookie", "Authorization", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "Content-Type", "Accept", "Accept-Encoding", "Accept-Language", "If-Match", "If-None-Match",
    "If-Modified-Since", "If-Range", "Idempotency-Key", "Range", "Expect", "TE", "Trailer",
    "Access-Control-Request-Method", "Access-Control-Request-Headers", "Referer", "User-Agent",
    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "Connection",
    "Sec-WebSocket-Version", "Upgrade", "Content-Encoding", "Date", "Forwarded", "X-HTTP-Method",
)  # fmt: skip
_VALUES: Final = (
    "", "a", "*", "null", "http://a", "https://page.example", "https://[::1", "http://a:x",
    "accessToken=x", "accessToken", "accessToken=\"; b=\xff; =", "accessToken=a.b.c", "=" * 500,
    "Bearer x", "Bearer", "bearer a.b.c", "Basic \xff", "Bearer e30.e30.e30", "Digest x=\"",
    "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "Bearer eyJhbGciOiJub25lIiwia2lkIjpbXX0.e30.",
    "1.2.3.4, unknown", "unix:", "999.1.1.1", "::1%eth0", "[::1]:x", "https, gopher", "a, b..c",
    "application/json", "text/html; charset=\xff", "multipart/form-data; boundary=\"", "a/b; c",
    "application/x-www-form-urlencoded", "gzip;q=x", "br, *;q=0", "bytes=0-", "bytes=9-1,x",
    '"1"', 'W/"1"', "1", "9" * 5_000, '"', "\"\\", "Thu, 99 Foo 0000 99:99:99 GMT", "trailers",
    "00000000-0000-0000-0000-000000000000", "100-continue", "close", "keep-alive, Upgrade",
    "websocket", "h2c", "13", "8", "gbs.v1", "gbs.v1, bearer.x", "bearer.\xff", "a b", ",", ";",
    "dGhlIHNhbXBsZSBub25jZQ==", "permessage-deflate; server_max_window_bits=x", "PUT", "\x01",
    "for=\"[::1]\";host=\"", "%00", "\xed\xa0\x80", "\xc0\xaf", "\x1b]52;c;x\x07",
)  # fmt: skip
_BODIES: Final = (
    b"", b"{}", b"[", b"\xff", b'{"gbsNumber":1e999}', b"40", b"4" * 3_000, b"[" * 5_000, b"a=b",
)  # fmt: skip
_HANDSHAKE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_ALLOWED: Final = {b"501", b"505"}  # transfer codings and versions
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


def check(choices: Choices) -> None:
    requests = [make_request(choices) for _ in range(1 + choices.below(4))]
    simulate(lambda: _run(requests))


def make_request(choices: Choices) -> bytes:
    """Return a request that is well-formed, mostly."""
    method = choices.pick(_METHODS)
    target = choices.pick(_PATHS)
    if choices.chance():
        target += "?" + "&".join(choices.pick(_QUERIES) for _ in range(1 + choices.below(4)))
    if choices.chance(4):
        target = choices.spoil(target)
    host = choices.pick(_HOSTS) if choices.chance(3) else "a"
    fields = [f"Host: {host}\r\n"]
    fields += [f"{choices.pick(_FIELDS)}: {_value(choices)}\r\n" for _ in choices.times(5)]
    if choices.chance(3):
        method = "GET"
        fields.append(_HANDSHAKE)
    body = b""
    if method in {"POST", "PUT", "DELETE", "PATCH"}:
        body = choices.pick(_BODIES)
        fields.append(f"Content-Length: {len(body)}\r\n")
    head = f"{method} {target} HTTP/1.{choices.pick((1, 1, 0))}\r\n{''.join(fields)}\r\n"
    return head.encode("latin-1", "replace") + body


def _value(choices: Choices) -> str:
    value = choices.pick(_VALUES)
    return choices.spoil(value, _VALUES) if choices.chance(4) else value


async def _run(requests: list[bytes]) -> None:
    store = MemoryStore()
    await store.import_retreat(seed())
    composition = Composition(store, _SETTINGS)
    own, stock = NarrowListener(), NarrowListener()
    http = HttpServer(
        composition.app, head_limit=16_384, max_payload=1_000_000, http_idle_timeout=75
    )
    sockets, plain = composition.sockets, composition.plain
    paths = {sockets.path: sockets.serve_websocket, plain.path: plain.serve_websocket}
    door = FrontDoor(paths, http.serve, trusted_proxies=sockets.trusted_proxies)
    try:
        async with composition.running(), trio.open_nursery() as nursery:
            await nursery.start(door.serve, [own])
            nursery.start_soon(_serve_stock, stock, composition)
            for listener in (own, stock):
                for request in requests:
                    await _send(listener, request)  # on a connection of its own
                await _send(listener, *requests)
            nursery.cancel_scope.cancel()
    finally:
        own.close_all()
        stock.close_all()
    assert door.statistics().failures == 0


async def _serve_stock(listener: NarrowListener, composition: Composition) -> None:
    """Serve connections as Hypercorn does by itself."""
    context = WorkerContext(None)
    async with trio.open_nursery() as nursery:
        while True:
            stream = await listener.accept()
            server = TCPServer(ASGIWrapper(composition.app), Config(), context, {}, stream)  # type: ignore[arg-type]
            nursery.start_soon(server.run)


async def _send(listener: NarrowListener, *requests: bytes) -> None:
    """Send requests one behind the other and check what comes."""
    async with listener.dial_socket() as stream:
        received = bytearray()

        async def receive() -> None:
            with suppress(*_GONE):
                async for data in stream:
                    received.extend(data)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            with suppress(*_GONE):
                for request in requests:
                    await stream.send_all(request)
                    await trio.sleep(20)
                before = len(received)
                await stream.send_all(_HEALTH)
                await trio.sleep(20)
                if b" 101 " not in received[:before] and b" 100 " not in received[:before]:
                    assert len(received) > before, "a connection is kept, and serves nothing"
            nursery.cancel_scope.cancel()
    failed = {status for status in _STATUS.findall(received) if status >= b"500"} - _ALLOWED
    assert not failed, f"{failed} for {requests}"


TARGET = Target("strangers", check, slice=40)
