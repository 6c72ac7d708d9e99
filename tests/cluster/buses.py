"""The buses over which the servers of a cluster notify each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tests.bus.servers import ValkeyServer, Wire, wire
from tests.proxy.nginx import refusing_port

BusKind = Literal["postgres", "valkey", "lost"]
"""``lost``: nobody listens where the servers expect a Valkey, so that no hint ever arrives."""
BUS_KINDS: tuple[BusKind, ...] = get_args(BusKind)


@dataclass
class ClusterBus:
    """A bus, and what of it can fail."""

    kind: BusKind
    unreachable: str
    """The address of a Valkey that is not there."""
    valkey: ValkeyServer | None = None
    wires: Mapping[str, Wire] = field(default_factory=dict)
    """Between the Valkey and each server, by the server's name."""
    _urls: Mapping[str, str] = field(default_factory=dict)

    def settings(self, node: str) -> dict[str, str]:
        """Return the variables with which a server uses it."""
        match self.kind:
            case "postgres":
                return {}
            case "valkey":
                return {"GBS_BUS_URL": self._urls[node]}
            case "lost":
                return {"GBS_BUS_URL": self.unreachable}


@asynccontextmanager
async def running_bus(
    kind: BusKind, nodes: Sequence[str], folder: Path, *, wired: bool = True
) -> AsyncIterator[ClusterBus]:
    """Run a bus for the servers of these names.

    :param wired: whether a Valkey is reached over wires that can be cut; otherwise directly.
    """
    async with AsyncExitStack() as stack:
        unreachable = f"valkey://127.0.0.1:{stack.enter_context(refusing_port())}"
        if kind != "valkey":
            yield ClusterBus(kind, unreachable)
            return
        valkey = ValkeyServer(folder)
        valkey.start()
        stack.callback(valkey.kill)
        if not wired:
            yield ClusterBus(kind, unreachable, valkey, _urls=dict.fromkeys(nodes, valkey.url))
            return
        wires, urls = {}, {}
        for name in nodes:
            wires[name], port = await stack.enter_async_context(wire(valkey.path))
            urls[name] = f"valkey://127.0.0.1:{port}"
        yield ClusterBus(kind, unreachable, valkey, wires, urls)
