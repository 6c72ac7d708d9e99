"""The front door, HTTP server behind it included, with anything that sockets can bring.

Over plain connections and TLS, good requests and arbitrary bytes, at once and in pieces. What
must hold: each connection ends in time, whoever it is from; nobody's fault becomes a failure
of the server; the others are served; and nothing is left.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import EngineApp, FrontDoor, TlsListener
from gbs_actor.socketio.net.request import head_length
from scripts.fuzz import trio_cases
from scripts.fuzz.choices import Choices
from scripts.fuzz.target import Target
from scripts.fuzz.targets.request_head import make_head
from scripts.fuzz.websocket_client import HEADERS, TEXT, Incoming, frame, sockets
from scripts.fuzz.world import PATH, World, no_complaints
from tests.certificates import Authority

HEAD_LIMIT: Final = 2_000
_MOST: Final = 12
"""Connections that the door takes at once, the witness included."""
_PAUSES: Final = (0.0, 0.0, 0.3, 9.9, 10.3, 31.1, 61.7)
_LONG: Final = 400.7
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS: Final = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HEADERS_FRAME: Final = b"\x00\x00\x07\x01\x05\x00\x00\x00\x01\x82\x84\x86\x41\x02aa"
_FRAGMENTS: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 2\r\n\r\n40",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", b"GET", b"\r\n", b"\r\n\r\n",
    b"\x00",
    b"GET /" + b"x" * 3_000,
    b"X" * 100 + b": y\r\n", _PREFACE, _PREFACE + _SETTINGS + _HEADERS_FRAME,
    _SETTINGS, _HEADERS_FRAME, b"\x16\x03\x01\x00\x05hello", b"\x15\x03\x03\x00\x02\x02\x28",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"HTTP2-Settings: \r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"GET //[ HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /socket.io HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + HEADERS + b"\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
)  # fmt: skip
_WEBSOCKET: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket&good HTTP/1.1\r\n" + HEADERS + b"\r\n"
)
_STATUS: Final = re.compile(rb"(?:\A|\r\n\r\n[^\r\n]*)HTTP/1\.1 ([0-9]{3}) ")
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


def check(data: bytes) -> None:
    choices = Choices(data)
    order = choices.byte()

    async def scenario() -> None:
        await _Street(choices).run()

    with no_complaints():
        trio_cases.run(scenario, order)


@cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server and its clients speak TLS with."""
    authority = Authority()
    with tempfile.TemporaryDirectory() as folder:
        issued = authority.issue(Path(folder))
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(issued.certificate, issued.key)
    server.set_alpn_protocols(["http/1.1"])
    return server, authority.client_context()


class _Listener(trio.abc.Listener[trio.SocketStream]):
    """Accepts the ends of socket pairs."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.SocketStream](100)

    def dial(self) -> trio.SocketStream:
        near, far = sockets()
        self._send.send_nowait(far)
        return near

    async def accept(self) -> trio.SocketStream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


class _Street:
    """The door and all who come to it."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._world = World(max_connections=_MOST)
        self._http = HttpServer(
            EngineApp(self._world.server),
            head_limit=HEAD_LIMIT,
            max_payload=2_000,
            http_idle_timeout=60,
        )
        self._door = FrontDoor(
            {PATH: self._world.server.serve_websocket},
            self._http.serve,
            head_limit=HEAD_LIMIT,
            connections=_MOST,
        )
        self._plain = _Listener()
        self._tls = _Listener()

    async def run(self) -> None:
        async with self._serving(), _Witness(self._plain.dial()) as witness:
            tasks = _tasks()
            with trio.move_on_after(10 * _LONG) as patience:
                async with trio.open_nursery() as visitors:
                    while self._choices.left:
                        await self._step(visitors)
            assert not patience.cancelled_caught, "a connection does not end"
            await trio.sleep(_LONG)
            await witness.be_served()
            self._check(connections=1)
            assert _tasks() == tasks, f"{_tasks() - tasks} tasks too many"
            await self._serve_another()
            await witness.leave()
            await trio.sleep(_LONG)
            self._check(connections=0)
        self._world.check_garbage()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        listener = TlsListener(self._tls, lambda: _contexts()[0])
        async with self._world.serving(), trio.open_nursery() as nursery:
            await nursery.start(self._door.serve, [self._plain, listener])
            yield
            nursery.cancel_scope.cancel()

    def _check(self, connections: int) -> None:
        door = self._door.statistics()
        assert door.failures == 0, "a connection has failed"
        assert door.connections == connections, f"{door.connections} connections"
        assert door.http_connections == 0
        assert self._http.statistics().open_streams == 0
        self._world.check_empty(connections)

    async def _step(self, visitors: trio.Nursery) -> None:
        choices = self._choices
        visit = self._visit_tls if choices.flip(4) else self._visit
        pieces = self._pieces()
        pause = choices.pick(_PAUSES)
        way_out = choices.below(3)
        if choices.flip(4):
            with trio.move_on_after(_LONG):
                await visit(pieces, pause, way_out)
        else:
            visitors.start_soon(visit, pieces, pause, way_out)
        if choices.flip():
            await trio.sleep(choices.pick(_PAUSES))

    def _pieces(self) -> list[bytes]:
        """Return what a visitor says, in pieces."""
        choices = self._choices
        said = b""
        while not said or choices.more():
            match choices.below(6):
                case 0 | 1:
                    said += choices.pick(_FRAGMENTS)
                case 2:
                    said += make_head(choices)
                case 3:
                    said += choices.take(60) or b"-"
                case 4:
                    said += (
                        _WEBSOCKET + frame(TEXT, b"40") + frame(choices.below(16), choices.take(20))
                    )
                case _:
                    good = choices.pick(_FRAGMENTS)
                    at = choices.below(len(good) + 1)
                    said += good[:at] + choices.take(4) + good[at + choices.below(4) :] + b"\n"
        return choices.split(said, 5)

    async def _visit(self, pieces: list[bytes], pause: float, way_out: int) -> None:
        stream = self._plain.dial()
        answer = await _talk(stream, pieces, pause, way_out)
        assert not answer or answer.startswith(b"HTTP/1.1 "), answer[:50]
        statuses = _STATUS.findall(answer)
        assert not {b"500", b"502"} & set(statuses), "an error of the server's"
        said = b"".join(pieces)
        if (head_length(said) or len(said)) > HEAD_LIMIT:
            assert statuses[:1] in ([], [b"408"], [b"431"], [b"503"]), "too large a head is served"

    async def _visit_tls(self, pieces: list[bytes], pause: float, way_out: int) -> None:
        """Speak without TLS to a port for it, within it, or below it once it is there."""
        choices = self._choices
        stream = self._tls.dial()
        how = choices.below(4)
        if how == 0:
            await _talk(stream, pieces, pause, way_out)
            return
        inner = trio.SSLStream(
            stream, _contexts()[1], server_hostname="localhost", https_compatible=True
        )
        with trio.move_on_after(5):
            try:
                await inner.do_handshake()
            except _GONE:
                assert self._door.statistics().refused, "no handshake"
                return
        if how == 1:
            await _talk(stream, pieces, pause, way_out)
        else:
            await _talk(inner, pieces, pause, way_out)

    async def _serve_another(self) -> None:
        """Serve one more request on each of the ways."""
        stream = self._plain.dial()
        asked = [
            b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n",
            b"Host: a\r\nConnection: close\r\n\r\n",
        ]
        answer = await _talk(stream, asked, 0, 1)
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        assert b'"upgrades"' in answer
        inner = trio.SSLStream(
            self._tls.dial(), _contexts()[1], server_hostname="localhost", https_compatible=True
        )
        answer = await _talk(
            inner, [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"], 0, 1
        )
        assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]


class _Witness:
    """A client that is there all the time, and wants to be served."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._incoming = Incoming()
        self._heard: list[str | bytes] = []
        self._lock = trio.Lock()

    async def __aenter__(self) -> Self:
        await self._stream.send_all(_WEBSOCKET + frame(TEXT, b"40"))
        self._manager = trio.open_nursery()
        nursery = await self._manager.__aenter__()
        nursery.start_soon(self._listen)
        await wait_all_tasks_blocked()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        self._stream.socket.close()
        return await self._manager.__aexit__(*error)

    async def be_served(self) -> None:
        self._heard.clear()
        await self._say(b'420["echo",1]')
        await wait_all_tasks_blocked()
        assert self._heard == ["430[1]"], "the witness is served no more"

    async def _say(self, text: bytes) -> None:
        async with self._lock:
            await self._stream.send_all(frame(TEXT, text))

    async def leave(self) -> None:
        await self._stream.aclose()

    async def _listen(self) -> None:
        try:
            async for data in self._stream:
                for message in self._incoming.feed(bytes(data)):
                    if message == "2":
                        await self._say(b"3")
                    else:
                        self._heard.append(message)
        except _GONE:
            pass


async def _talk(stream: trio.abc.Stream, pieces: list[bytes], pause: float, way_out: int) -> bytes:
    """Say something piece by piece, and listen until the server ends the connection.

    :param way_out: 0: go as soon as all is said; 1: wait; 2: say that no more will come.
    """
    heard = bytearray()
    over = trio.Event()

    async def listen() -> None:
        try:
            async for data in stream:
                heard.extend(data)
        except _GONE:
            pass
        over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        try:
            for piece in pieces:
                await stream.send_all(piece)
                await trio.sleep(pause)
            if way_out == 2 and isinstance(stream, trio.SocketStream):
                await stream.send_eof()
        except _GONE:
            pass
        if way_out:
            await over.wait()
        await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()
    return bytes(heard)


def _tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


TARGET = Target("front-door", check, max_size=160, slice=120, guided=False)
