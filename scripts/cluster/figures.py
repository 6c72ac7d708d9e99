"""What several servers cost, and what they carry, without faults."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from gbs_actor.client import connect
from scripts.attack.figures import percentile
from scripts.bench.processes import cpu_seconds, cpu_seconds_with_children
from tests.cluster.buses import BusKind
from tests.cluster.cluster import Cluster, running_cluster
from tests.cluster.plan import NUMBERS, Plan
from tests.cluster.swarm import swarm
from tests.e2e.server_process import RETREAT, token

CASES: Final[tuple[tuple[int, BusKind], ...]] = (
    (1, "lost"),
    (2, "lost"),
    (2, "postgres"),
    (2, "valkey"),
    (3, "postgres"),
    (3, "valkey"),
)
WRITERS: Final = 4
"""Clients on each server, each of which gives an edit as soon as its last one is acknowledged."""
PACE: Final = 100.0
"""Edits per second where CPU is measured."""
WARM_UP: Final = 2.0
"""Seconds before a measurement."""


@dataclass(frozen=True)
class Figures:
    """One number of servers with one bus."""

    nodes: int
    bus: BusKind
    edits_per_second: float
    """That :data:`WRITERS` on each server get acknowledged."""
    p50: float
    """Seconds from an edit to its acknowledgement."""
    p99: float
    writing_cpu: float
    """Seconds of CPU per edit at :data:`PACE`, beyond those of idling: of the server that all
    clients write to; this and the following."""
    following_cpu: float | None
    """Of another server, on which one client looks on."""
    postgres_cpu: float
    valkey_cpu: float | None


async def measured(node: str, folder: Path, *, seconds: float) -> list[Figures]:
    """Measure all cases, one after the other.

    :param node: Node.js.
    :param folder: where the programs of stock clients are, with their packages.
    :param seconds: of each measurement.
    """
    found = []
    for number, kind in CASES:
        async with running_cluster(number, kind, wired=False, on_disk=True) as cluster:
            rate, took = await _throughput(cluster, node, folder, seconds)
            cpu = await _cpu(cluster, node, folder, seconds)
        found.append(
            Figures(
                number,
                kind,
                rate,
                percentile(took, 0.5),
                percentile(took, 0.99),
                writing_cpu=cpu["a"],
                following_cpu=cpu.get("b"),
                postgres_cpu=cpu["postgres"],
                valkey_cpu=cpu.get("valkey"),
            )
        )
    return found


def _plans(urls: list[str], interval: float) -> list[Plan]:
    return [
        Plan(
            "stock",
            at,
            url,
            range(1_000 + NUMBERS * at, 1_000 + NUMBERS * (at + 1)),
            None,
            interval,
        )
        for at, url in enumerate(urls)
    ]


async def _throughput(
    cluster: Cluster, node: str, folder: Path, seconds: float
) -> tuple[float, list[float]]:
    urls = [each.url for each in cluster.nodes.values()] * WRITERS
    async with swarm(node, folder, _plans(urls, 0.0)) as clients:
        await trio.sleep(WARM_UP)
        before, began = await clients.acknowledged(), trio.current_time()
        await trio.sleep(seconds)
        rate = (await clients.acknowledged() - before) / (trio.current_time() - began)
        await clients.stop()
        ledgers = await clients.ledgers()
    took = [edit.took for ledger in ledgers for edit in ledger.edits if edit.took is not None]
    return rate, took[len(took) // 10 :]


async def _cpu(cluster: Cluster, node: str, folder: Path, seconds: float) -> dict[str, float]:
    """Return the seconds of CPU per edit, by what used them."""
    async with AsyncExitStack() as stack:
        for at, each in enumerate(cluster.nodes.values()):
            client = await stack.enter_async_context(connect(each.url, token(900 + at)))
            await client.join(RETREAT)
        await trio.sleep(WARM_UP)
        idle = await _used(cluster, seconds / 2)
        urls = [cluster.nodes["a"].url] * WRITERS
        async with swarm(node, folder, _plans(urls, WRITERS / PACE)) as clients:
            await trio.sleep(WARM_UP)
            before = await clients.acknowledged()
            used = await _used(cluster, seconds)
            edits = await clients.acknowledged() - before
            await clients.stop()
    return {name: (used[name] - 2 * idle[name]) / edits for name in used}


async def _used(cluster: Cluster, seconds: float) -> dict[str, float]:
    before = _cpu_seconds(cluster)
    await trio.sleep(seconds)
    return {name: cpu - before[name] for name, cpu in _cpu_seconds(cluster).items()}


def _cpu_seconds(cluster: Cluster) -> dict[str, float]:
    found = {name: cpu_seconds(node.pid) for name, node in cluster.nodes.items()}
    postmaster = cluster.postgres.statistics().pid
    assert postmaster is not None
    found["postgres"] = cpu_seconds_with_children(postmaster)
    if cluster.bus.valkey is not None:
        found["valkey"] = cpu_seconds(cluster.bus.valkey.pid)
    return found
