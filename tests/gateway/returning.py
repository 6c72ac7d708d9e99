"""Clients that come back, over WebSocket or polls, and a server to come back to.

A client does what the stock one does: it takes the last argument of any event for the offset
if that is a text, merges rows by id, and replaces its list by what a join is answered with.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import trio
import trio.testing

from gbs_actor.rooms import Snapshot
from gbs_actor.settings import Settings
from tests.gateway import serving
from tests.gateway.serving import SLUG, HeldStore
from tests.socketio.lines import Carrier
from tests.socketio.peer import Close, MemoryListener, Peer
from tests.socketio.polls import SEPARATOR, WEBSOCKET, Exchange, Fields, Polls, Site

PATIENCE = 60.0
_PACKET = re.compile(r"4(?P<type>[0-4])/gbs-lineup,?(?P<ack>[0-9]*)(?P<json>.*)", re.DOTALL)

Row = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """An event as it came."""

    name: str
    payload: Any
    offset: str | None


class Doors(Protocol):
    """Ways to a server."""

    async def polls(self) -> Polls: ...

    async def dial(self, query: str) -> Peer: ...


class Reachable(Protocol):
    """A server, and where tasks of its clients run."""

    @property
    def site(self) -> Doors: ...

    @property
    def nursery(self) -> trio.Nursery: ...


class Client:
    """One client, on one connection after the other."""

    def __init__(self, world: Reachable, carrier: Carrier, auth: dict[str, Any]) -> None:
        self.world = world
        self.carrier: Carrier = carrier
        self.auth = auth
        self.sid = ""
        self.pid: str | None = None
        self.offset: str | None = None
        self.recovered = False
        self.refusal: dict[str, Any] | None = None
        self.events: list[Event] = []
        self.rows: dict[int, Row] = {}
        self.closed = trio.Event()
        self.left = False
        """Whether the server has said DISCONNECT."""
        self._line: Peer | Polls | None = None
        self._get: Exchange | None = None
        self._acks: dict[int, Any] = {}
        self._next_ack = 0
        self._answered = False
        self._news = trio.lowlevel.ParkingLot()

    async def connect(self, **more: Any) -> None:
        """Connect on a new connection, with what the client would show; ``more`` is added."""
        line: Peer | Polls
        if self.carrier == "polling":
            line = await self.world.site.polls()
        else:
            line = await self.world.site.dial(WEBSOCKET)
            assert (await line.receive_text())[0] == "0"
        self._line, self.closed, self.left = line, trio.Event(), False
        self._answered, self.refusal = False, None
        self._acks.clear()
        self.world.nursery.start_soon(self._read, line, self.closed)
        shown = {} if self.pid is None else {"pid": self.pid, "offset": self.offset}
        await self.say(f"40/gbs-lineup,{json.dumps({**shown, **self.auth, **more})}")
        await self.until(lambda: self._answered)

    async def say(self, packet: str) -> None:
        """Send a packet."""
        if isinstance(self._line, Polls):
            await self._line.post(packet)
        else:
            assert self._line is not None
            await self._line.send(packet)

    async def emit(self, name: str, *arguments: Any) -> None:
        await self.say(f"42/gbs-lineup,{json.dumps([name, *arguments])}")

    async def call(self, name: str, *arguments: Any) -> dict[str, Any]:
        number = self._next_ack
        self._next_ack += 1
        await self.say(f"42/gbs-lineup,{number}{json.dumps([name, *arguments])}")
        await self.until(lambda: number in self._acks)
        answer: dict[str, Any] = self._acks.pop(number)
        return answer

    async def join(self, slug: str = SLUG) -> None:
        """Join with an ack; then wait for an event, and so for an offset."""
        seen = len(self.events)
        await self.join_only(slug)
        await self.until(lambda: len(self.events) > seen)

    async def join_only(self, slug: str = SLUG) -> None:
        """Join with an ack."""
        answer = await self.call("join-retreat", slug)
        assert answer["status"] == "OK", answer
        self.rows = {row["id"]: row for row in answer["data"]}

    async def assign(self, row: int, number: int) -> int:
        """Put somebody into a group; return the revision."""
        answer = await self.call("update-gbs-number", {"lineupId": row, "gbsNumber": number})
        assert answer["status"] == "OK", answer
        revision: int = answer["revision"]
        return revision

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        with trio.fail_after(PATIENCE):
            while not condition():
                assert not self.closed.is_set(), self.events
                await self._news.park()

    async def event(self, name: str, since: int = 0) -> Event:
        """Wait for an event; ``since``: how many of :attr:`events` do not count."""
        await self.until(lambda: self.named(name, since))
        return self.named(name, since)[0]

    def named(self, name: str, since: int = 0) -> list[Event]:
        return [event for event in self.events[since:] if event.name == name]

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        await trio.testing.wait_all_tasks_blocked()

    async def cut(self) -> None:
        """Lose the connection, as both sides notice."""
        await self.settle()
        if isinstance(self._line, Peer):
            await self._line.stream.aclose()
        elif not self.closed.is_set():
            assert self._get is not None
            self._get.leave()
        await self.closed.wait()
        await self.settle()

    async def abandon(self) -> None:
        """Forget the connection: the server thinks that it is there."""
        self._line = None
        await self.settle()

    async def come_back(self, **more: Any) -> None:
        await self.cut()
        await self.connect(**more)

    # What it hears

    async def _read(self, line: Peer | Polls, closed: trio.Event) -> None:
        try:
            if isinstance(line, Polls):
                await self._poll(line)
                return
            while not isinstance(received := await line.receive(), Close):
                assert isinstance(received, str)
                await self._hear(line, received)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            pass  # by a cut
        finally:
            closed.set()
            self._news.unpark_all()

    async def _poll(self, line: Polls) -> None:
        while True:
            self._get = line.ask()
            await self._get.ended.wait()
            answer = self._get.answer
            if answer is None or answer.status != 200:
                return
            for packet in answer.text.split(SEPARATOR):
                if packet == "1":
                    return
                await self._hear(line, packet)

    async def _hear(self, line: Peer | Polls, packet: str) -> None:
        if self._line is not line or packet == "6":
            return
        if packet == "2":
            await line.send("3")
            return
        found = _PACKET.fullmatch(packet)
        assert found is not None, packet
        value: Any = json.loads(found["json"]) if found["json"] else None
        match found["type"]:
            case "0":
                self.recovered = self.pid is not None and value.get("pid") == self.pid
                self.sid, self.pid = value["sid"], value.get("pid")
                assert set(value) == ({"sid"} if self.pid is None else {"sid", "pid"})
                self._answered = True
            case "1":
                self.left = True
            case "2":
                self._take(*value)
            case "3":
                self._acks[int(found["ack"])] = value[0]
            case "4":
                self.refusal = value
                self._answered = True
        self._news.unpark_all()

    def _take(self, *event: Any) -> None:
        offset = None
        if self.pid is not None and isinstance(event[-1], str):
            offset = self.offset = event[-1]
        self.events.append(Event(event[0], event[1] if len(event) > 1 else None, offset))
        if event[0] == "lineup-updated":
            self.rows[event[1]["id"]] = event[1]
        elif event[0] == "initial-data":
            self.rows = {row["id"]: row for row in event[1]}


class Way:
    """The way to a simulated server: WebSockets by its network, polls by its ASGI application."""

    def __init__(self, here: serving.World, nursery: trio.Nursery) -> None:
        self._server = here.server
        self._nursery = nursery

    async def polls(self) -> Polls:
        app = self._server.composition.app
        return await Site(app, self._nursery, MemoryListener(), "/socket.io/").polls()

    async def dial(self, query: str, headers: Fields = ()) -> Peer:
        peer = Peer(await self._server.open_stream())
        await peer.upgrade(f"/socket.io/?{query}", headers)
        return peer


class World(serving.World):
    """A server whose clients come back."""

    def __init__(self, here: serving.World, nursery: trio.Nursery) -> None:
        super().__init__(here.server, here.store)
        self.nursery = nursery
        self.site = Way(here, nursery)

    @property
    def recoveries(self) -> Mapping[str, int]:
        """Attempts to resume, by result."""
        return self.services.recoveries

    def client(
        self, carrier: Carrier = "websocket", *, recovery: bool = True, **token: Any
    ) -> Client:
        """Return a client that has not connected yet."""
        auth: dict[str, Any] = {"token": self.token(**token)}
        if recovery:
            auth["recovery"] = True
        return Client(self, carrier, auth)

    async def joined(
        self, carrier: Carrier = "websocket", slug: str = SLUG, **token: Any
    ) -> Client:
        """Return a client that has joined, and has got an offset."""
        client = self.client(carrier, **token)
        await client.connect()
        await client.join(slug)
        return client

    async def listed(self, slug: str = SLUG) -> dict[int, Row]:
        """Return the rows as they are."""
        snapshot = await self.rooms.read(slug)
        assert isinstance(snapshot, Snapshot)
        return {row["id"]: row for row in json.loads(snapshot.rows)}

    def present(self, slug: str = SLUG) -> int:
        """Return how many connections are in a room."""
        room = self.rooms.room_statistics(slug)
        return 0 if room is None else len(room.subscribers)

    @property
    def ids(self) -> list[str]:
        """The ids of all sockets that are connected."""
        return [socket.id for socket in self.services.sockets.namespace("/gbs-lineup").sockets]


@asynccontextmanager
async def world(
    config: Settings | None = None, *, store: HeldStore | None = None, seed: int = 0
) -> AsyncIterator[World]:
    """Serve within the block; see :func:`tests.gateway.serving.world`."""
    async with (
        serving.world(config, store=store, seed=seed) as here,
        trio.open_nursery() as nursery,
    ):
        yield World(here, nursery)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def two_servers(
    names: tuple[str | None, str | None] = (None, None),
) -> AsyncIterator[tuple[World, World]]:
    """Serve the same retreats on two servers within the block.

    :param names: without them they know of each other by the store only.
    """
    first, second = [serving.settings_with(node=name) for name in names]
    store = HeldStore()
    store.shared = True
    elsewhere = store.elsewhere()
    assert isinstance(elsewhere, HeldStore)
    async with world(first, store=store) as one, world(second, store=elsewhere, seed=1) as other:
        yield one, other
