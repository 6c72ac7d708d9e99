"""Pages at work that stay, whatever becomes of their server, and note what they see of it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

import trio

from gbs_actor.concurrency import Backoff
from tests.e2e.drivers import Driver
from tests.e2e.in_room import assignment
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import Happened, StockClient, stock_clients
from tests.gateway.plain_peer import talking_plainly

STAYS = {"reconnection": True, "retries": 1000, "ackTimeout": 60_000}
"""Options of a stock client: it reconnects as it does by default, and repeats its edits."""
LONGEST_DELAY = 5.0
"""Seconds that a stock client waits at most before an attempt, unless told otherwise."""
UPDATES = ("lineup-updated", "user-editing", "room-presence")
_PAUSE = (0.2, 0.8)  # seconds between two edits of a page


@dataclass
class StockPage:
    """A page with a stock client."""

    client: StockClient
    driver: Driver
    acknowledged: list[UUID] = field(default_factory=list)

    async def join(self) -> None:
        """Enter the room, as a page does whenever it is connected."""
        answer = await self.client.ask("join-retreat", RETREAT)
        assert answer["status"] == "OK", answer

    async def come_back(self, since: int) -> float:
        """Wait until it is connected again, and join; return the time.

        :param since: how much had happened before.
        """
        await self.client.event("connect", since=since)
        await self.join()
        return trio.current_time()

    async def edit(self, people: Sequence[int], stopping: trio.Event) -> None:
        """Assign people to groups now and then; each edit has its answer in the end."""
        while not stopping.is_set():
            person, command_id = {"id": random.choice(people)}, uuid4()
            edit = assignment(person, random.randint(31, 9999), commandId=str(command_id))
            answer = await self.client.ask(*edit)
            if answer["status"] == "OK":
                self.acknowledged.append(command_id)
            else:  # repeated before the join, it does not overwrite what came after it
                assert answer["code"] == "CONFLICT", answer
            with trio.move_on_after(random.uniform(*_PAUSE)):
                await stopping.wait()

    def saw(self, since: int, *names: str) -> list[Happened]:
        """Return what happened of some kinds."""
        return [it for it in self.client.happened[since:] if it.name in names]


@dataclass
class PlainPage:
    """A plain WebSocket that is opened again, with the delays of a stock client."""

    joined: list[float] = field(default_factory=list)
    """When it was in its room, each time."""
    closings: list[tuple[int, str | None]] = field(default_factory=list)
    """How its connections were closed: code and reason."""
    _news: trio.Event = field(default_factory=trio.Event)

    async def run(self, server: ServerProcess, user_id: int) -> None:
        while True:
            for delay in Backoff(1.0, LONGEST_DELAY).delays():
                try:
                    stream = await trio.open_tcp_stream(server.host, server.port)
                except OSError:
                    await trio.sleep(delay)
                else:
                    break
            async with talking_plainly(stream, RETREAT, token=token(user_id)) as peer:
                await peer.event("initial-data")
                self.joined.append(trio.current_time())
                self._news.set()
                self._news = trio.Event()
                await peer.closed.wait()
                self.closings.append(peer.closing)

    async def until_joined(self, times: int) -> float:
        """Wait until it was in its room so many times; return when it was for the last time."""
        while len(self.joined) < times:
            await self._news.wait()
        return self.joined[-1]


@asynccontextmanager
async def stock_pages(
    server: ServerProcess, drivers: Iterable[Driver], people: Sequence[int]
) -> AsyncIterator[list[StockPage]]:
    """Pages that edit for the time of a block, one for each driver.

    Behind the block every edit has its answer.
    """
    drivers, stopping = list(drivers), trio.Event()
    async with stock_clients(drivers) as clients, trio.open_nursery() as nursery:
        pages = [StockPage(*each) for each in zip(clients, drivers, strict=True)]
        for user_id, page in enumerate(pages, 200):
            await page.client.connect(server.url, token(user_id), options=STAYS, unreported=UPDATES)
            await page.join()
            nursery.start_soon(page.edit, people, stopping)
        yield pages
        stopping.set()


@asynccontextmanager
async def plain_pages(server: ServerProcess, count: int) -> AsyncIterator[list[PlainPage]]:
    """Plain WebSockets for the time of a block."""
    pages = [PlainPage() for _ in range(count)]
    async with trio.open_nursery() as nursery:
        for user_id, page in enumerate(pages, 300):
            nursery.start_soon(partial(page.run, server, user_id))
        for page in pages:
            await page.until_joined(1)
        yield pages
        nursery.cancel_scope.cancel()
