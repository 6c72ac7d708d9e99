"""Edits go on, each once, while nginx reloads or restarts in front of every kind of client."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

import httpx
import pytest
import trio
import trio_websocket

from tests.e2e.in_room import COMES_BACK, assignment, in_room
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.e2e.stock_client import StockClient, Unanswered
from tests.faults.database import contents
from tests.faults.editing import editing
from tests.proxy.nginx import NginxProcess, proxy

LINEUPS = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
PAUSE = 0.05
"""Seconds before something is tried again."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server of one test: the editors' command ids are the same in every one."""
    with running_server(environment={"GBS_TRUSTED_PROXIES": "127.0.0.1"}) as running:
        yield running


@dataclass
class Work:
    """Edits that were acknowledged, by who has given them."""

    person: int
    """Whom all of them move about; no leader."""
    done: dict[str, list[str]] = field(default_factory=dict)
    stopping: bool = False
    _news: trio.Event = field(default_factory=trio.Event)

    def acknowledged(self, who: str, command_id: str) -> None:
        self.done[who].append(command_id)
        self._news.set()
        self._news = trio.Event()

    async def more(self, count: int) -> None:
        """Wait until everybody has had so many more edits acknowledged."""
        targets = {who: len(ids) + count for who, ids in self.done.items()}
        with trio.fail_after(60):
            while any(len(self.done[who]) < target for who, target in targets.items()):
                await self._news.wait()


async def edit_by_stock_client(work: Work, who: str, client: StockClient) -> None:
    number = 0
    while not work.stopping:
        number = number % 30 + 1
        command = assignment({"id": work.person}, number, commandId=str(uuid4()))
        while True:
            try:
                answer = await client.ask(*command)
            except Unanswered:
                continue
            if answer.get("code") == "NOT_IN_ROOM":  # it came back, and was not recovered
                await client.ask("join-retreat", RETREAT)
            elif not answer.get("retryable"):
                break
        assert answer["status"] == "OK", answer
        work.acknowledged(who, str(command[1]["commandId"]))


async def edit_over_http(work: Work, who: str, url: str) -> None:
    bearer = {"Authorization": f"Bearer {token(60)}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer) as http:
        number = 0
        while not work.stopping:
            number = number % 30 + 1
            key = str(uuid4())
            while True:
                try:
                    answer = await http.put(
                        f"{LINEUPS}/{work.person}",
                        json={"gbsNumber": number},
                        headers={"Idempotency-Key": key},
                    )
                except httpx.TransportError:
                    await trio.sleep(PAUSE)
                    continue
                if answer.status_code == 200:
                    break
                assert answer.status_code in {503, 504}, answer.text
                await trio.sleep(PAUSE)
            work.acknowledged(who, key)


async def edit_over_plain_websocket(work: Work, who: str, url: str) -> None:
    number = 0
    key = str(uuid4())
    while not work.stopping:
        try:
            async with trio_websocket.open_websocket_url(
                f"{url.replace('http', 'ws', 1)}/ws/retreats/{RETREAT}",
                extra_headers=[(b"Authorization", f"Bearer {token(61)}".encode())],
            ) as websocket:
                while not work.stopping:
                    data = {"lineupId": work.person, "gbsNumber": number % 30 + 1, "commandId": key}
                    request = {"id": key, "event": "update-gbs-number", "data": data}
                    await websocket.send_message(json.dumps(request))
                    while (frame := json.loads(await websocket.get_message())).get("id") != key:
                        pass
                    assert frame["status"] == "OK", frame
                    work.acknowledged(who, key)
                    number, key = number + 1, str(uuid4())
        except* (trio_websocket.ConnectionClosed, trio_websocket.HandshakeError, OSError):
            await trio.sleep(PAUSE)


@asynccontextmanager
async def everybody_at_work(
    server: ServerProcess, nginx: NginxProcess, node_drivers: dict[str, list[str]]
) -> AsyncIterator[Work]:
    """Clients of every kind that edit behind nginx; afterwards everything is checked."""
    rows = server.get(LINEUPS, token())["userRetreatGbsLineups"]
    work = Work(next(row["id"] for row in rows if not row["isLeader"]))
    work.done = {who: [] for who in (*node_drivers, "http", "plain")}
    reached = replace(server, port=nginx.port)
    retrying = {**COMES_BACK, "retries": 100, "ackTimeout": 2_000}
    async with (
        in_room(
            node_drivers.values(),
            nginx.url,
            first_user=50,
            auth={"recovery": True},
            options=retrying,
        ) as clients,
        editing(reached, count=2) as editors,
        trio.open_nursery() as nursery,
    ):
        for who, client in zip(node_drivers, clients, strict=True):
            nursery.start_soon(edit_by_stock_client, work, who, client)
        nursery.start_soon(edit_over_http, work, "http", nginx.url)
        nursery.start_soon(edit_over_plain_websocket, work, "plain", nginx.url)
        yield work
        await work.more(2)
        await editors.more(2)
        work.stopping = True
    log = Counter(str(entry.command_id) for entry in (await contents(server)).log)
    for who, ids in work.done.items():
        assert [log[command_id] for command_id in ids] == [1] * len(ids), who


async def reload(nginx: NginxProcess) -> None:
    old = nginx.workers()
    await trio.to_thread.run_sync(nginx.reload)
    await trio.to_thread.run_sync(nginx.wait_until_workers_are_gone, old)


async def restart(nginx: NginxProcess) -> None:
    await trio.to_thread.run_sync(lambda: nginx.restart(graceful=False))


@pytest.mark.node
@pytest.mark.parametrize("fault", [reload, restart])
async def test_edits_go_on_while_nginx_comes_and_goes(
    server: ServerProcess,
    node_drivers: dict[str, list[str]],
    fault: Callable[[NginxProcess], Awaitable[None]],
) -> None:
    async with (
        proxy(server.own_port) as nginx,
        everybody_at_work(server, nginx, node_drivers) as work,
    ):
        for _ in range(2):
            await work.more(3)
            await fault(nginx)
