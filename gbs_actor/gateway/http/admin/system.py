"""``/admin/system`` and ``/admin/task-tree``: the whole server, for operators of all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import msgspec
import trio
from quart import Blueprint, Response, request

from gbs_actor import __version__
from gbs_actor.auth import Authorizer, AuthorizerStatistics
from gbs_actor.gateway.clients import Clients, ClientsStatistics
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch, DispatchStatistics
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.responses import encoded_response, fresh_response
from gbs_actor.gateway.http.admin.task_tree import count_tasks, task_tree
from gbs_actor.observability import Durations, ProcessStatistics, masked, process_statistics
from gbs_actor.settings import EffectiveSetting, Settings
from gbs_actor.socketio import (
    ChannelStatistics,
    FrontDoorStatistics,
    ServerStatistics,
    SocketServer,
)
from gbs_actor.store.protocol import Store, StoreStatistics

FRESH: Final = 1.0
"""Seconds for which all who look are shown the same: the work grows with the connections."""


@dataclass(frozen=True, slots=True)
class SystemParts:
    """The parts that operators see."""

    store: Store
    authorizer: Authorizer
    clients: Clients
    closed_sessions: ClosedSessions
    dispatch: Dispatch
    sockets: SocketServer
    plain: Callable[[], ChannelStatistics]
    front_door: Callable[[], FrontDoorStatistics | None]
    """``None``: another ASGI server listens."""
    loop_lag: Callable[[], Durations]


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How near a limit of the whole server is."""

    name: str
    """Its setting, or ``descriptors``: files and sockets of the process."""
    used: int
    limit: int


class SystemStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole server at one moment."""

    version: str
    started_at: datetime
    uptime: float
    """Seconds."""
    process: ProcessStatistics
    tasks: Mapping[str, int]
    """By kind: the function that it runs, or ``room``."""
    loop_lag: Durations
    """How late timers fired in the last five minutes."""
    store: StoreStatistics
    sockets: ServerStatistics
    """Of Socket.IO."""
    plain: ChannelStatistics
    """Of plain WebSockets."""
    front_door: FrontDoorStatistics | None
    """null: another ASGI server listens."""
    clients: ClientsStatistics
    """Of both protocols."""
    events: DispatchStatistics
    roles: AuthorizerStatistics
    limits: tuple[LimitUse, ...]
    settings: tuple[EffectiveSetting, ...]


def admin_system(parts: SystemParts, settings: Settings, identity: AdminIdentity) -> Blueprint:
    """Return the routes about the whole server; a token restricted to retreats opens none."""
    blueprint = Blueprint("admin_system", __name__, url_prefix=ADMIN_PATH)
    system = _System(parts, settings)

    @blueprint.get("/system")
    async def show_system() -> Response:
        identity.require_unrestricted(request)
        return encoded_response(await system.encoded())

    @blueprint.get("/task-tree")
    async def show_task_tree() -> Response:
        identity.require_unrestricted(request)
        return fresh_response(await task_tree())

    return blueprint


class _System:
    """What ``/admin/system`` shows, made once for all who look within a second."""

    def __init__(self, parts: SystemParts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._started_at = datetime.now(UTC)
        self._started = trio.current_time()
        self._shown_settings = tuple(
            replace(each, value=masked(each.value, each.name)) for each in settings.effective()
        )
        self._encoded = b""
        self._encoded_at = -FRESH

    async def encoded(self) -> bytes:
        if trio.current_time() - self._encoded_at >= FRESH:
            self._encoded = msgspec.json.encode(await self._statistics())
            self._encoded_at = trio.current_time()
        return self._encoded

    async def _statistics(self) -> SystemStatistics:
        tasks = await count_tasks()
        parts = self._parts
        process, store = process_statistics(), parts.store.statistics()
        front_door = parts.front_door()
        return SystemStatistics(
            version=__version__,
            started_at=self._started_at,
            uptime=trio.current_time() - self._started,
            process=process,
            tasks=tasks,
            loop_lag=parts.loop_lag(),
            store=store,
            sockets=parts.sockets.statistics(),
            plain=parts.plain(),
            front_door=front_door,
            clients=parts.clients.statistics(),
            events=parts.dispatch.statistics(),
            roles=parts.authorizer.statistics(),
            limits=tuple(self._limits(process, store, front_door)),
            settings=self._shown_settings,
        )

    def _limits(
        self,
        process: ProcessStatistics,
        store: StoreStatistics,
        front_door: FrontDoorStatistics | None,
    ) -> Iterator[LimitUse]:
        settings, sockets = self._settings, self._parts.sockets
        max_connections = settings.socketio.max_connections
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
