"""Whatever servers, their store and a client do: a session is resumed in its room or nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest
import trio

from gbs_actor.gateway.namespace.recoverable_session import StoredSession
from gbs_actor.gateway.namespace.session_locations import (
    CHECK_INTERVAL,
    WRITE_TIMEOUT,
    SessionLocations,
)
from gbs_actor.rooms import Snapshot, Subscriber
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import SessionRecord, StoreError
from gbs_actor.testing import Environment
from gbs_actor.testing.environment import seeded_environment
from gbs_actor.testing.scheduling import run

SERVERS = 3
STEPS = 40
SEEDS = 100
SLUGS = ("winter", "summer")


class SlowStore(MemoryStore):
    """The store as one server reaches it: sometimes late, sometimes not, sometimes unsure."""

    def __init__(self, data: MemoryStore, random: Random) -> None:
        super().__init__(shared=True)
        self._sessions = data._sessions
        self._random = random

    async def update_session_locations(self, records: Mapping[str, SessionRecord]) -> set[str]:
        await self._delay()
        taken = await super().update_session_locations(records)
        await self._delay()
        return taken

    async def take_over_session(self, sid: str) -> SessionRecord:
        await self._delay()
        record = await super().take_over_session(sid)
        await self._delay()
        return record

    async def _delay(self) -> None:
        await trio.sleep(self._random.choice((0.0, 0.0, 0.0, 0.3, 3 * WRITE_TIMEOUT)))
        if self._random.random() < 0.1:
            raise StoreError("told to fail")


class Server:
    """What one server has of a client, on a connection that it does not know to have ended."""

    def __init__(self, store: MemoryStore, environment: Environment) -> None:
        self.locations = SessionLocations(store, max_age=43_200, environment=environment)
        self.session: StoredSession | None = None

    def connected(self, sid: str) -> StoredSession:
        """Return the session of a new connection; a former one is ended first, as one knows it."""
        self.disconnected()
        self.session = StoredSession(sid, self.locations, lambda _: None, close=self.disconnected)
        return self.session

    def disconnected(self) -> None:
        if self.session is not None:
            self.locations.disconnected(self.session.sid)
            self.session = None


class Client:
    """A client that moves between servers; nobody notices when its connection ends."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.room: str | None = None
        self.resumed = 0
        self._servers = servers
        self._sids = count()
        self.begin(servers[0])

    def begin(self, server: Server) -> None:
        """Begin a session."""
        self.server, self.room = server, None
        self.session = server.connected(f"sid {next(self._sids)}")
        self.session.begun()

    async def move(self, server: Server) -> None:
        """Resume the session, or begin one where that fails."""
        session = server.connected(self.session.sid)
        try:
            record = await server.locations.take_over(session.sid)
        except StoreError:
            self.begin(server)
            return
        session.generation = record.generation
        if record.location is None:
            session.end()
            self.begin(server)
            return
        assert record.location.slug == self.room
        session.resumed(record.location)
        self.server, self.session = server, session
        self.resumed += 1

    async def join(self, slug: str, revision: int) -> None:
        """Join a room, or stay where it is."""
        subscriber = cast(Subscriber, SimpleNamespace(known_elsewhere=-1, room_slug=self.room))
        snapshot = cast(Snapshot, SimpleNamespace(epoch="epoch", revision=revision))
        with suppress(StoreError):
            async with self.session.moving(slug, subscriber):
                self.session.joined(slug, snapshot, subscriber)
                self.room = slug

    async def leave(self) -> None:
        """Leave the room, or stay in it."""
        if self.room is not None:
            with suppress(StoreError):
                await self.session.leave(self.room)
                self.room = None


async def travel(seed: int) -> int:
    """Let a client move about; return how often its session was resumed."""
    random, data = Random(seed), MemoryStore(shared=True)
    environment = seeded_environment(seed)
    servers = [Server(SlowStore(data, random), environment) for _ in range(SERVERS)]
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server.locations.running())
        client = Client(servers)
        for revision in range(STEPS):
            match random.choice(("join", "leave", "move", "move", "wait", "wait")):
                case "join":
                    await client.join(random.choice(SLUGS), revision)
                case "leave":
                    await client.leave()
                case "move":
                    await client.move(random.choice(servers))
                case _:
                    await trio.sleep(random.random() * 2 * WRITE_TIMEOUT)
        await trio.sleep(20 * CHECK_INTERVAL)
        assert client.server.session is client.session
        for server in servers:
            if server is not client.server and server.session is not None:
                assert server.session.sid != client.session.sid
    return client.resumed


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_a_session_is_resumed_in_its_room_or_nowhere_and_stays_on_one_server(first: int) -> None:
    assert sum(run(travel, seed, seed=seed) for seed in range(first, first + 20)) > 10
