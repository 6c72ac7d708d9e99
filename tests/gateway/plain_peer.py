"""A client of the plain WebSocket for tests: trio-websocket and a few lines, nothing of ours.

It keeps everything it receives in one sequence, so that tests can speak about order.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import trio
import trio_websocket

PATIENCE = 10.0
PATH = "/ws/retreats/"

Frame = dict[str, Any]


@dataclass
class Rejected(Exception):
    """The handshake was answered with an HTTP error."""

    status: int
    body: Any


@dataclass
class PlainPeer:
    """One client."""

    websocket: trio_websocket.WebSocketConnection
    received: list[Frame] = field(default_factory=list)
    closed: trio.Event = field(default_factory=trio.Event)
    _news: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)
    _next_id: int = 1

    @property
    def closing(self) -> tuple[int, str | None]:
        """Code and reason of the server's close frame."""
        assert self.websocket.closed is not None
        return self.websocket.closed.code, self.websocket.closed.reason

    async def send(self, text: str | bytes) -> None:
        """Send a frame as it is: text, or binary."""
        await self.websocket.send_message(text)

    async def emit(self, event: str, data: Any = None) -> None:
        """Send an event without an id."""
        await self.send(json.dumps({"event": event, "data": data}))

    async def begin(self, event: str, data: Any = None) -> int:
        """Send an event with a new id; return that."""
        identifier = self._next_id
        self._next_id += 1
        await self.send(json.dumps({"id": identifier, "event": event, "data": data}))
        return identifier

    async def reply(self, identifier: Any) -> Frame:
        """Wait for the reply under an id; return it without that."""
        got = await self.wait_for(lambda got: "id" in got and got["id"] == identifier)
        return {name: value for name, value in got.items() if name != "id"}

    async def call(self, event: str, data: Any = None) -> Frame:
        """Send an event with a new id, and wait for the reply."""
        return await self.reply(await self.begin(event, data))

    async def event(self, name: str) -> Any:
        """Wait for an event, received already or still to come; return its data."""
        return (await self.wait_for(lambda got: got.get("event") == name))["data"]

    async def payload(self, name: str, wanted: Callable[[Any], bool]) -> Any:
        """Wait for an event whose data ``wanted`` says yes to; return them."""
        got = await self.wait_for(lambda got: got.get("event") == name and wanted(got["data"]))
        return got["data"]

    async def wait_for(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Wait for the first frame that ``wanted`` says yes to."""
        seen = 0
        with trio.fail_after(PATIENCE):
            while True:
                for got in self.received[seen:]:
                    if wanted(got):
                        return got
                seen = len(self.received)
                if self.closed.is_set():
                    raise AssertionError(f"closed ({self.closing}) after {self.received}")
                await self._news.park()

    async def end(self) -> tuple[int, str | None]:
        """Wait for the server to close; return code and reason."""
        with trio.fail_after(PATIENCE):
            await self.closed.wait()
        return self.closing

    def named(self, name: str) -> list[Any]:
        """Return the data of all events of a name so far."""
        return [got["data"] for got in self.received if got.get("event") == name]

    def order(self) -> list[str]:
        """Return the names of the events so far, and "reply" for each reply."""
        return [got.get("event", "reply") for got in self.received]

    def forget(self) -> None:
        """Forget what was received so far."""
        self.received.clear()

    async def run(self) -> None:
        """Receive until the connection ends."""
        try:
            while True:
                message = await self.websocket.get_message()
                assert isinstance(message, str)
                self.received.append(json.loads(message))
                self._news.unpark_all()
        except trio_websocket.ConnectionClosed:
            pass
        finally:
            self.closed.set()
            self._news.unpark_all()


@asynccontextmanager
async def talking_plainly(
    stream: trio.abc.Stream,
    slug: str,
    *,
    token: str | None = None,
    headers: dict[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
) -> AsyncIterator[PlainPeer]:
    """Connect over a stream, with a token in the header if one is given.

    :param slug: as it stands in the path.
    :raises Rejected: the handshake was answered with an HTTP error.
    """
    fields = {**({} if token is None else {"Authorization": f"Bearer {token}"}), **(headers or {})}
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE):
                websocket = await trio_websocket.wrap_client_stream(
                    nursery,
                    # Declared for sockets only; any stream will do.
                    cast(trio.SocketStream, stream),
                    "testserver",
                    PATH + slug,
                    subprotocols=subprotocols,
                    extra_headers=[
                        (name.encode(), value.encode()) for name, value in fields.items()
                    ],
                    message_queue_size=100,
                )
            peer = PlainPeer(websocket)
            nursery.start_soon(peer.run)
            yield peer
            with trio.move_on_after(1):
                await websocket.aclose()
            nursery.cancel_scope.cancel()
    except* trio_websocket.ConnectionRejected as group:
        rejected = group.exceptions[0]
        assert isinstance(rejected, trio_websocket.ConnectionRejected)
        raise Rejected(rejected.status_code, json.loads(rejected.body or b"null")) from None
