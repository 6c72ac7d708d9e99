"""The front door, HTTP server behind it included, with anything that sockets can bring.

Over plain connections and TLS, good requests and arbitrary bytes, at once and in pieces. What
must hold: each connection ends in time, whoever it is from; no peer's fault becomes a failure of
the server; the others are served; and nothing is left.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Final

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import EngineApp, FrontDoor, TlsListener
from gbs_actor.socketio.net.request import head_length
from scripts.fuzz.application import MAX_CONNECTIONS, PATH, Application
from scripts.fuzz.choices import Choices
from scripts.fuzz.client import NarrowListener
from scripts.fuzz.running import Target
from scripts.fuzz.simulation import living_tasks, simulate
from scripts.fuzz.targets.request_head import make_head
from tests.certificates import Authority
from tests.socketio.frames import CLOSE, TEXT, frame
from tests.socketio.peer import Peer

_HEAD_LIMIT: Final = 2_000
_PAUSES: Final = (0.0, 0.0, 0.3, 9.9, 10.3, 31.1, 61.7)
_LONG: Final = 400.7
_WEBSOCKET: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_POLL: Final = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n"
_FRAGMENTS: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", _POLL + b"\r\n",
    b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 2\r\n\r\n40",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", b"GET", b"\r\n", b"\r\n\r\n",
    b"\x00",
    b"GET /" + b"x" * 3_000,
    b"GET / HTTP/1.1\r\nX: " + b"x" * 3_000 + b"\r\n\r\n",
    b"X" * 100 + b": y\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello", b"\x15\x03\x03\x00\x02\x02\x28",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"HTTP2-Settings: \r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"GET //[ HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /socket.io HTTP/1.1\r\nHost: a\r\n\r\n",
    _WEBSOCKET, b"CONNECT a:1 HTTP/1.1\r\n\r\n",
)  # fmt: skip
_STATUS: Final = re.compile(rb"(?:\A|\r\n\r\n[^\r\n]*)HTTP/1\.1 ([0-9]{3}) ")
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_AT_ONCE, _AT_END, _BY_EOF = range(3)
"""When a peer closes its connection: as soon as all is sent, when the server does, or half of it
as soon as all is sent."""


def check(choices: Choices) -> None:
    order = choices.below(256)

    async def scenario() -> None:
        case = _Scenario(choices)
        try:
            await case.run()
        finally:
            for listener in (case.plain, case.tls):
                listener.close_all()

    simulate(scenario, order)


@cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server and its clients need for TLS."""
    authority = Authority()
    with tempfile.TemporaryDirectory() as folder:
        issued = authority.issue(Path(folder))
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(issued.certificate, issued.key)
    server.set_alpn_protocols(["http/1.1"])
    return server, authority.client_context()


class _Scenario:
    """The door and all who come to it."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._application = Application()
        server = self._application.server
        self._http = HttpServer(
            EngineApp(server),
            head_limit=_HEAD_LIMIT,
            max_payload=2_000,
            http_idle_timeout=60,
        )
        self._door = FrontDoor(
            {PATH: server.serve_websocket},
            self._http.serve,
            requests={PATH: server.serve_http} if choices.chance() else {},
            head_limit=_HEAD_LIMIT,
            connections=MAX_CONNECTIONS,
        )
        self.plain = NarrowListener()
        self.tls = NarrowListener()

    async def run(self) -> None:
        async with self._serving() as around:
            other = Peer(self.plain.dial_socket())
            await other.join()
            sending = trio.Lock()
            around.start_soon(_answer_pings, other, sending)
            await wait_all_tasks_blocked()
            tasks = living_tasks()
            with trio.move_on_after(10 * _LONG) as scope:
                async with trio.open_nursery() as visitors:
                    for _ in self._choices.times(8):
                        await self._step(visitors)
            assert not scope.cancelled_caught, "a connection does not end"
            await trio.sleep(_LONG)
            sent = len(other.pongs)
            async with sending:
                await other.ping(b"still there?")
            await wait_all_tasks_blocked()
            assert len(other.pongs) == sent + 1, "the other client is served no more"
            self._check(connections=1)
            assert living_tasks() == tasks, f"{living_tasks() - tasks} tasks too many"
            await self._serve_others()
            await trio.aclose_forcefully(other.stream)
            await trio.sleep(_LONG)
            self._check(connections=0)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[trio.Nursery]:
        listeners = [self.plain, TlsListener(self.tls, lambda: _contexts()[0])]
        async with self._application.server.serving(), trio.open_nursery() as nursery:
            await nursery.start(self._door.serve, listeners)
            yield nursery
            nursery.cancel_scope.cancel()

    def _check(self, connections: int) -> None:
        door = self._door.statistics()
        assert door.failures == 0, "a connection has failed"
        assert door.connections == connections, f"{door.connections} connections"
        assert door.http_connections == 0
        assert self._http.statistics().open_streams == 0
        self._application.check_empty(connections)

    async def _step(self, visitors: trio.Nursery) -> None:
        choices = self._choices
        # All is drawn here: the visits are tasks, whose order real sockets decide.
        visit = partial(self._visit_tls, choices.below(4)) if choices.chance(4) else self._visit
        pieces, pause, close = self._pieces(), choices.pick(_PAUSES), choices.below(3)
        for _ in range(14 if choices.chance(16) else 1):  # more than may come at once
            visitors.start_soon(visit, pieces, pause, close)
        if choices.chance():
            await trio.sleep(choices.pick(_PAUSES))

    def _pieces(self) -> list[bytes]:
        """Return what a visitor sends, in pieces."""
        choices = self._choices
        data = b""
        for _ in range(1 + choices.below(4)):
            match choices.below(6):
                case 0 | 1:
                    data += choices.pick(_FRAGMENTS)
                case 2:
                    data += make_head(choices)
                case 3:
                    data += choices.bytes(60) or b"-"
                case 4:
                    opcode = choices.below(16)
                    data += _WEBSOCKET + frame(TEXT, b"40") + frame(opcode, choices.bytes(20))
                case _:
                    data += choices.spoil_bytes(choices.pick(_FRAGMENTS)) + b"\n"
        return choices.split(data, 5)

    async def _visit(self, pieces: list[bytes], pause: float, close: int) -> None:
        answer = await _talk(self.plain.dial_socket(), pieces, pause, close)
        assert not answer or answer.startswith(b"HTTP/1.1 "), answer[:50]
        statuses = _STATUS.findall(answer)
        assert not {b"500", b"502"} & set(statuses), "an error of the server's"
        sent = b"".join(pieces)
        sent = sent.lstrip(b"\r\n")
        length = head_length(sent)
        if (length or len(sent)) > _HEAD_LIMIT:
            refused: tuple[list[bytes], ...] = ([], [b"400"], [b"408"], [b"431"], [b"503"])
            assert statuses[:1] in refused, "too large a head is served"
        elif length is None and pause:
            assert statuses[:1] in ([], [b"400"], [b"408"], [b"503"]), "half a head is served"

    async def _visit_tls(self, how: int, pieces: list[bytes], pause: float, close: int) -> None:
        """Come without TLS to a port for it, or with it, or leave it once it is there."""
        stream = self.tls.dial_socket()
        if how == 0:
            await _talk(stream, pieces, pause, close)
            return
        inner = self._in_tls(stream)
        with trio.move_on_after(5):
            try:
                await inner.do_handshake()
            except _GONE:
                assert self._door.statistics().refused, "no handshake"
                return
        await _talk(stream if how == 1 else inner, pieces, pause, close)

    @staticmethod
    def _in_tls(stream: trio.SocketStream) -> trio.SSLStream[trio.SocketStream]:
        return trio.SSLStream(
            stream, _contexts()[1], server_hostname="localhost", https_compatible=True
        )

    async def _serve_others(self) -> None:
        """Serve one more request on each of the ways."""
        pieces = [_POLL, b"Connection: close\r\n\r\n"]
        answer = await _talk(self.plain.dial_socket(), pieces, 0, _AT_END)
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        assert b'"upgrades"' in answer
        pieces = [_WEBSOCKET + frame(TEXT, b"40") + frame(CLOSE, b"")]  # all at once
        answer = await _talk(self.plain.dial_socket(), pieces, 0, _AT_END)
        assert b'40{"sid"' in answer, answer[:200]
        inner = self._in_tls(self.tls.dial_socket())
        pieces = [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
        answer = await _talk(inner, pieces, 0, _AT_END)
        assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]


async def _answer_pings(peer: Peer, sending: trio.Lock) -> None:
    with suppress(*_GONE):
        while isinstance(received := await peer.receive(), (str, bytes)):
            if received == "2":
                async with sending:
                    await peer.send("3")


async def _talk(stream: trio.abc.Stream, pieces: list[bytes], pause: float, close: int) -> bytes:
    """Send pieces, and receive until the server ends the connection, or it is closed here."""
    received = bytearray()
    over = trio.Event()

    async def receive() -> None:
        with suppress(*_GONE):
            async for data in stream:
                received.extend(data)
        over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        with suppress(*_GONE):
            for piece in pieces:
                await stream.send_all(piece)
                await trio.sleep(pause)
            if close == _BY_EOF and isinstance(stream, trio.SocketStream):
                await stream.send_eof()
        if close != _AT_ONCE:
            await over.wait()
        await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()
    return bytes(received)


TARGET = Target("front-door", check, slice=25)
