"""The clients, and what the server and the database spend on them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jwt
import trio

from scripts.bench.installation import Installation
from scripts.bench.processes import cpu_seconds, resident_bytes
from scripts.bench.servers import SECRET, Server

NAMESPACE: Final = "/gbs-lineup"
USERS: Final = 2_000
COMMAND_TIMEOUT: Final = 600.0
"""Seconds of the longest command."""


class LoadFailed(Exception):
    """The load generator ended, or does not come to an end; one sentence."""


@dataclass(frozen=True)
class Outcome:
    """What one command of the load generator came to."""

    counted: dict[str, Any]
    """By the load generator; ``load/main.c`` prints it."""
    server_cpu: float
    """Seconds."""
    postgres_cpu: float
    """Seconds, all processes of the database."""
    resident: int
    """Bytes of the server's memory behind it."""

    def __getitem__(self, name: str) -> float:
        """Return a count."""
        return float(self.counted[name])

    def percentiles(self, name: str) -> tuple[float, float, float]:
        """Return p50, p95 and p99 in milliseconds; NaN where nothing was measured."""
        values = self.counted[name] or [float("nan")] * 3
        return values[0], values[1], values[2]

    @property
    def errors(self) -> int:
        """Connections that ended, edits that were refused, not acknowledged or not seen."""
        names = ("ended", "refused", "missing", "unanswered", "skipped")
        return sum(int(self.counted.get(name, 0)) for name in names)

    @property
    def load_share(self) -> float:
        """The share of one core that the load generator used."""
        return self["load_cpu"] / max(self["seconds"], 1e-9)


class LoadGenerator:
    """Plays the clients of one server; made by :class:`Clients`.

    Every method carries out one command (``load/main.c``), and returns when it is done.
    """

    def __init__(
        self, process: trio.Process, server: Server, postgres_cpu: Callable[[], float]
    ) -> None:
        self._process = process
        self._server = server
        self._postgres_cpu = postgres_cpu
        self._rest = b""
        self.errors = 0
        """Of all commands."""
        self.load_share = 0.0
        """The largest of all commands but connecting."""

    async def connect(
        self, count: int, *, window: int = 100, join: bool = True, polling: bool = False
    ) -> Outcome:
        """Connect further clients.

        :param window: how many at a time.
        :param join: whether they join their room, too.
        :param polling: whether they begin with long-polling and upgrade.
        """
        words = f"{'join' if join else 'stay'} {'polling' if polling else 'websocket'}"
        outcome = await self._command(f"connect {count} {window} {words}")
        missing = count - int(outcome["connected"])
        self.errors += max(0, missing - outcome.counted["ended"])
        return outcome

    async def serial(self, count: int) -> Outcome:
        """Edit one at a time: the next when all subscribers have the last one."""
        return await self._measured(f"serial {count}")

    async def paced(self, rate: float, count: int, *, editors: int = 60) -> Outcome:
        """Edit at a rate, by the first clients of each room; latencies count from when due."""
        return await self._measured(f"paced {rate} {count} {editors}")

    async def full_speed(self, seconds: float) -> Outcome:
        """Let all edit; each waits for its ack, then edits again."""
        return await self._measured(f"closed {seconds}")

    async def events(self, count: int, event: Sequence[object]) -> Outcome:
        """Let each client send an event so many times, the next when it is acknowledged."""
        return await self._measured(f"events {count} {json.dumps(event, separators=(',', ':'))}")

    async def idle(self, seconds: float) -> Outcome:
        """Do nothing but answer pings."""
        return await self._command(f"idle {seconds}")

    async def look_every(self, microseconds: int) -> None:
        """From now on look for data this often, so that no send pays for waking the clients."""
        await self._command(f"nap {microseconds}")

    async def _measured(self, command: str) -> Outcome:
        outcome = await self._command(command)
        self.load_share = max(self.load_share, outcome.load_share)
        return outcome

    async def _command(self, text: str) -> Outcome:
        assert self._process.stdin is not None
        cpu, postgres_cpu = cpu_seconds(self._server.pid), self._postgres_cpu()
        await self._process.stdin.send_all(text.encode() + b"\n")
        with trio.move_on_after(COMMAND_TIMEOUT) as scope:
            counted = json.loads(await self._read_line())
        if scope.cancelled_caught:
            raise LoadFailed(f"{text} did not end within {COMMAND_TIMEOUT:.0f} s.")
        outcome = Outcome(
            counted,
            cpu_seconds(self._server.pid) - cpu,
            self._postgres_cpu() - postgres_cpu,
            resident_bytes(self._server.pid),
        )
        self.errors += outcome.errors
        return outcome

    async def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            received = await self._process.stdout.receive_some()
            if not received:
                raise LoadFailed("The load generator ended; see load.log.")
            self._rest += received
        line, _, self._rest = self._rest.partition(b"\n")
        return line


@dataclass(frozen=True)
class Clients:
    """What the load generator is given.

    :param postgres_cpu: returns the seconds of CPU of the database.
    """

    installation: Installation
    postgres_cpu: Callable[[], float]

    @asynccontextmanager
    async def of(
        self, server: Server, rooms: Mapping[str, Sequence[int]]
    ) -> AsyncIterator[LoadGenerator]:
        """Run a load generator for a server within the block, without any client yet.

        :param rooms: slugs of the retreats that its clients join, in turn, and the memos there
            that they edit.
        """
        folder, logs = self.installation.folder, self.installation.logs
        lines = (" ".join([slug, *map(str, memos)]) for slug, memos in rooms.items())
        (folder / "rooms").write_text("".join(f"{line}\n" for line in lines))
        (folder / "tokens").write_text("".join(f"{token}\n" for token in tokens()))
        arguments = [str(server.port), NAMESPACE, str(folder / "rooms"), str(folder / "tokens")]
        with (logs / "load.log").open("ab") as log:
            process = await trio.lowlevel.open_process(
                [str(self.installation.load_generator), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            yield LoadGenerator(process, server, self.postgres_cpu)
        finally:
            process.kill()  # it has nothing to lose
            with trio.CancelScope(shield=True):
                await process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.aclose()
            await process.stdout.aclose()


@cache
def tokens() -> tuple[str, ...]:
    """Return a token for each user."""
    expiry = int(time.time()) + 86_400
    claims = ({"userId": user, "name": f"Staff {user}"} for user in range(1, USERS + 1))
    return tuple(
        jwt.encode({**claim, "role": "LINEUP_STAFF", "exp": expiry}, SECRET, "HS256")
        for claim in claims
    )
