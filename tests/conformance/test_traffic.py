"""Sessions that upgrade while messages go both ways, over real connections, many at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio

from tests.conformance.clients import PollingClient, Site, WebSocketClient
from tests.conformance.processes import mortal

UNHURRIED: Final = {"ping_interval": 25.0, "ping_timeout": 60.0, "upgrade_timeout": 10.0}
"""So much goes on here that a machine may have no time for short ones."""


class Upgrading:
    """A client that sends and fetches all the while, and upgrades as browsers do."""

    def __init__(self, site: Site, messages: int, upgrade_after: int) -> None:
        self.received: list[str | bytes] = []
        self._site = site
        self._messages = messages
        self._upgrade_after = upgrade_after
        self._paused = False
        self._idle = trio.Event()
        """Set when no GET is under way any more."""

    async def run(self) -> None:
        polls = await self._site.polls()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch, polls)
            for number in range(self._upgrade_after):
                await polls.send(f"4{number}")
            peer = await self._site.probe(polls)
            self._paused = True
            await self._idle.wait()
        await peer.send("5")
        client = WebSocketClient(polls.opened, peer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, client)
            for number in range(self._upgrade_after, self._messages):
                await client.send(f"4{number}")

    async def _fetch(self, polls: PollingClient) -> None:
        while not self._paused:
            for packet in (await polls.get_any()).packets:
                if packet != "6":
                    self.received.append(packet)
        self._idle.set()

    async def _listen(self, client: WebSocketClient) -> None:
        while len(self.received) < self._messages:
            self.received.append(await client.receive())


async def test_upgrades_amid_traffic_lose_and_double_nothing(host: str, tmp_path: Path) -> None:
    async with mortal(host, tmp_path / "log", **UNHURRIED) as (site, _):
        clients = [Upgrading(site, 40, upgrade_after) for upgrade_after in range(0, 40, 2)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(client.run)
    for client in clients:
        assert client.received == [f"4{n}" for n in range(40)]
