"""Edits go on, each once, while nginx reloads or restarts in front of every kind of client."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import trio
import trio_websocket

from gbs_actor.client import Client
from tests.e2e.drivers import Drivers
from tests.e2e.in_room import COMES_BACK, assignment, in_room, until_settled, until_shown
from tests.e2e.screen import updates_by_connection
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import StockClient, Unanswered
from tests.faults.database import contents
from tests.faults.editing import Editors, editing
from tests.proxy.nginx import NginxProcess, proxy

LINEUPS = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
PAUSE = 0.05
"""Seconds before something is tried again, or the next edit is given."""
EDITORS = ("editor 1", "editor 2", "onlooker 1", "onlooker 2")
"""Clients of our own, over WebSockets."""
NOTICED = 60.0
"""Seconds after which whoever a fault was for should have noticed it."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server of one test: the editors' command ids are the same in every one."""
    with running_server(environment={"GBS_TRUSTED_PROXIES": "127.0.0.1"}) as running:
        yield running


@dataclass
class Work:
    """Edits that were acknowledged, and how often who gave them lost a connection."""

    person: int
    """Whom all of them move about; no leader."""
    done: dict[str, list[tuple[UUID, int]]]
    """By who has given them: command and group number."""
    losses: Counter[str] = field(default_factory=Counter)
    """Of those that have no count of their own: see :meth:`lost`."""
    stock: dict[str, StockClient] = field(default_factory=dict)
    editors: tuple[Client, ...] = ()
    stopping: bool = False
    _news: trio.Event = field(default_factory=trio.Event)

    def acknowledged(self, who: str, command_id: UUID, number: int) -> None:
        self.done[who].append((command_id, number))
        self._news.set()
        self._news = trio.Event()

    def lost(self) -> Counter[str]:
        """How often whose connection was lost, or a request of theirs not answered, so far."""
        lost = Counter(self.losses)
        for who, client in self.stock.items():
            lost[who] = sum(it.name == "disconnect" for it in client.happened)
        for who, editor in zip(EDITORS, self.editors, strict=True):
            lost[who] = editor.statistics().attempts - 1  # it tries again after each loss
        return lost

    async def settled(self, node_drivers: Drivers) -> None:
        """Wait until everybody is connected, by the last of their transports."""
        await self.more(3)
        await until_settled(node_drivers.values(), self.stock.values())
        for editor in self.editors:
            await editor.until(lambda editor: editor.statistics().connected)

    async def more(self, count: int) -> None:
        """Wait until everybody has had so many more edits acknowledged."""
        targets = {who: len(ids) + count for who, ids in self.done.items()}
        with trio.move_on_after(60) as waiting:
            while any(len(self.done[who]) < target for who, target in targets.items()):
                await self._news.wait()
        lacking = {who: target - len(self.done[who]) for who, target in targets.items()}
        assert not waiting.cancelled_caught, f"edits not acknowledged: {lacking}"

    @asynccontextmanager
    async def disturbed(self, everybody: Collection[str]) -> AsyncIterator[None]:
        """Behind the block, wait until all of these have lost something since its begin."""
        before = self.lost()
        yield
        deadline = trio.current_time() + NOTICED
        while True:
            now = self.lost()
            untouched = {who for who in everybody if now[who] == before[who]}
            if not untouched:
                return
            assert trio.current_time() < deadline, f"the fault has gone past {untouched}"
            await trio.sleep(PAUSE)


async def edit_by_stock_client(work: Work, who: str) -> None:
    client = work.stock[who]
    number = 0
    while not work.stopping:
        number = number % 30 + 1
        command_id = uuid4()
        command = assignment({"id": work.person}, number, commandId=str(command_id))
        while True:
            try:
                answer = await client.ask(*command)
            except Unanswered:
                continue
            if not answer.get("retryable"):
                break
        assert answer["status"] == "OK", answer
        work.acknowledged(who, command_id, number)
        await trio.sleep(PAUSE)


async def edit_over_http(work: Work, url: str) -> None:
    bearer = {"Authorization": f"Bearer {token(60)}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer) as http:
        number = 0
        while not work.stopping:
            number = number % 30 + 1
            command_id = uuid4()
            while True:
                try:
                    answer = await http.put(
                        f"{LINEUPS}/{work.person}",
                        json={"gbsNumber": number},
                        headers={"Idempotency-Key": str(command_id)},
                    )
                except httpx.TransportError:
                    work.losses["http"] += 1
                    await trio.sleep(PAUSE)
                    continue
                if answer.status_code == 200:
                    break
                assert answer.status_code in {503, 504}, answer.text
                await trio.sleep(PAUSE)
            work.acknowledged("http", command_id, number)
            await trio.sleep(PAUSE)


async def edit_over_plain_websocket(work: Work, url: str) -> None:
    number, command_id, under_way = 1, uuid4(), False
    while under_way or not work.stopping:
        try:
            async with trio_websocket.open_websocket_url(
                f"{url.replace('http', 'ws', 1)}/ws/retreats/{RETREAT}",
                extra_headers=[(b"Authorization", f"Bearer {token(61)}".encode())],
            ) as websocket:
                while under_way or not work.stopping:
                    under_way = True  # from now on it may have taken effect
                    await give(websocket, command_id, lineupId=work.person, gbsNumber=number)
                    work.acknowledged("plain", command_id, number)
                    number, command_id, under_way = number % 30 + 1, uuid4(), False
                    await trio.sleep(PAUSE)  # faster is more than event_rate allows
        except* (trio_websocket.ConnectionClosed, trio_websocket.HandshakeError, OSError):
            work.losses["plain"] += 1
            await trio.sleep(PAUSE)


async def give(
    websocket: trio_websocket.WebSocketConnection, command_id: UUID, **what: int
) -> None:
    """Give a command over a plain WebSocket, and wait until it is accepted."""
    key = str(command_id)
    request = {"id": key, "event": "update-gbs-number", "data": {**what, "commandId": key}}
    await websocket.send_message(json.dumps(request))
    while (frame := json.loads(await websocket.get_message())).get("id") != key:
        pass
    assert frame["status"] == "OK", frame


@asynccontextmanager
async def everybody_at_work(
    server: ServerProcess, nginx: NginxProcess, node_drivers: Drivers
) -> AsyncIterator[Work]:
    """Clients of every kind that edit behind nginx; afterwards everything is checked."""
    rows = server.get(LINEUPS, token())["userRetreatGbsLineups"]
    work = Work(
        next(row["id"] for row in rows if not row["isLeader"]),
        done={who: [] for who in (*node_drivers, "http", "plain")},
    )
    reached = replace(server, port=nginx.port)
    retrying = {**COMES_BACK, "retries": 100, "ackTimeout": 2_000}
    async with in_room(
        node_drivers.values(),
        nginx.url,
        first_user=50,
        auth={"recovery": True},
        options=retrying,
    ) as clients:
        work.stock = dict(zip(node_drivers, clients, strict=True))
        async with (
            editing(reached, count=2, pause=PAUSE) as editors,
            trio.open_nursery() as nursery,
        ):
            work.editors = tuple(editors.clients)
            for who in work.stock:
                nursery.start_soon(edit_by_stock_client, work, who)
            nursery.start_soon(edit_over_http, work, nginx.url)
            nursery.start_soon(edit_over_plain_websocket, work, nginx.url)
            yield work
            await work.more(2)
            await editors.more(2)
            work.stopping = True
        await check(server, nginx, work, editors)


async def check(server: ServerProcess, nginx: NginxProcess, work: Work, editors: Editors) -> None:
    """See that the log has what was acknowledged, once, and all clients what it leads to."""
    stored = await contents(server)
    given = {command_id: number for done in work.done.values() for command_id, number in done}
    given |= {edit.command_id: edit.number for edit in editors.acknowledged}
    assert [entry.revision for entry in stored.log] == list(range(1, stored.revision + 1))
    assert Counter(entry.command_id for entry in stored.log) == Counter(list(given))

    fresh = await trio.to_thread.run_sync(replace(server, port=nginx.port).get, LINEUPS, token())
    rows: dict[int, dict[str, Any]] = {row["id"]: row for row in fresh["userRetreatGbsLineups"]}
    assert (fresh["revision"], fresh["full"]) == (stored.revision, True)
    assert {each: row["gbsNumber"] for each, row in rows.items()} == stored.numbers
    last = {entry.registration_id: given[entry.command_id] for entry in stored.log}
    assert {each: stored.numbers[each] for each in last if each is not None} == last
    for client in work.stock.values():
        await until_shown(client, rows)
        _, *later = [it.value for it in client.happened if it.name == "connect"]
        assert all(connect["recovered"] for connect in later)
        for seen in updates_by_connection(client):
            assert all(one["revision"] <= two["revision"] for one, two in pairwise(seen))
            states = [(row["id"], row["revision"]) for row in seen]
            assert len(states) == len(set(states)), "a state came twice over one connection"


WEBSOCKETS = {"websocket", "upgrade", "plain", *EDITORS}
EVERYBODY = WEBSOCKETS | {"polling", "http"}


async def reload(nginx: NginxProcess, work: Work) -> None:
    old = nginx.workers()
    # Requests may all be answered in time: new ones find new workers.
    async with work.disturbed(WEBSOCKETS):
        await trio.to_thread.run_sync(nginx.reload)
        await trio.to_thread.run_sync(nginx.wait_until_workers_are_gone, old)


async def restart(nginx: NginxProcess, work: Work, *, graceful: bool) -> None:
    async with work.disturbed(EVERYBODY):
        await trio.to_thread.run_sync(partial(nginx.stop, graceful=graceful))
    await trio.to_thread.run_sync(nginx.start)


@pytest.mark.node
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(reload, id="reload"),
        pytest.param(partial(restart, graceful=True), id="graceful restart"),
        pytest.param(partial(restart, graceful=False), id="restart"),
    ],
)
async def test_edits_go_on_while_nginx_comes_and_goes(
    server: ServerProcess,
    node_drivers: Drivers,
    fault: Callable[[NginxProcess, Work], Awaitable[None]],
) -> None:
    async with (
        proxy(server.own_port) as nginx,
        everybody_at_work(server, nginx, node_drivers) as work,
    ):
        for _ in range(2):
            await work.settled(node_drivers)
            await fault(nginx, work)
