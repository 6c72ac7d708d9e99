"""A Socket.IO client for tests: trio-websocket and a few lines, no code of the server's.

It keeps everything it receives in one sequence, so that tests can speak about order.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import trio
import trio_websocket

NAMESPACE = "/gbs-lineup"
_PACKET = re.compile(r"4(?P<type>[0-4])(?:/gbs-lineup,?)?(?P<ack>[0-9]*)(?P<json>.*)", re.DOTALL)
_PATIENCE = 10.0


@dataclass
class Refused(Exception):
    """The namespace was refused."""

    error: dict[str, Any]


@dataclass
class Received:
    """One packet from the server: an event, or the ack of an earlier emit."""

    name: str
    """The event's name; "ack" for an ack, "disconnect" for a namespace disconnect."""
    payload: Any
    ack_id: int | None = None


@dataclass
class Peer:
    """One client in ``/gbs-lineup``."""

    websocket: trio_websocket.WebSocketConnection
    received: list[Received] = field(default_factory=list)
    sid: str = ""
    closed: trio.Event = field(default_factory=trio.Event)
    close_code: int | None = None
    _next_ack: int = 0
    _news: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)
    _scanned: int = 0

    async def send(self, text: str) -> None:
        """Send a text frame as it is."""
        await self.websocket.send_message(text)

    async def emit(self, name: str, *arguments: Any) -> None:
        """Send an event without an ack."""
        await self.send(f"42{NAMESPACE},{json.dumps([name, *arguments])}")

    async def begin(self, name: str, *arguments: Any, raw: str | None = None) -> int:
        """Send an event that wants an ack; return the ack's id."""
        ack_id = self._next_ack
        self._next_ack += 1
        body = raw if raw is not None else json.dumps([name, *arguments])
        await self.send(f"42{NAMESPACE},{ack_id}{body}")
        return ack_id

    async def reply(self, ack_id: int) -> Any:
        """Wait for the ack under an id."""
        return (await self.wait_for(lambda got: got.ack_id == ack_id)).payload

    async def call(self, name: str, *arguments: Any, raw: str | None = None) -> Any:
        """Send an event and wait for its ack."""
        return await self.reply(await self.begin(name, *arguments, raw=raw))

    async def event(self, name: str) -> Any:
        """Wait for an event, received already or still to come; return its payload."""
        return (await self.wait_for(lambda got: got.name == name)).payload

    async def payload(self, name: str, wanted: Callable[[Any], bool]) -> Any:
        """Wait for an event whose payload ``wanted`` says yes to; return that."""
        got = await self.wait_for(lambda got: got.name == name and wanted(got.payload))
        return got.payload

    async def wait_for(self, wanted: Any) -> Received:
        """Wait for the first packet that ``wanted`` says yes to."""
        seen = 0
        with trio.fail_after(_PATIENCE):
            while True:
                for got in self.received[seen:]:
                    if wanted(got):
                        return got
                seen = len(self.received)
                if self.closed.is_set():
                    raise AssertionError(f"closed ({self.close_code}) after {self.received}")
                await self._news.park()

    def named(self, name: str) -> list[Any]:
        """Return the payloads of all events of a name so far."""
        return [got.payload for got in self.received if got.name == name]

    def order(self) -> list[str]:
        """Return the names of the events so far, and "reply" for each ack."""
        return ["reply" if got.name == "ack" else got.name for got in self.received]

    def forget(self) -> None:
        """Forget what was received so far."""
        self.received.clear()

    async def run(self) -> None:
        """Receive until the connection ends; answers pings."""
        try:
            while True:
                message = await self.websocket.get_message()
                assert isinstance(message, str)
                if message == "2":
                    await self.send("3")
                else:
                    self._take(message)
        except trio_websocket.ConnectionClosed as closed:
            self.close_code = closed.reason.code if closed.reason else None
        finally:
            self.closed.set()
            self._news.unpark_all()

    def _take(self, message: str) -> None:
        packet = _PACKET.fullmatch(message)
        assert packet is not None, message
        value: Any = json.loads(packet["json"]) if packet["json"] else None
        if packet["type"] == "2":
            name, *arguments = value
            self.received.append(Received(name, arguments[0] if arguments else None))
        elif packet["type"] == "3":
            self.received.append(Received("ack", value[0], int(packet["ack"])))
        elif packet["type"] == "1":
            self.received.append(Received("disconnect", None))
        else:
            self.received.append(Received("unexpected", message))
        self._news.unpark_all()


@asynccontextmanager
async def talking(
    stream: trio.abc.Stream,
    *,
    auth: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    host: str = "testserver",
) -> AsyncIterator[Peer]:
    """Connect over a stream and join the namespace.

    :raises Refused: the server answered with CONNECT_ERROR.
    """
    async with trio.open_nursery() as nursery:
        with trio.fail_after(_PATIENCE):
            websocket = await trio_websocket.wrap_client_stream(
                nursery,
                # Declared for sockets only; any stream will do.
                cast(trio.SocketStream, stream),
                host,
                "/socket.io/?EIO=4&transport=websocket",
                extra_headers=[
                    (name.encode(), value.encode()) for name, value in (headers or {}).items()
                ],
                message_queue_size=100,
            )
            opened = await websocket.get_message()
            assert isinstance(opened, str)
            assert opened[0] == "0"
            await websocket.send_message(f"40{NAMESPACE},{json.dumps(auth) if auth else ''}")
            answer = await websocket.get_message()
            assert isinstance(answer, str)
        if answer.startswith(f"44{NAMESPACE},"):
            nursery.cancel_scope.cancel()
            raise Refused(json.loads(answer.partition(",")[2]))
        assert answer.startswith(f"40{NAMESPACE},"), answer
        peer = Peer(websocket, sid=json.loads(answer.partition(",")[2])["sid"])
        nursery.start_soon(peer.run)
        yield peer
        with trio.move_on_after(1):
            await websocket.aclose()
        nursery.cancel_scope.cancel()
