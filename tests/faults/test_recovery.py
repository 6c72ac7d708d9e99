"""Clients that come back after the server's process, or its PostgreSQL too, was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.faults.database import until_noted
from tests.faults.postgres_processes import postmaster
from tests.gateway.returning import Client, Row
from tests.socketio.peer import Peer
from tests.socketio.polls import Polls

OTHER = "2024-summer"


@dataclass
class Network:
    """The real way to a server's process."""

    server: ServerProcess
    nursery: trio.Nursery

    @property
    def site(self) -> Network:
        return self

    async def dial(self, query: str) -> Peer:
        peer = Peer(await trio.open_tcp_stream(self.server.host, self.server.port))
        await peer.upgrade(f"/socket.io/?{query}")
        return peer

    async def polls(self) -> Polls:
        raise NotImplementedError  # stock clients do that, in tests/e2e

    def client(self, user_id: int = 7) -> Client:
        auth: dict[str, Any] = {"token": token(user_id), "recovery": True}
        return Client(self, "websocket", auth)

    async def joined(self, user_id: int = 7, slug: str = RETREAT) -> Client:
        """Return a client in a room that has got an offset there, and is known to be there."""
        client = self.client(user_id)
        await client.connect()
        await client.join(slug)
        await until_noted(self.server, client.sid)
        return client

    async def listed(self, slug: str = RETREAT) -> dict[int, Row]:
        answer = await trio.to_thread.run_sync(
            self.server.get, f"/api/v1/retreat/{slug}/line-up/user-lineups", token()
        )
        return {row["id"]: row for row in answer["userRetreatGbsLineups"]}

    async def power_cut(self, *, database: bool) -> None:
        """Kill the server, with its PostgreSQL or without, and start it again."""
        parent = postmaster(self.server)
        assert parent is not None
        self.server.process.kill()
        if database:
            os.kill(parent, signal.SIGKILL)
        await trio.to_thread.run_sync(self.server.kill_and_start_again)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server(on_disk=True) as running:
        yield running


@asynccontextmanager
async def network(server: ServerProcess) -> AsyncIterator[Network]:
    async with trio.open_nursery() as nursery:
        yield Network(server, nursery)
        nursery.cancel_scope.cancel()


def members(rows: dict[int, Row]) -> list[int]:
    """Return the ids of people who lead no group."""
    return sorted(row["id"] for row in rows.values() if not row["isLeader"])


async def test_who_comes_back_to_a_killed_server_misses_nothing(server: ServerProcess) -> None:
    async with network(server) as net:
        client, editor = await net.joined(), await net.joined(8)
        people = members(client.rows)
        first = await editor.assign(people[0], 701)
        await client.until(lambda: client.offset == str(first))
        sid, pid = client.sid, client.pid
        await net.power_cut(database=False)
        await client.closed.wait()
        await editor.connect()
        assert editor.recovered
        for person in people[1:4]:
            await editor.assign(person, 702)
        seen = len(client.events)
        await client.connect()
        assert client.recovered
        assert (client.sid, client.pid) == (sid, pid)
        last = await editor.assign(people[4], 703)
        await client.until(lambda: client.offset == str(last))
        rows = await net.listed()
        await client.until(lambda: client.rows == rows)  # totals may come behind the row
        offsets = [int(event.offset or -1) for event in client.events[seen:]]
        assert offsets == sorted(offsets)
        await client.assign(people[5], 704)  # it is in the room


@pytest.mark.parametrize("database", [False, True], ids=["server", "server and PostgreSQL"])
async def test_who_has_left_is_not_put_back_by_a_kill_right_after_the_answer(
    server: ServerProcess, database: bool
) -> None:
    async with network(server) as net:
        client = await net.joined()
        await client.call("leave-retreat", RETREAT)
        await net.power_cut(database=database)
        await client.closed.wait()
        await client.connect()
        assert not client.recovered
        answer = await client.call("user-editing", {"lineupId": 1})
        assert answer["code"] == "NOT_IN_ROOM"


@pytest.mark.parametrize("database", [False, True], ids=["server", "server and PostgreSQL"])
async def test_who_has_changed_rooms_is_not_put_into_the_former_one(
    server: ServerProcess, database: bool
) -> None:
    async with network(server) as net:
        client, editor = await net.joined(), await net.joined(8, OTHER)
        await client.join_only(OTHER)
        await net.power_cut(database=database)
        await client.closed.wait()
        await editor.connect()
        if not editor.recovered:
            await editor.join(OTHER)
        person = members(editor.rows)[0]
        await editor.assign(person, 705)
        await client.connect()
        if client.recovered:
            await client.until(lambda: client.rows == editor.rows)
            assert client.rows == await net.listed(OTHER)
        else:
            answer = await client.call("user-editing", {"lineupId": person})
            assert answer["code"] == "NOT_IN_ROOM"
