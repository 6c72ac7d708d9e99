"""How each row is measured. A workload starts what it needs and returns figures by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scripts.bench.load_generator import Clients, LoadGenerator, Outcome
from scripts.bench.processes import peak_resident_bytes, resident_bytes
from scripts.bench.servers import BARE, Server, Servers

ONE_ROOM = ("people-80",)
UNEDITED_ROOM = ("unedited",)
"""Ours sends recent changes behind the answer to a join, the peers do not."""
TWENTY_ROOMS = tuple(f"room-{number:02}" for number in range(20))
THOUSAND_ROOMS = tuple(f"many-{number:03}" for number in range(1_000))
HEARTBEAT = 25.0
"""Seconds in which every connection gets one ping."""
NAP = 300
"""Microseconds between two looks of clients that are not to be woken."""

Figures = Mapping[str, float]


@dataclass
class Trial:
    """One row against one server, once.

    :param alone: of ours: ``gbs_actor.socketio`` without the line-up.
    :param quick: a tenth of everything.
    """

    servers: Servers
    name: str
    alone: bool = False
    quick: bool = False
    errors: int = 0
    load_share: float = field(default=0.0)

    def scaled(self, number: int, least: int = 1) -> int:
        """Return a number of edits or connections, or a tenth of it."""
        return max(least, number // 10) if self.quick else number

    @asynccontextmanager
    async def running(self, rooms: Sequence[str]) -> AsyncIterator[tuple[Server, LoadGenerator]]:
        """Run the server and the load generator within the block."""
        memos = self.servers.memos(self.name)
        clients = Clients(self.servers.installation, self.servers.postgres.cpu_seconds)
        async with (
            self.servers.running(self.name, alone=self.alone) as server,
            clients.of(server, {slug: memos[slug] for slug in rooms}) as load,
        ):
            yield server, load
            self.errors += load.errors
            self.load_share = max(self.load_share, load.load_share)


Workload = Callable[[Trial], Awaitable[Figures]]


async def lone_edit(trial: Trial) -> Figures:
    """Two people, one edit at a time: back to back, and one every 50 ms."""
    edits = trial.scaled(1_500)
    async with trial.running(ONE_ROOM) as (_, load):
        await load.connect(2)
        await load.serial(trial.scaled(100))
        busy = await load.serial(edits)
        paced = await load.paced(20, trial.scaled(160), editors=2)
    return {
        "ms_per_edit": busy["ms_per_edit"],
        **_cpu_per_edit(busy),
        "paced_ack_p50_ms": paced.percentiles("ack_ms")[0],
        "paced_ack_p99_ms": paced.percentiles("ack_ms")[2],
        "paced_server_us": _cpu_per_edit(paced)["server_us"],
        "paced_postgres_us": _cpu_per_edit(paced)["postgres_us"],
    }


def full_speed(rooms: Sequence[str], editors: int, seconds: float) -> Workload:
    """Everybody edits; each waits for the ack, then edits again."""

    async def workload(trial: Trial) -> Figures:
        async with trial.running(rooms) as (_, load):
            await load.connect(editors)
            await load.full_speed(1)
            outcome = await load.full_speed(trial.scaled(int(seconds)))
        return {
            "edits_per_s": outcome["edits_per_second"],
            **_cpu_per_edit(outcome),
            "ack_p50_ms": outcome.percentiles("ack_ms")[0],
            "ack_p99_ms": outcome.percentiles("ack_ms")[2],
            "delivered": outcome["updates"] / max(1.0, outcome["updates_expected"]),
        }

    return workload


def fan_out(subscribers: int, edits: int) -> Workload:
    """One edit at a time to many subscribers; all the server does for it counts."""

    async def workload(trial: Trial) -> Figures:
        count = trial.scaled(edits, 5)
        async with trial.running(ONE_ROOM) as (_, load):
            await load.connect(trial.scaled(subscribers, 50))
            await load.idle(2)
            await load.serial(max(5, count // 10))
            outcome = await load.serial(count)
            await load.look_every(NAP)
            unwoken = await load.serial(count)
        figures = {
            "delivery_us": _per_delivery(outcome),
            "unwoken_delivery_us": _per_delivery(unwoken),
            "ms_per_edit": outcome["ms_per_edit"],
        }
        if trial.name != BARE:  # it has no database
            figures["postgres_us"] = _cpu_per_edit(outcome)["postgres_us"]
        return figures

    return workload


def paced_edits(
    rooms: Sequence[str], subscribers: int, rate: int, seconds: int, editors: int = 60
) -> Workload:
    """Edits at a steady rate; latencies count from when an edit was due."""

    async def workload(trial: Trial) -> Figures:
        async with trial.running(rooms) as (server, load):
            before = await _memory_of_first(server, load)
            await load.connect(trial.scaled(subscribers, 50) - 1)
            await load.idle(2)
            settled = await load.paced(rate, rate, editors=editors)
            outcome = await load.paced(rate, rate * trial.scaled(seconds), editors=editors)
            peak = peak_resident_bytes(server.pid)
        ack, last = outcome.percentiles("ack_ms"), outcome.percentiles("last_screen_ms")
        return {
            "ack_p50_ms": ack[0],
            "ack_p99_ms": ack[2],
            "last_screen_p50_ms": last[0],
            "last_screen_p99_ms": last[2],
            **_cpu_per_edit(outcome),
            "cpu_percent": 100 * outcome.server_cpu / outcome["seconds"],
            "kb_per_connection": (settled.resident - before) / 1024 / trial.scaled(subscribers, 50),
            "peak_mb": peak / 2**20,
        }

    return workload


async def joins(trial: Trial) -> Figures:
    """2,000 connections that join and get the list, 200 of them under way."""
    count = trial.scaled(2_000)
    async with trial.running(UNEDITED_ROOM) as (server, load):
        outcome = await load.connect(count, window=200)
        peak = peak_resident_bytes(server.pid)
    return {
        "joins_per_s": outcome["connected"] / outcome["seconds"],
        "join_us": 1e6 * outcome.server_cpu / count,
        "kb_per_join": outcome["bytes"] / 1024 / count,
        "peak_mb": peak / 2**20,
    }


def idle(connections: int, *, polling: bool) -> Workload:
    """Connections in one room that nobody edits."""

    async def workload(trial: Trial) -> Figures:
        count = trial.scaled(connections)
        async with trial.running(UNEDITED_ROOM) as (server, load):
            before = await _memory_of_first(server, load)
            connected = await load.connect(count, polling=polling)
            await load.idle(5)
            outcome = await load.idle(HEARTBEAT)
        return {
            "kb_per_connection": (outcome.resident - before) / 1024 / count,
            "cpu_percent": 100 * outcome.server_cpu / HEARTBEAT,
            "joins_per_s": connected["connected"] / connected["seconds"],
        }

    return workload


def small_events(event: Sequence[object]) -> Workload:
    """An event with an ack and no broadcast, on 100 connections."""

    async def workload(trial: Trial) -> Figures:
        async with trial.running(ONE_ROOM) as (_, load):
            await load.connect(100, join=False)
            await load.events(trial.scaled(20), event)
            outcome = await load.events(trial.scaled(1_000), event)
        return {
            "event_us": 1e6 * outcome.server_cpu / max(1.0, outcome["acked"]),
            "events_per_s": outcome["events_per_second"],
            "ack_p50_ms": outcome.percentiles("ack_ms")[0],
            "ack_p99_ms": outcome.percentiles("ack_ms")[2],
        }

    return workload


async def large_retreat(trial: Trial) -> Figures:
    """Ten people edit at full speed in a retreat of 80, then in one of 10,000."""
    seconds = trial.scaled(3)
    outcomes = []
    for room in ("people-80", "people-10000"):
        async with trial.running([room]) as (_, load):
            await load.connect(10)
            await load.full_speed(0.5)
            outcomes.append(await load.full_speed(seconds))
    small, large = (_cpu_per_edit(outcome) for outcome in outcomes)
    return {
        "growth": large["server_us"] / small["server_us"],
        "postgres_growth": large["postgres_us"] / small["postgres_us"],
        "edits_per_s": outcomes[1]["edits_per_second"],
        **large,
    }


async def _memory_of_first(server: Server, load: LoadGenerator) -> int:
    """Connect the first client, and return the server's memory with what that one brought in."""
    await load.connect(1)
    await load.idle(1)
    return resident_bytes(server.pid)


def _cpu_per_edit(outcome: Outcome) -> dict[str, float]:
    edits = max(1.0, outcome["acked"])
    return {
        "server_us": 1e6 * outcome.server_cpu / edits,
        "postgres_us": 1e6 * outcome.postgres_cpu / edits,
    }


def _per_delivery(outcome: Outcome) -> float:
    return 1e6 * outcome.server_cpu / max(1.0, outcome["updates"])
