"""Clients that come, edit, move, upgrade, go and come back at random, for as long as wanted.

What must hold: no error, memory that does not grow, equal boards at the end, and no descriptor
left when all are gone.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from scripts.attack.clients import Lost
from scripts.bench.load_generator import tokens
from scripts.bench.processes import cpu_seconds, descriptors, resident_bytes
from scripts.bench.servers import OUR_NAME, Server, Servers
from scripts.bench.soak_client import SoakClient
from scripts.bench.workloads import THOUSAND_ROOMS

CLIENTS: Final = 2_000
ROOMS: Final = THOUSAND_ROOMS[:100]
ARRIVALS: Final = 100.0
"""Clients that come per second in the beginning."""
PAUSE: Final = 10.0
"""Mean of the seconds between two things that a client does."""
STAY: Final = 12
"""Mean of the number of things that a client does until it goes."""
AWAY: Final = 5.0
"""Mean of the seconds until it comes back."""
QUIET: Final = 5.0
"""Seconds without an edit until the boards are compared."""
REPORTS: Final = 60.0
"""Seconds between two lines of the report."""
SAMPLES: Final = 5.0
GROWTH: Final = 1.1
"""Memory of the last quarter, divided by that of the second one, at most."""
PATIENCE: Final = 60.0
"""Seconds for what must come to an end."""

Say = Callable[[str], None]


class SoakFailed(Exception):
    """The soak could not be finished; one sentence."""


@dataclass
class Soaked:
    """What a soak came to."""

    done: Counter[str] = field(default_factory=Counter)
    """How often clients did what."""
    errors: Counter[str] = field(default_factory=Counter)
    updates: int = 0
    """Rows that arrived."""
    memory: list[int] = field(default_factory=list)
    """Resident bytes of the server, sampled; once all clients are there."""
    different: list[str] = field(default_factory=list)
    """Clients that were there at the end, and whose board was not that of a newcomer."""
    descriptors_before: int = 0
    descriptors_after: int = 0
    server_cpu: float = 0.0
    """Seconds."""
    seconds: float = 0.0

    @property
    def growth(self) -> float:
        """Memory of the last quarter of the time, divided by that of the second one."""
        quarter = len(self.memory) // 4
        if quarter == 0:
            return 1.0
        early = statistics.fmean(self.memory[quarter : 2 * quarter])
        return statistics.fmean(self.memory[-quarter:]) / early

    def checks(self) -> dict[str, bool]:
        """Return what must hold, and whether it does."""
        return {
            "no error": not self.errors,
            f"memory flat (× {self.growth:.3f})": self.growth < GROWTH,
            "all boards equal": not self.different,
            "no descriptor left": self.descriptors_after <= self.descriptors_before,
        }


class Soak:
    """One soak of our server.

    :param say: called with each line of the report.
    """

    def __init__(self, servers: Servers, say: Say, clients: int = CLIENTS) -> None:
        self._servers = servers
        self._say = say
        self._number = clients
        self._soaked = Soaked()
        self._stopping = trio.Event()
        self._resting: list[SoakClient] = []
        self._all_resting = trio.Event()
        self._going = trio.Event()
        self._clients: list[SoakClient] = []

    async def run(self, seconds: float) -> bool:
        """Soak; return whether all that must hold does.

        :raises SoakFailed: clients did not finish what they were doing.
        """
        soaked = self._soaked
        async with self._servers.running(OUR_NAME) as server:
            soaked.descriptors_before = await self._descriptors_of_used(server)
            began = cpu_seconds(server.pid)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._observe, server)
                async with trio.open_nursery() as living:
                    await self._arrive(server, living)
                    with trio.move_on_after(seconds):
                        await self._sample(server)
                    self._stopping.set()
                    await self._compare(server)
                    self._going.set()
                nursery.cancel_scope.cancel()
            soaked.seconds = seconds
            soaked.server_cpu = cpu_seconds(server.pid) - began
            soaked.descriptors_after = await self._descriptors_at_rest(server)
        self._report()
        return all(soaked.checks().values())

    async def _descriptors_of_used(self, server: Server) -> int:
        """Return the descriptors of a server that a crowd has used and left.

        A crowd, so that the pool of the database has opened all its connections.
        """
        async with trio.open_nursery() as crowd:
            for number in range(len(ROOMS)):
                crowd.start_soon(self._visit, self._client(server, number), ROOMS[number])
        await trio.sleep(QUIET)
        return descriptors(server.pid)

    @staticmethod
    async def _visit(client: SoakClient, slug: str) -> None:
        async with client.connected(polling=True):
            await client.join(slug)

    async def _descriptors_at_rest(self, server: Server) -> int:
        with trio.move_on_after(PATIENCE):
            while descriptors(server.pid) > self._soaked.descriptors_before:
                await trio.sleep(0.5)
        return descriptors(server.pid)

    def _client(self, server: Server, number: int) -> SoakClient:
        return SoakClient(server.port, number, tokens()[number % len(tokens())])

    async def _arrive(self, server: Server, living: trio.Nursery) -> None:
        for number in range(self._number):
            client = self._client(server, number)
            self._clients.append(client)
            living.start_soon(self._live, client)
            await trio.sleep(1 / ARRIVALS)

    # -- what a client does

    async def _live(self, client: SoakClient) -> None:
        chance = random.Random(client.number)
        while not self._stopping.is_set():
            polling = chance.random() < 0.5
            self._soaked.done["came, polling" if polling else "came"] += 1
            try:
                async with client.connected(polling=polling):
                    await self._stay(client, chance, polling=polling)
            except Lost as lost:
                self._soaked.errors[str(lost)[:100]] += 1
            await self._pause(chance, AWAY)
        # Stopped while it was away, or lost: it comes once more, to be compared.
        if not self._going.is_set():
            try:
                async with client.connected(polling=False):
                    await client.join(client.slug or ROOMS[0])
                    await self._rest(client)
            except Lost as lost:
                self._soaked.errors[str(lost)[:100]] += 1

    async def _stay(self, client: SoakClient, chance: random.Random, *, polling: bool) -> None:
        await client.join(
            client.slug if chance.random() < 0.5 and client.slug else self._room(chance)
        )
        for _ in range(1 + int(chance.expovariate(1 / STAY))):
            if polling and chance.random() < 0.7:
                await client.upgrade()
                self._soaked.done["upgraded"] += 1
                polling = False
            await self._pause(chance, PAUSE)
            if self._stopping.is_set():
                await self._rest(client)
                return
            await self._act(client, chance)
        if chance.random() < 0.5:
            await client.disconnect()
        self._soaked.done["went"] += 1

    async def _act(self, client: SoakClient, chance: random.Random) -> None:
        rows = [row for row in client.board.values() if not row["isLeader"]]
        row = chance.choice(rows)
        what = chance.choices(("memo", "move", "other room", "leave"), (60, 20, 15, 5))[0]
        self._soaked.done[what] += 1
        if what == "memo":
            memo = f"메모 {chance.randrange(10**9)}"
            if row["lineupMemoId"] is not None:
                argument = {"memoId": row["lineupMemoId"], "memo": memo, "color": "#BBF7D0"}
                await client.call("update-lineup-memo", argument)
        elif what == "move":
            number = 1 + chance.randrange(9)
            await client.call("update-gbs-number", {"lineupId": row["id"], "gbsNumber": number})
        elif what == "other room":
            await client.join(self._room(chance))
        else:
            await client.call("leave-retreat", client.slug)
            await client.join(client.slug)

    @staticmethod
    def _room(chance: random.Random) -> str:
        return chance.choice(ROOMS)

    async def _pause(self, chance: random.Random, mean: float) -> None:
        """Wait, or until the soak ends."""
        with trio.move_on_after(chance.expovariate(1 / mean)):
            await self._stopping.wait()

    async def _rest(self, client: SoakClient) -> None:
        """Stay without doing anything until the boards are compared."""
        self._resting.append(client)
        if len(self._resting) == self._number:
            self._all_resting.set()
        try:
            await self._going.wait()
        finally:
            self._resting.remove(client)

    # -- what is observed

    async def _sample(self, server: Server) -> None:
        while True:
            self._soaked.memory.append(resident_bytes(server.pid))
            await trio.sleep(SAMPLES)

    async def _observe(self, server: Server) -> None:
        start = trio.current_time()
        reported: set[str] = set()
        while True:
            await trio.sleep(REPORTS)
            done, errors = self._soaked.done, sum(self._soaked.errors.values())
            self._say(
                f"{(trio.current_time() - start) / 60:4.0f} min  "
                f"{resident_bytes(server.pid) / 2**20:6.1f} MB  "
                f"{descriptors(server.pid):5} descriptors  "
                f"{done['memo'] + done['move']:7,} edits  {errors} errors"
            )
            for error in self._soaked.errors.keys() - reported:
                self._say(f"  {error}")
            reported |= self._soaked.errors.keys()

    async def _compare(self, server: Server) -> None:
        """Compare each client's board with what a newcomer gets."""
        with trio.move_on_after(PATIENCE) as scope:
            await self._all_resting.wait()
        if scope.cancelled_caught and not self._soaked.errors:
            busy = self._number - len(self._resting)
            raise SoakFailed(f"{busy} clients did not finish within {PATIENCE:.0f} s.")
        await trio.sleep(QUIET)
        newcomer = self._client(server, self._number)
        async with newcomer.connected(polling=False):
            boards = {}
            for slug in ROOMS:
                await newcomer.join(slug)
                boards[slug] = newcomer.board
        self._soaked.different = [
            f"client {client.number} in {client.slug}"
            for client in self._resting
            if client.board != boards[client.slug]
        ]
        self._soaked.updates = sum(client.updates for client in self._clients)

    def _report(self) -> None:
        soaked = self._soaked
        self._say(", ".join(f"{what} {times:,}" for what, times in soaked.done.most_common()))
        memory = soaked.memory or [0]
        self._say(
            f"rows received {soaked.updates:,}; memory {min(memory) / 2**20:.1f} to "
            f"{max(memory) / 2**20:.1f} MB; CPU {soaked.server_cpu / soaked.seconds:.0%}; "
            f"descriptors {soaked.descriptors_before} before, {soaked.descriptors_after} after"
        )
        for error, times in soaked.errors.most_common(10):
            self._say(f"  {times:6,} × {error}")
        for different in soaked.different[:10]:
            self._say(f"  another board: {different}")
        for check, met in soaked.checks().items():
            self._say(f"{'met   ' if met else 'MISSED'}  {check}")
