"""Clients that call an ASGI app directly, so that time passes on the test's clock.

What they say is written by hand; nothing of ours is in it.
"""

from __future__ import annotations

import base64
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from gbs_actor.socketio import EngineApp, EngineServer, FrontDoor
from gbs_actor.socketio.net.asgi import App
from tests.socketio.peer import Close, Incoming, MemoryListener, Peer, Refused, no_fallback

POLLING = "EIO=4&transport=polling"
WEBSOCKET = "EIO=4&transport=websocket"
SEPARATOR = "\x1e"

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def packets(self) -> list[str]:
        return self.text.split(SEPARATOR)

    def json(self) -> Any:
        return json.loads(self.body)


def binary(payload: bytes) -> str:
    """Return a binary packet as it stands in a payload."""
    return "b" + base64.b64encode(payload).decode()


class Exchange:
    """A request under way."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.ended = trio.Event()
        """Set when the app has returned, with an answer or without."""
        self.says, self.hears = trio.open_memory_channel[dict[str, Any]](math.inf)

    def body(self, data: bytes, *, more: bool = False) -> None:
        """Send a part of the body."""
        self.says.send_nowait({"type": "http.request", "body": data, "more_body": more})

    def leave(self) -> None:
        """End the connection, whether or not the answer has come."""
        self.says.send_nowait({"type": "http.disconnect"})

    async def answered(self) -> Answer:
        await self.ended.wait()
        assert self.answer is not None, "the app has not answered"
        return self.answer


class Site:
    """An app and the way to it: over memory for HTTP, and for WebSockets as one likes."""

    def __init__(
        self, app: App, nursery: trio.Nursery, listener: MemoryListener, path: str
    ) -> None:
        self._app = app
        self._nursery = nursery
        self.listener = listener
        self._path = path

    def _scope(self, kind: str, query: str, headers: Fields) -> dict[str, Any]:
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http" if kind == "http" else "ws",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
            "client": ("192.0.2.1", 50_000),
            "server": ("server.test", 80),
            "extensions": {"websocket.http.response": {}} if kind == "websocket" else {},
        }

    def ask(self, method: str, query: str, headers: Fields = ()) -> Exchange:
        """Begin a request; of its body, nothing has been sent."""
        exchange = Exchange()
        scope = self._scope("http", query, headers) | {"method": method}
        self._nursery.start_soon(self._exchange, scope, exchange)
        return exchange

    async def _exchange(self, scope: dict[str, Any], exchange: Exchange) -> None:
        started: dict[str, Any] = {}
        body = bytearray()
        complete = False

        async def send(message: dict[str, Any]) -> None:
            nonlocal complete
            await trio.lowlevel.checkpoint()
            if message["type"] == "http.response.start":
                assert not started
                started.update(message)
            else:
                assert message["type"] == "http.response.body"
                assert started
                assert not complete
                body.extend(message.get("body", b""))
                complete = not message.get("more_body", False)

        try:
            await self._app(scope, exchange.hears.receive, send)
        finally:
            if started:
                headers = {name.decode(): value.decode() for name, value in started["headers"]}
                exchange.answer = Answer(started["status"], bytes(body), headers)
            exchange.ended.set()

    async def request(
        self, method: str, query: str, body: bytes | str = b"", headers: Fields = ()
    ) -> Answer:
        """Send a whole request and return its answer."""
        exchange = self.ask(method, query, headers)
        exchange.body(body.encode() if isinstance(body, str) else body)
        return await exchange.answered()

    async def polls(self, query: str = POLLING, headers: Fields = ()) -> Polls:
        """Open a session by a poll."""
        answer = await self.request("GET", query, headers=headers)
        assert answer.status == 200, answer
        assert answer.text.startswith("0"), answer
        return Polls(self, json.loads(answer.text[1:]))

    async def joined(self, namespace: str = "/", auth: str = "") -> Polls:
        """Open a session by a poll, and join a namespace."""
        polls = await self.polls()
        await polls.connect(namespace, auth)
        return polls

    async def dial(self, query: str, headers: Fields = (), *, socket: bool = False) -> Peer:
        """Ask for a WebSocket on a stream of its own, in memory or of a socket."""
        peer = Peer(self.listener.dial_socket() if socket else self.listener.dial())
        await peer.upgrade(f"{self._path}?{query}", headers)
        return peer

    async def websocket(self, query: str, headers: Fields = ()) -> AsgiSocket:
        """Ask for a WebSocket through the app."""
        socket = AsgiSocket()
        scope = self._scope("websocket", query, headers) | {"subprotocols": []}
        self._nursery.start_soon(socket.run, self._app, scope)
        await socket.decided.wait()
        return socket


class Polls:
    """One session of a client that polls."""

    def __init__(self, site: Site, opened: dict[str, Any]) -> None:
        self.site = site
        self.opened = opened
        self.sid: str = opened["sid"]
        self.waiting: deque[str] = deque()
        """Packets of a payload that were not asked for yet."""

    @property
    def query(self) -> str:
        return f"{POLLING}&sid={self.sid}"

    def ask(self) -> Exchange:
        """Begin a GET."""
        exchange = self.site.ask("GET", self.query)
        exchange.body(b"")
        return exchange

    async def get(self) -> Answer:
        return await self.site.request("GET", self.query)

    def tell(self) -> Exchange:
        """Begin a POST."""
        return self.site.ask("POST", self.query)

    async def post(self, *packets: str) -> Answer:
        return await self.site.request("POST", self.query, SEPARATOR.join(packets))

    async def send(self, *packets: str) -> None:
        """Send packets by one POST, which has to be answered well."""
        answer = await self.post(*packets)
        assert (answer.status, answer.body) == (200, b"ok"), answer

    async def receive(self) -> str:
        """Return the next packet, by a GET if there is none yet."""
        if not self.waiting:
            answer = await self.get()
            assert answer.status == 200, answer
            self.waiting.extend(answer.packets)
        return self.waiting.popleft()

    async def connect(self, namespace: str = "/", auth: str = "") -> str:
        """Join a namespace; return the socket's id."""
        prefix = "40" if namespace == "/" else f"40{namespace},"
        await self.send(f"{prefix}{auth}")
        text = await self.receive()
        assert text.startswith(prefix), text
        sid: str = json.loads(text.removeprefix(prefix))["sid"]
        return sid

    async def gone(self) -> bool:
        """Return whether the server does not know the session any more."""
        answer = await self.get()
        return answer.status == 400 and answer.json()["code"] == 1


class AsgiSocket:
    """A WebSocket as an ASGI app sees it."""

    def __init__(self) -> None:
        self.decided = trio.Event()
        """Set when the app has accepted or refused."""
        self.accepted = False
        self.ended = trio.Event()
        """Set when the app has returned."""
        self.polite = True
        """Whether to answer a close frame."""
        self.broken = False
        """Whether sending is refused, as by a server that has given up the connection."""
        self.scope = trio.CancelScope()
        """Cancelled where the ASGI server gives it up."""
        self._says, self._hears = trio.open_memory_channel[dict[str, Any]](math.inf)
        self._incoming, self._receive = trio.open_memory_channel[Incoming](math.inf)
        self._status = 0

    async def run(self, app: App, scope: dict[str, Any]) -> None:
        self._says.send_nowait({"type": "websocket.connect"})
        try:
            with self.scope:
                await app(scope, self._hears.receive, self._take)
        finally:
            self._incoming.send_nowait(Close(1006))
            self.decided.set()
            self.ended.set()

    async def _take(self, message: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        if self.broken and message["type"] != "websocket.close":
            raise RuntimeError("the connection is given up")
        match message["type"]:
            case "websocket.accept":
                self.accepted = True
                self.decided.set()
            case "websocket.send":
                payload = message.get("text")
                self._incoming.send_nowait(message["bytes"] if payload is None else payload)
            case "websocket.close":
                self._incoming.send_nowait(Close(message["code"], message.get("reason") or ""))
                if self.polite:
                    await self.leave()
            case "websocket.http.response.start":
                self._status = message["status"]
            case "websocket.http.response.body":
                self._incoming.send_nowait(Refused(self._status, message["body"]))
                self.decided.set()
            case _:
                raise AssertionError(message)

    async def send(self, payload: str | bytes) -> None:
        kind = "text" if isinstance(payload, str) else "bytes"
        self._says.send_nowait({"type": "websocket.receive", kind: payload})
        await trio.lowlevel.checkpoint()

    async def leave(self) -> None:
        """End the connection without a closing handshake."""
        self._says.send_nowait({"type": "websocket.disconnect", "code": 1006})
        await trio.lowlevel.checkpoint()

    async def receive(self) -> Incoming:
        return await self._receive.receive()

    async def receive_close(self) -> Close:
        """Return how the connection ends, whatever comes before."""
        while True:
            received = await self.receive()
            if isinstance(received, Close):
                return received


@asynccontextmanager
async def site(server: EngineServer) -> AsyncIterator[Site]:
    """Serve within the block, by the app and by our own listener."""
    path = server.path
    listener = MemoryListener()
    door = FrontDoor({path: server.serve_websocket}, no_fallback)
    async with server.serving(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, [listener])
        yield Site(EngineApp(server), nursery, listener, path)
        await server.shutdown()
        nursery.cancel_scope.cancel()
