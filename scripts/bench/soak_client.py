"""A client of the soak: raw Socket.IO, with the board that a page would show.

It begins with long-polling or a WebSocket, and merges what arrives by the rules of the page: the
list of a join replaces its board, or is merged into it after a join with ``since``; a changed row
replaces the row with its id.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import trio

from scripts.attack.clients import Lost, losses
from tests.conformance.http_peer import HttpPeer

NAMESPACE: Final = "/gbs-lineup"
PATH: Final = "/socket.io/?EIO=4&transport="
ACK_TIMEOUT: Final = 30.0
POLL_TIMEOUT: Final = 120.0
Row = dict[str, Any]


class Wire(Protocol):
    """What carries Engine.IO packets."""

    async def send(self, packet: str) -> None:
        """Send a packet."""

    async def receive(self) -> Sequence[str]:
        """Return the next packets."""

    async def aclose(self) -> None:
        """Close the connection at once."""


class WebSocketWire:
    """A WebSocket: frames of the server are whole, those of ours are masked with zeros."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._received = bytearray()

    @classmethod
    async def open(cls, stream: trio.SocketStream, sid: str = "") -> WebSocketWire:
        """Shake hands.

        :param sid: of the session to upgrade.
        """
        wire = cls(stream)
        query = f"{PATH}websocket" + (f"&sid={sid}" if sid else "")
        await stream.send_all(
            f"GET {query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in wire._received:
            await wire._read()
        head, _, rest = bytes(wire._received).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise Lost(head[:30].decode(errors="replace"))
        wire._received = bytearray(rest)
        return wire

    async def send(self, packet: str) -> None:
        """See :class:`Wire`."""
        payload = packet.encode()
        if len(payload) < 126:
            head = struct.pack("!BB4x", 0x81, 0x80 | len(payload))
        else:
            head = struct.pack("!BBH4x", 0x81, 0x80 | 126, len(payload))
        await self._stream.send_all(head + payload)

    async def receive(self) -> Sequence[str]:
        """See :class:`Wire`."""
        while not (packets := list(self._packets())):
            await self._read()
        return packets

    async def aclose(self) -> None:
        """See :class:`Wire`."""
        await self._stream.aclose()

    async def _read(self) -> None:
        received = await self._stream.receive_some(65_536)
        if not received:
            raise Lost("end of file")
        self._received += received

    def _packets(self) -> Sequence[str]:
        packets, data, at = [], self._received, 0
        while len(data) - at >= 2:
            head, size = 2, data[at + 1]
            if size == 126:
                head, size = 4, int.from_bytes(data[at + 2 : at + 4])
            elif size == 127:
                head, size = 10, int.from_bytes(data[at + 2 : at + 10])
            if len(data) - at < head + size:
                break
            payload = bytes(data[at + head : at + head + size])
            if data[at] != 0x81:
                raise Lost(f"frame {data[at]:02x} {payload[:40]!r}")
            packets.append(payload.decode())
            at += head + size
        del data[:at]
        return packets


class PollingWire:
    """Long-polling: one connection for polls, one for what is sent."""

    def __init__(self, polls: HttpPeer, posts: HttpPeer, sid: str) -> None:
        self._polls = polls
        self._posts = posts
        self._target = f"{PATH}polling&sid={sid}"
        self.sid = sid

    @classmethod
    async def open(cls, dial: Callable[[], Awaitable[trio.SocketStream]]) -> PollingWire:
        """Open a session."""
        polls = HttpPeer(await dial())
        await polls.send("GET", f"{PATH}polling")
        opened = await polls.answer(ACK_TIMEOUT)
        if opened.status != 200:
            raise Lost(f"handshake: {opened.status}")
        # Not dialed before: the server closes a connection without a request after 10 s.
        return cls(polls, HttpPeer(await dial()), json.loads(opened.text[1:])["sid"])

    async def send(self, packet: str) -> None:
        """See :class:`Wire`."""
        await self._posts.send("POST", self._target, packet)
        response = await self._posts.answer(ACK_TIMEOUT)
        if response.status != 200:
            raise Lost(f"POST: {response.status}")

    async def receive(self) -> Sequence[str]:
        """See :class:`Wire`."""
        await self._polls.send("GET", self._target)
        response = await self._polls.answer(POLL_TIMEOUT)
        if response.status != 200:
            raise Lost(f"GET: {response.status}")
        return response.packets

    async def aclose(self) -> None:
        """See :class:`Wire`."""
        await self._polls.aclose()
        await self._posts.aclose()


@dataclass
class SoakClient:
    """One client, over many connections.

    :param number: which one; decides its address and nothing else.
    """

    port: int
    number: int
    token: str
    slug: str = ""
    board: dict[int, Row] = field(default_factory=dict)
    since: int = 0
    """The highest revision that has arrived."""
    epoch: str = ""
    updates: int = 0
    _wire: Wire | None = None
    _sending: trio.Lock = field(default_factory=trio.Lock)
    _acks: dict[int, trio.Event] = field(default_factory=dict)
    _replies: dict[int, Any] = field(default_factory=dict)
    _next_ack: int = 0
    _joins: set[int] = field(default_factory=set)
    _entered: trio.Event = field(default_factory=trio.Event)
    _upgrade: trio.Event | None = None
    """Set when the poll under way has ended."""
    _upgraded: trio.Event = field(default_factory=trio.Event)

    @asynccontextmanager
    async def connected(self, *, polling: bool) -> AsyncIterator[None]:
        """Be in the namespace within the block.

        :raises Lost: it is refused, or the connection ends.
        """
        self._acks, self._replies, self._joins = {}, {}, set()
        self._entered, self._upgrade, self._upgraded = trio.Event(), None, trio.Event()
        with losses():
            if polling:
                self._wire = await PollingWire.open(self._dial)
            else:
                self._wire = await WebSocketWire.open(await self._dial())
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, nursery)
                    await self._send(f"40{NAMESPACE},{json.dumps({'token': self.token})}")
                    with trio.fail_after(ACK_TIMEOUT):
                        await self._entered.wait()
                    yield
                    nursery.cancel_scope.cancel()
            finally:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await self._wire.aclose()

    async def upgrade(self) -> None:
        """Move from long-polling to a WebSocket, as stock clients do."""
        polling = self._wire
        assert isinstance(polling, PollingWire)
        websocket = await WebSocketWire.open(await self._dial(), polling.sid)
        await websocket.send("2probe")
        with trio.fail_after(ACK_TIMEOUT):
            if await websocket.receive() != ["3probe"]:
                raise Lost("the probe was not answered")
            async with self._sending:
                self._upgrade = trio.Event()
                await self._upgrade.wait()
                await websocket.send("5")
                self._wire = websocket
        self._upgraded.set()
        await polling.aclose()

    async def join(self, slug: str) -> None:
        """Join a retreat; with ``since`` where it is the one on the board."""
        argument: object = slug
        if slug == self.slug and self.epoch:
            argument = {"retreatSlug": slug, "since": self.since, "epoch": self.epoch}
        else:
            self.slug, self.board, self.since, self.epoch = slug, {}, 0, ""
        await self.call("join-retreat", argument)

    async def call(self, event: str, argument: object) -> Any:
        """Return the ack of an event.

        :raises Lost: it is an error, or does not come.
        """
        number, self._next_ack = self._next_ack, self._next_ack + 1
        acknowledged = self._acks[number] = trio.Event()
        if event == "join-retreat":
            self._joins.add(number)
        await self._send(f"42{NAMESPACE},{number}{json.dumps([event, argument])}")
        with trio.fail_after(ACK_TIMEOUT):
            await acknowledged.wait()
        reply = self._replies.pop(number)
        if reply["status"] != "OK":
            raise Lost(f"{event}: {reply['code']}")
        return reply

    async def disconnect(self) -> None:
        """Say goodbye to the namespace, as a page does that is left."""
        await self._send(f"41{NAMESPACE},")

    async def _dial(self) -> trio.SocketStream:
        address = f"127.2.{self.number // 250}.{1 + self.number % 250}"
        return await trio.open_tcp_stream("127.0.0.1", self.port, local_address=address)

    async def _send(self, packet: str) -> None:
        assert self._wire is not None
        async with self._sending:
            await self._wire.send(packet)

    async def _read(self, tasks: trio.Nursery) -> None:
        while True:
            assert self._wire is not None
            for packet in await self._wire.receive():
                if packet == "2":  # in a task: an upgrade that waits for this poll sends nothing
                    tasks.start_soon(self._send, "3")
                else:
                    self._take(packet)
            if self._upgrade is not None and isinstance(self._wire, PollingWire):
                self._upgrade.set()
                await self._upgraded.wait()

    def _take(self, packet: str) -> None:
        event_start = f'42{NAMESPACE},["lineup-updated",'
        if packet.startswith(event_start):
            self._merge([json.loads(packet[len(event_start) : -1])])
            self.updates += 1
        elif packet.startswith(f"43{NAMESPACE},"):
            number_text, _, values = packet.partition(",")[2].partition("[")
            self._take_ack(int(number_text), json.loads("[" + values)[0])
        elif packet.startswith(f"40{NAMESPACE},"):
            self._entered.set()
        elif packet == "1" or packet.startswith(("41", "44")):
            raise Lost(packet[:60])

    def _take_ack(self, number: int, reply: Any) -> None:
        if number in self._joins and reply["status"] == "OK":
            if reply["full"]:  # what has come since the join was sent is of the room before
                self.board, self.since = {}, 0
            self._merge(reply["data"])
            self.since = max(self.since, reply["revision"])
            self.epoch = reply["epoch"]
        self._replies[number] = reply
        self._acks.pop(number).set()

    def _merge(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.board[row["id"]] = row
            self.since = max(self.since, row["revision"])
