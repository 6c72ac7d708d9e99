"""How near the limits of the whole server are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gbs_actor.gateway.http.services import Services
from gbs_actor.observability import ProcessStatistics
from gbs_actor.store.protocol import StoreStatistics


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How near a limit of the whole server is."""

    name: str
    """Its setting, or ``descriptors``: files and sockets of the process."""
    used: int
    limit: int


def limit_uses(
    services: Services, process: ProcessStatistics, store: StoreStatistics
) -> Iterator[LimitUse]:
    """Yield how near each limit of the whole server is."""
    sockets, settings = services.sockets, services.settings
    front_door, max_connections = services.front_door(), settings.socketio.max_connections
    yield LimitUse("max_connections", len(sockets.connection_limit), max_connections)
    if front_door is not None:
        yield LimitUse(
            "max_connections and http_connections",
            front_door.connections,
            max_connections + settings.http.http_connections,
        )
    yield LimitUse(
        "max_unauthenticated", len(sockets.unauthenticated), sockets.options.max_unauthenticated
    )
    memory = sockets.memory_limit
    yield LimitUse("outbox_bytes_in_all", memory.bytes, memory.limit)
    yield LimitUse("pool_size", store.busy_connections, settings.store.pool_size)
    if process.open_descriptors is not None and process.descriptor_limit is not None:
        yield LimitUse("descriptors", process.open_descriptors, process.descriptor_limit)
