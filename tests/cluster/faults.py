"""What can happen to a cluster, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import trio

from tests.bus.servers import ValkeyServer
from tests.cluster.cluster import Cluster
from tests.e2e.server_process import ServerProcess
from tests.faults.postgres_processes import kill
from tests.faults.readiness import until_ready

Action = Callable[[Cluster, str], AbstractAsyncContextManager[None]]
"""Begins a fault at the server of a name, and ends it behind the block."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    name: str
    action: Action
    stops_node: bool = False
    """Whether the server gives no answer meanwhile."""
    stops_database: bool = False
    held: bool = False
    """Whether it lasts until it is ended; otherwise it is over at once, but for its effects."""
    needs_valkey: bool = False


async def _stop(node: ServerProcess) -> None:
    assert await trio.to_thread.run_sync(node.stop) == 0, node.log()[-4000:]


@asynccontextmanager
async def _node_killed(cluster: Cluster, name: str) -> AsyncIterator[None]:
    node = cluster.nodes[name]
    await trio.to_thread.run_sync(node.kill)
    yield
    await trio.to_thread.run_sync(node.start_again)


@asynccontextmanager
async def _node_frozen(cluster: Cluster, name: str) -> AsyncIterator[None]:
    pid = cluster.nodes[name].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _node_without_bus(cluster: Cluster, name: str) -> AsyncIterator[None]:
    """A server that cannot reach the bus since its start."""
    node = cluster.nodes[name]
    usual = node.environment
    await _stop(node)
    node.environment = {**usual, "GBS_BUS_URL": cluster.bus.unreachable}
    await trio.to_thread.run_sync(node.start_again)
    yield
    await _stop(node)
    node.environment = usual
    await trio.to_thread.run_sync(node.start_again)


@asynccontextmanager
async def _bus_killed(cluster: Cluster, _name: str) -> AsyncIterator[None]:
    valkey = _valkey(cluster)
    valkey.kill()
    yield
    await trio.to_thread.run_sync(valkey.start)


@asynccontextmanager
async def _bus_frozen(cluster: Cluster, _name: str) -> AsyncIterator[None]:
    with _valkey(cluster).frozen():
        yield


@asynccontextmanager
async def _bus_half_open(cluster: Cluster, name: str) -> AsyncIterator[None]:
    """The connection of one server carries nothing any more, and does not end."""
    wire = cluster.bus.wires[name]
    wire.swallows = True
    try:
        yield
    finally:
        wire.swallows = False


@asynccontextmanager
async def _postgres_killed(cluster: Cluster, _name: str) -> AsyncIterator[None]:
    """Without its postmaster all of PostgreSQL ends; who has started it does so again at once."""
    pid = cluster.postgres.statistics().pid
    assert pid is not None
    kill(pid)
    yield


@asynccontextmanager
async def _rolling_update(cluster: Cluster, _name: str) -> AsyncIterator[None]:
    """All servers start anew, each once the one before it is ready."""
    for node in cluster.nodes.values():
        await _stop(node)
        await trio.to_thread.run_sync(node.start_again)
        await until_ready(node)
    yield


def _valkey(cluster: Cluster) -> ValkeyServer:
    assert cluster.bus.valkey is not None
    return cluster.bus.valkey


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("node-killed", _node_killed, stops_node=True),
        Fault("node-frozen", _node_frozen, stops_node=True, held=True),
        Fault("node-without-bus", _node_without_bus),
        Fault("bus-killed", _bus_killed, held=True, needs_valkey=True),
        Fault("bus-frozen", _bus_frozen, held=True, needs_valkey=True),
        Fault("bus-half-open", _bus_half_open, held=True, needs_valkey=True),
        Fault("postgres-killed", _postgres_killed, stops_database=True),
        Fault("rolling-update", _rolling_update),
    )
}
"""All kinds, by name."""


def possible(cluster: Cluster, wanted: Collection[str]) -> list[Fault]:
    """Return those of the faults that can happen to a cluster."""
    return [
        fault
        for fault in FAULTS.values()
        if fault.name in wanted and (cluster.bus.valkey is not None or not fault.needs_valkey)
    ]
