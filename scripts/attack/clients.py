"""People at work, each from a place of their own: over a WebSocket, over polling, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import h11
import trio
import trio_websocket

from gbs_actor.concurrency import exceptions_in
from tests.conformance.http_peer import HttpPeer

NAMESPACE = "/gbs-lineup"
PATH = "/socket.io/?EIO=4&transport="
LINE_UP = "/api/v1/retreat/{retreat}/line-up"


class Lost(Exception):
    """The connection was refused or has ended; the client is to connect again."""


_LOSSES = (
    Lost,
    OSError,
    AssertionError,
    h11.ProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    trio_websocket.ConnectionClosed,
    trio_websocket.HandshakeError,
)


@contextmanager
def losses() -> Iterator[None]:
    """Raise :exc:`Lost` for every way in which a connection ends.

    A loss that coincides with a cancellation is forgotten.
    """
    try:
        yield
    except BaseException as error:
        parts = exceptions_in(error)
        losses = [part for part in parts if isinstance(part, _LOSSES)]
        if len(losses) == len(parts):
            raise Lost(repr(losses[0])) from error
        if isinstance(error, BaseExceptionGroup) and losses:
            _, rest = error.split(_LOSSES)
            assert rest is not None
            raise rest from None
        raise


@dataclass(frozen=True)
class Place:
    """From where somebody connects, and to which server."""

    address: str
    port: int
    token: str
    retreat: str

    async def dial(self) -> trio.SocketStream:
        """Connect."""
        return await trio.open_tcp_stream("127.0.0.1", self.port, local_address=self.address)


@dataclass(frozen=True)
class Edit:
    """A person, and the group that they are to be in."""

    row_id: int
    number: int
    command_id: UUID

    def argument(self) -> dict[str, object]:
        """Return the argument of the event."""
        return {
            "lineupId": self.row_id,
            "gbsNumber": self.number,
            "commandId": str(self.command_id),
        }


OnRow = Callable[[int, int | None], None]
"""Called with the id and the group number of a row that the server sends by itself."""


class Editor(Protocol):
    """Somebody who is in the room, or at least may edit it."""

    async def edit(self, edit: Edit) -> None:
        """Return once the edit is acknowledged.

        :raises Lost: it was not, whatever became of it.
        """
        ...


@dataclass
class SocketClient:
    """A Socket.IO client, without what carries its packets."""

    on_row: OnRow | None = None
    _acks: dict[int, trio.Event] = field(default_factory=dict)
    _answers: dict[int, Any] = field(default_factory=dict)
    _next_id: int = 0
    connected: trio.Event = field(default_factory=trio.Event)

    async def send(self, packet: str) -> None:
        """Send an Engine.IO packet."""
        raise NotImplementedError

    async def edit(self, edit: Edit) -> None:
        """Return once the edit is acknowledged."""
        answer = await self.call("update-gbs-number", edit.argument())
        if answer["status"] != "OK":
            raise Lost(answer["code"])

    async def call(self, event: str, argument: object) -> Any:
        """Return the acknowledgement of an event."""
        number, self._next_id = self._next_id, self._next_id + 1
        acknowledged = self._acks[number] = trio.Event()
        await self.send(f"42{NAMESPACE},{number}{json.dumps([event, argument])}")
        await acknowledged.wait()
        return self._answers.pop(number)

    async def enter(self, place: Place) -> None:
        """Connect to the namespace and join the room."""
        await self.send(f"40{NAMESPACE},{json.dumps({'token': place.token})}")
        await self.connected.wait()
        answer = await self.call("join-retreat", place.retreat)
        if answer["status"] != "OK":
            raise Lost(answer["code"])

    async def take(self, packet: str) -> None:
        """Take a packet of the server."""
        if packet == "2":
            await self.send("3")
        elif packet.startswith(f"40{NAMESPACE},"):
            self.connected.set()
        elif packet.startswith(f"43{NAMESPACE},"):
            number, bracket, rest = packet.partition(",")[2].partition("[")
            self._answers[int(number)] = json.loads(bracket + rest)[0]
            self._acks.pop(int(number)).set()
        elif packet.startswith(f'42{NAMESPACE},["lineup-updated"') and self.on_row is not None:
            row = json.loads(packet.partition(",")[2])[1]
            self.on_row(row["id"], row["gbsNumber"])
        elif packet == "1" or packet.startswith(("41", "44")):
            raise Lost(packet)


@dataclass
class _OverWebSocket(SocketClient):
    websocket: trio_websocket.WebSocketConnection | None = None

    async def send(self, packet: str) -> None:
        assert self.websocket is not None
        await self.websocket.send_message(packet)

    async def receive(self) -> None:
        assert self.websocket is not None
        while True:
            message = await self.websocket.get_message()
            assert isinstance(message, str)
            await self.take(message)


@asynccontextmanager
async def over_websocket(place: Place, on_row: OnRow | None = None) -> AsyncIterator[SocketClient]:
    """Be in the room over a WebSocket, within the block.

    :raises Lost: the server refuses, or the connection ends.
    """
    with losses():
        async with trio.open_nursery() as nursery:
            websocket = await trio_websocket.wrap_client_stream(
                nursery, await place.dial(), "localhost", PATH + "websocket"
            )
            client = _OverWebSocket(on_row, websocket=websocket)
            async with trio.open_nursery() as receiving:
                receiving.start_soon(client.receive)
                await client.enter(place)
                yield client
                receiving.cancel_scope.cancel()
            with trio.move_on_after(1):
                await websocket.aclose()
            nursery.cancel_scope.cancel()


@dataclass
class _OverPolling(SocketClient):
    posts: HttpPeer | None = None
    target: str = ""
    _posting: trio.Lock = field(default_factory=trio.Lock)

    async def send(self, packet: str) -> None:
        assert self.posts is not None
        async with self._posting:
            answer = await self.posts.request("POST", self.target, packet)
        if answer.status != 200:
            raise Lost(f"POST: {answer.status}")

    async def receive(self, polls: HttpPeer) -> None:
        while True:
            await polls.send("GET", self.target)
            answer = await polls.answer(patience=120)
            if answer.status != 200:
                raise Lost(f"GET: {answer.status}")
            for packet in answer.packets:
                await self.take(packet)


@asynccontextmanager
async def over_polling(place: Place, on_row: OnRow | None = None) -> AsyncIterator[SocketClient]:
    """Be in the room over long-polling, within the block; see :func:`over_websocket`."""
    with losses():
        async with await place.dial() as first, await place.dial() as second:
            polls = HttpPeer(first)
            opened = await polls.request("GET", PATH + "polling")
            if opened.status != 200:
                raise Lost(f"handshake: {opened.status}")
            target = f"{PATH}polling&sid={json.loads(opened.text[1:])['sid']}"
            client = _OverPolling(on_row, posts=HttpPeer(second), target=target)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.receive, polls)
                await client.enter(place)
                yield client
                nursery.cancel_scope.cancel()
            with trio.move_on_after(1):
                await client.send("1")


class _OverHttp:
    def __init__(self, http: HttpPeer, place: Place) -> None:
        self._http = http
        self._path = LINE_UP.format(retreat=place.retreat)
        self._headers = [
            ("Authorization", f"Bearer {place.token}"),
            ("Content-Type", "application/json"),
        ]

    async def edit(self, edit: Edit) -> None:
        body = json.dumps({"gbsNumber": edit.number, "commandId": str(edit.command_id)})
        path = f"{self._path}/user-lineups/{edit.row_id}"
        answer = await self._http.request("PUT", path, body, self._headers)
        if answer.status != 200:
            raise Lost(f"PUT: {answer.status}")


@asynccontextmanager
async def over_http(place: Place, on_row: OnRow | None = None) -> AsyncIterator[Editor]:
    """Edit over plain HTTP on one connection, within the block; hears of no others' edits."""
    with losses():
        async with await place.dial() as stream:
            yield _OverHttp(HttpPeer(stream), place)
