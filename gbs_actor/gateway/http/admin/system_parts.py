"""The parts that operators see, and how near the limits of the whole server are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gbs_actor.auth import Authorizer
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.observability import Durations, ProcessStatistics, RecentHistogram
from gbs_actor.observability.history import History
from gbs_actor.rooms import CommandTimes
from gbs_actor.settings import Settings
from gbs_actor.socketio import ChannelStatistics, FrontDoorStatistics, SocketServer
from gbs_actor.store.protocol import Store, StoreStatistics
from gbs_actor.store.write_check import WriteCheckStatistics


@dataclass(frozen=True, slots=True)
class SystemParts:
    """The parts that operators see."""

    settings: Callable[[], Settings]
    """Those in use: some change while the server runs."""
    store: Store
    authorizer: Authorizer
    clients: Clients
    dispatch: Dispatch
    sockets: SocketServer
    plain: Callable[[], ChannelStatistics]
    front_door: Callable[[], FrontDoorStatistics | None]
    """``None``: another ASGI server listens."""
    loop_lag: Callable[[], Durations]
    loop_lag_times: RecentHistogram
    """What ``loop_lag`` is made of."""
    times: CommandTimes
    """Of the commands of all rooms."""
    closed_sessions: ClosedSessions
    recoveries: Mapping[str, int]
    """Attempts to resume a session, per result so far."""
    history: History
    write_check: Callable[[], WriteCheckStatistics]


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How near a limit of the whole server is."""

    name: str
    """Its setting, or ``descriptors``: files and sockets of the process."""
    used: int
    limit: int


def limit_uses(
    parts: SystemParts,
    settings: Settings,
    process: ProcessStatistics,
    store: StoreStatistics,
    front_door: FrontDoorStatistics | None,
) -> tuple[LimitUse, ...]:
    """Return how near each limit of the whole server is."""
    return tuple(_limit_uses(parts, settings, process, store, front_door))


def _limit_uses(
    parts: SystemParts,
    settings: Settings,
    process: ProcessStatistics,
    store: StoreStatistics,
    front_door: FrontDoorStatistics | None,
) -> Iterator[LimitUse]:
    sockets, max_connections = parts.sockets, settings.socketio.max_connections
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
