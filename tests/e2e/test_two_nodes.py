"""Two servers on one PostgreSQL, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import trio

from gbs_actor.client import Client, CommandFailed, EditingMarked, PresenceChanged, connect
from gbs_actor.lineup.records import Row
from tests.bus.servers import PROGRAM, ValkeyServer
from tests.e2e.server_process import (
    RETREAT,
    DidNotStart,
    ServerProcess,
    data_folder,
    start_server,
    token,
)
from tests.faults.database import until_noted


def node(stack: ExitStack, database_url: str, name: str | None, **settings: str) -> ServerProcess:
    data_dir = stack.enter_context(data_folder())
    environment = {"GBS_DATABASE_URL": database_url, **settings}
    if name is not None:
        environment["GBS_NODE"] = name
    server = start_server(data_dir, log_path=data_dir.with_name("log"), environment=environment)
    stack.callback(server.stop)
    return server


@pytest.fixture
def pair(database_url: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with ExitStack() as stack:
        yield node(stack, database_url, "a"), node(stack, database_url, "b")


@pytest.fixture(params=["postgres", "valkey"])
def pair_over_each_bus(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with ExitStack() as stack:
        settings = {}
        if request.param == "valkey":
            if PROGRAM is None:
                pytest.skip("neither valkey-server nor redis-server is installed")
            valkey = ValkeyServer(tmp_path)
            valkey.start()
            stack.callback(valkey.kill)
            settings["GBS_BUS_URL"] = valkey.url
        yield (
            node(stack, database_url, "a", **settings),
            node(stack, database_url, "b", **settings),
        )


@dataclass
class Onlooker:
    """What a client is sent of the people in its room."""

    people: dict[int, int] = field(default_factory=dict)
    """Connections of each user."""
    marks: set[tuple[int, int, str | None]] = field(default_factory=set)

    async def watch(self, client: Client) -> None:
        async for update in client.updates():
            if isinstance(update, PresenceChanged):
                self.people = {user.user_id: user.connections for user in update.users}
            elif isinstance(update, EditingMarked):
                mark = (update.user_id, update.lineup_id, update.field)
                if update.editing:
                    self.marks.add(mark)
                else:
                    self.marks.discard(mark)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something holds; it is looked at again and again."""
    with trio.fail_after(30):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await trio.sleep(0.01)


def same(first: Client, second: Client) -> bool:
    return first.rows == second.rows


def movable(client: Client) -> list[int]:
    """Return the registrations that are not kept in their groups as leaders."""
    return [row.id for row in client.rows if not row.is_leader]


def number_of(client: Client, registration_id: int) -> int | None:
    return next(row.gbs_number for row in client.rows if row.id == registration_id)


@asynccontextmanager
async def one_on_each(
    pair: tuple[ServerProcess, ServerProcess], users: tuple[int, int] = (1, 2)
) -> AsyncIterator[list[Client]]:
    """Two clients in the room, each on a server of its own."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect(server.url, token=token(user_id)))
            for user_id, server in zip(users, pair, strict=True)
        ]
        for client in clients:
            await client.join(RETREAT)
        yield clients


async def test_who_is_on_either_sees_the_edits_of_both_and_a_conflict(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    async with one_on_each(pair) as (first, second):
        person, other = movable(first)[:2]
        for number in range(1, 21):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first.assign, person, number)
                nursery.start_soon(second.assign, other, number)
        await until(lambda: same(first, second))
        assert number_of(first, person) == number_of(second, other) == 20
        seen = pair[0].room()["revision"]
        await first.assign(person, 3)
        with pytest.raises(CommandFailed, match="CONFLICT"):
            await second.assign(person, 4, base_revision=seen)
        assert number_of(second, person) == 3
    revisions = {each.room()["revision"] for each in pair}
    assert len(revisions) == 1


async def test_the_same_command_on_both_at_once_is_done_once(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    a, _ = pair
    async with one_on_each(pair, users=(1, 1)) as (first, second):
        person, before = movable(first)[0], a.room()["revision"]
        for number in range(1, 11):
            id_ = uuid4()
            rows: list[Row] = []

            async def assign(client: Client, number: int = number, id_: UUID = id_) -> None:
                rows.append(await client.assign(person, number, command_id=id_))  # noqa: B023

            async with trio.open_nursery() as nursery:
                nursery.start_soon(assign, first)
                nursery.start_soon(assign, second)
            assert rows[0] == rows[1]
        await until(lambda: same(first, second))
        assert a.room()["revision"] == before + 10


async def test_one_that_is_killed_or_frozen_holds_up_nobody_on_the_other(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    a, b = pair
    async with connect(b.url, token=token(2, "나")) as survivor:
        await survivor.join(RETREAT)
        async with connect(a.url, token=token(1, "가")) as client:
            await client.join(RETREAT)
            person, other = movable(client)[:2]
            await client.assign(person, 3)
            os.kill(a.pid, signal.SIGSTOP)
            with trio.fail_after(10):
                await survivor.assign(other, 4)
            os.kill(a.pid, signal.SIGCONT)
            await until(lambda: same(client, survivor))
            a.kill()
            with trio.fail_after(10):
                await survivor.assign(other, 5)
            a.start_again()
            await until(lambda: same(client, survivor))
            await client.assign(person, 6)
            await until(lambda: number_of(survivor, person) == 6)


def test_two_of_the_same_name_or_one_without_a_name_are_refused(database_url: str) -> None:
    with ExitStack() as stack:
        node(stack, database_url, "a")
        quickly = {"GBS_LOCK_TIMEOUT": "0.2"}
        with pytest.raises(DidNotStart, match="node"):
            node(stack, database_url, "a", **quickly)
        with pytest.raises(DidNotStart, match="another server"):
            node(stack, database_url, None, **quickly)


async def test_who_is_on_either_and_what_they_edit_is_shown_on_both_until_a_server_dies(
    pair_over_each_bus: tuple[ServerProcess, ServerProcess],
) -> None:
    a, b = pair_over_each_bus
    async with (
        connect(a.url, token=token(1)) as onlooking,
        connect(b.url, token=token(2)) as client,
        trio.open_nursery() as nursery,
    ):
        here, there = Onlooker(), Onlooker()
        nursery.start_soon(here.watch, onlooking)
        nursery.start_soon(there.watch, client)
        await onlooking.join(RETREAT)
        await client.join(RETREAT)
        person = movable(client)[0]
        await until(lambda: here.people == there.people == {1: 1, 2: 1})
        await client.mark_editing(person, "memo")
        await until(lambda: here.marks == {(2, person, "memo")})
        await client.mark_editing(person, "memo", editing=False)
        await until(lambda: not here.marks)
        await client.mark_editing(person, "gbsNumber")
        await until(lambda: here.marks == {(2, person, "gbsNumber")})
        b.kill()
        await until(lambda: here.people == {1: 1} and not here.marks)
        nursery.cancel_scope.cancel()


async def test_those_of_a_server_that_stops_leave(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    a, b = pair
    async with (
        connect(a.url, token=token(1)) as client,
        connect(b.url, token=token(2)) as other,
        trio.open_nursery() as nursery,
    ):
        onlooker = Onlooker()
        nursery.start_soon(onlooker.watch, client)
        await client.join(RETREAT)
        await other.join(RETREAT)
        await until(lambda: onlooker.people == {1: 1, 2: 1})
        assert b.stop() == 0
        await until(lambda: onlooker.people == {1: 1})
        nursery.cancel_scope.cancel()


class Polling:
    """A recoverable Socket.IO client that polls, packet by packet; it never says that it leaves."""

    def __init__(self, http: httpx.AsyncClient, server: ServerProcess) -> None:
        self._http = http
        self._url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        self.answer: dict[str, Any] = {}
        """The last reply to CONNECT."""
        self.offset: str | None = None
        self.rows: dict[int, dict[str, Any]] = {}
        """Those that came as updates."""

    async def connect(self, **auth: Any) -> None:
        opened = (await self._http.get(self._url)).text
        self._url += f"&sid={json.loads(opened[1:])['sid']}"
        await self.say(f"40/gbs-lineup,{json.dumps({'recovery': True, **auth})}")
        while not self.answer:
            await self.poll()

    async def say(self, packet: str) -> None:
        assert (await self._http.post(self._url, content=packet)).text == "ok"

    async def poll(self) -> bool:
        """Take what comes next; ``False``: the server has closed the session."""
        for packet in (await self._http.get(self._url)).text.split("\x1e"):
            if packet == "1":
                return False
            if packet == "2":
                await self.say("3")
            elif packet.startswith("40/gbs-lineup,"):
                self.answer = json.loads(packet.partition(",")[2])
            elif packet.startswith("42/gbs-lineup,"):
                name, argument, self.offset = json.loads(packet.partition(",")[2])
                if name == "lineup-updated":
                    self.rows[argument["id"]] = argument
        return True


async def test_who_comes_back_to_the_other_is_resumed_there_and_the_first_ends_its_session(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    a, b = pair
    async with (
        httpx.AsyncClient(timeout=30) as http,
        connect(a.url, token=token(2, "나")) as editor,
    ):
        await editor.join(RETREAT)
        former, client = Polling(http, a), Polling(http, b)
        await former.connect(token=token(1, "가"))
        await former.say(f'42/gbs-lineup,["join-retreat","{RETREAT}"]')
        while former.offset in {None, "0"}:
            await former.poll()
            await editor.assign(movable(editor)[0], 7)
        await until_noted(a, former.answer["sid"])
        # Nobody fetches that over the former connection.
        person = movable(editor)[1]
        await editor.assign(person, 8)
        resuming = {"pid": former.answer["pid"], "offset": former.offset}
        await client.connect(token=token(1, "가"), **resuming)
        assert client.answer == former.answer
        with trio.fail_after(30):
            while person not in client.rows:
                await client.poll()
            while await former.poll():
                pass
        sid = client.answer["sid"]

        def subscribed() -> list[bool]:
            rooms = [server.room() for server in pair]
            return [sid in {each["sid"] for each in room["subscribers"]} for room in rooms]

        # The first one may have closed the session a moment before it takes it from its room.
        await until(lambda: subscribed() == [False, True])
