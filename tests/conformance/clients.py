"""Clients that speak Engine.IO by hand, over polls or a WebSocket, in the same words."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any, Literal

import trio

from tests.conformance.http_peer import PATIENCE, HttpPeer
from tests.socketio.peer import Close, Incoming, Peer
from tests.socketio.polls import POLLING, SEPARATOR, WEBSOCKET, Answer

Transport = Literal["polling", "websocket", "upgraded"]
Packet = str | bytes
Fields = Sequence[tuple[str, str]]


class Client(ABC):
    """One session, and what a test says over it.

    :param opened: the payload of the open packet.
    """

    def __init__(self, opened: dict[str, Any]) -> None:
        self.opened = opened
        self.sid: str = opened["sid"]

    @abstractmethod
    async def send(self, *packets: Packet) -> None:
        """Send packets."""

    @abstractmethod
    async def receive_any(self) -> Packet:
        """Return the next packet, a ping too."""

    @abstractmethod
    async def refused(self, *packets: Packet) -> None:
        """Send packets that break the protocol, and see the session ended for it."""

    @abstractmethod
    async def ended(self, patience: float = PATIENCE) -> list[Packet]:
        """Wait until the server has ended the session; return what comes before."""

    async def receive(self) -> Packet:
        """Return the next packet; pings are answered on the way."""
        while (packet := await self.receive_any()) == "2":
            await self.send("3")
        return packet

    async def receive_many(self, count: int) -> list[Packet]:
        return [await self.receive() for _ in range(count)]

    async def connect(self, namespace: str = "/", auth: str = "") -> str:
        """Join a namespace of the echo server; return the socket's id."""
        prefix = "" if namespace == "/" else f"{namespace},"
        await self.send(f"40{prefix}{auth}")
        answer = await self.receive()
        assert isinstance(answer, str)
        assert answer.startswith(f"40{prefix}"), answer
        payload = json.loads(answer.removeprefix(f"40{prefix}"))
        assert payload.keys() == {"sid"}
        assert await self.receive() == f'42{prefix}["auth",{auth or "{}"}]'
        sid: str = payload["sid"]
        return sid


class PollingClient(Client):
    """A session carried by polls: GETs on one connection, POSTs on another."""

    def __init__(self, site: Site, opened: dict[str, Any], gets: HttpPeer, posts: HttpPeer) -> None:
        super().__init__(opened)
        self.target = f"{site.path}?{POLLING}&sid={self.sid}"
        self.gets = gets
        self.posts = posts
        self._waiting: deque[str] = deque()

    async def get_any(self) -> Answer:
        """Poll; a ping may be the answer, or a part of it."""
        return await self.gets.request("GET", self.target)

    async def get(self) -> Answer:
        """Poll until the answer is more than a ping; a busy machine is late for those."""
        return await self._without_ping(await self.get_any())

    async def answer(self) -> Answer:
        """Return what answers a GET that waits, as :meth:`get` does."""
        return await self._without_ping(await self.gets.answer())

    async def _without_ping(self, answer: Answer) -> Answer:
        while answer.status == 200 and "2" in answer.packets:
            packets = [packet for packet in answer.packets if packet != "2"]
            if packets:
                return replace(answer, body=SEPARATOR.join(packets).encode())
            answer = await self.get_any()
        return answer

    async def post(self, *packets: Packet) -> Answer:
        return await self.posts.request("POST", self.target, payload(*packets))

    async def send(self, *packets: Packet) -> None:
        answer = await self.post(*packets)
        assert (answer.status, answer.body) == (200, b"ok"), answer

    async def refused(self, *packets: Packet) -> None:
        answer = await self.post(*packets)
        assert answer.status == 400, answer
        assert answer.json()["code"] in {1, 3}
        assert await self.ended() == []

    async def receive_any(self) -> Packet:
        if not self._waiting:
            answer = await self.get_any()
            assert answer.status == 200, answer
            self._waiting.extend(answer.packets)
        packet = self._waiting.popleft()
        return base64.b64decode(packet[1:]) if packet[:1] == "b" else packet

    async def ended(self, patience: float = PATIENCE) -> list[Packet]:
        before: list[Packet] = [packet for packet in self._waiting if packet != "2"]
        self._waiting.clear()
        with trio.fail_after(patience):
            while (answer := await self.get_any()).status == 200:
                before += [packet for packet in answer.packets if packet not in {"1", "2"}]
        assert (answer.status, answer.json()["code"]) == (400, 1), answer
        return before


class WebSocketClient(Client):
    """A session carried by a WebSocket, from its beginning or since its upgrade."""

    def __init__(self, opened: dict[str, Any], peer: Peer) -> None:
        super().__init__(opened)
        self.peer = peer

    async def send(self, *packets: Packet) -> None:
        for packet in packets:
            await self.peer.send(packet)

    async def refused(self, *packets: Packet) -> None:
        with suppress(trio.BrokenResourceError):  # closed amid them
            await self.send(*packets)
        assert [packet for packet in await self.ended() if packet != "2"] == []

    async def receive_any(self) -> Packet:
        received = await received_in_time(self.peer)
        assert isinstance(received, (str, bytes)), received
        return received

    async def ended(self, patience: float = PATIENCE) -> list[Packet]:
        before: list[Packet] = []
        while not isinstance(received := await received_in_time(self.peer, patience), Close):
            assert isinstance(received, (str, bytes)), received
            before.append(received)
        return [packet for packet in before if packet != "2"]

    async def closed(self, patience: float = PATIENCE) -> Close:
        """Return how the WebSocket is closed, whatever comes before."""
        with trio.fail_after(patience):
            return await self.peer.receive_close()


class Site:
    """One app that runs, and the way to it; closes what it has opened.

    :param path: where its Engine.IO is.
    """

    def __init__(self, port: int, path: str, stack: AsyncExitStack) -> None:
        self.port = port
        self.path = path
        self._stack = stack

    async def stream(self) -> trio.SocketStream:
        """Open a connection and say nothing."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        return await self._stack.enter_async_context(stream)

    async def http(self) -> HttpPeer:
        return HttpPeer(await self.stream())

    async def ask(self, method: str, query: str, body: str = "", headers: Fields = ()) -> Answer:
        """Send a request on a connection of its own, and return its answer."""
        return await (await self.http()).request(method, f"{self.path}?{query}", body, headers)

    async def settle(self) -> None:
        """Return once the server has read what was sent before, on any connection.

        It has, when it answers a request on a connection that is younger.
        """
        answer = await (await self.http()).request("GET", "/")
        assert answer.status == 404

    async def dial(self, query: str = WEBSOCKET, headers: Fields = ()) -> Peer:
        """Ask for a WebSocket; a refusal is what it receives."""
        peer = Peer(await self.stream())
        with trio.fail_after(PATIENCE):
            await peer.upgrade(f"{self.path}?{query}", headers)
        return peer

    async def upgrade(self, http: HttpPeer) -> Peer:
        """Ask for a WebSocket on a connection that has carried other requests."""
        assert http.reusable
        peer = Peer(http.stream)
        with trio.fail_after(PATIENCE):
            await peer.upgrade(f"{self.path}?{WEBSOCKET}")
        return peer

    async def polls(self) -> PollingClient:
        """Open a session by a poll."""
        gets = await self.http()
        answer = await gets.request("GET", f"{self.path}?{POLLING}")
        assert answer.status == 200, answer
        return PollingClient(self, opened(answer.text), gets, await self.http())

    async def probe(self, polls: PollingClient) -> Peer:
        """Return a WebSocket whose probe was answered."""
        peer = await self.dial(f"{WEBSOCKET}&sid={polls.sid}")
        await peer.send("2probe")
        assert await received_in_time(peer) == "3probe"
        return peer

    async def open(self, transport: Transport) -> Client:
        """Open a session that goes on over a transport."""
        if transport == "websocket":
            peer = await self.dial()
            text = await received_in_time(peer)
            assert isinstance(text, str), text
            return WebSocketClient(opened(text), peer)
        polls = await self.polls()
        if transport == "polling":
            return polls
        peer = await self.probe(polls)
        await peer.send("5")
        return WebSocketClient(polls.opened, peer)

    async def join(self, transport: Transport) -> Client:
        """Open a session of the Socket.IO echo server and join its main namespace."""
        client = await self.open(transport)
        await client.connect()
        return client


def payload(*packets: Packet) -> str:
    """Return packets as they stand in a payload."""
    return SEPARATOR.join(
        packet if isinstance(packet, str) else "b" + base64.b64encode(packet).decode()
        for packet in packets
    )


def opened(text: str) -> dict[str, Any]:
    """Return the payload of an open packet."""
    assert text.startswith("0"), text
    decoded: dict[str, Any] = json.loads(text[1:])
    return decoded


async def received_in_time(peer: Peer, patience: float = PATIENCE) -> Incoming:
    """Return the next message, or how the connection has ended."""
    with trio.fail_after(patience):
        return await peer.receive()
