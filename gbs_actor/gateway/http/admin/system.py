"""``/admin/system`` and ``/admin/task-tree``: the whole server, for operators of all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import msgspec
import trio
from quart import Blueprint, Response, request

from gbs_actor import __version__
from gbs_actor.auth import AuthorizerStatistics
from gbs_actor.gateway.audit_trail import AuditTrailStatistics
from gbs_actor.gateway.clients import ClientsStatistics
from gbs_actor.gateway.dispatch import DispatchStatistics
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.limits import LimitUse, limit_uses
from gbs_actor.gateway.http.admin.responses import encoded_response, fresh_response
from gbs_actor.gateway.http.admin.shared import SharedJson
from gbs_actor.gateway.http.admin.task_tree import count_tasks, task_tree
from gbs_actor.gateway.http.services import Services
from gbs_actor.observability import Durations, ProcessStatistics, masked, process_statistics
from gbs_actor.settings import EffectiveSetting, Settings
from gbs_actor.socketio import (
    ChannelStatistics,
    FrontDoorStatistics,
    ServerStatistics,
)
from gbs_actor.store.protocol import StoreStatistics
from gbs_actor.store.write_check import WriteCheckStatistics


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
    write_check: WriteCheckStatistics
    sockets: ServerStatistics
    """Of Socket.IO."""
    plain: ChannelStatistics
    """Of plain WebSockets."""
    front_door: FrontDoorStatistics | None
    """null: another ASGI server listens."""
    clients: ClientsStatistics
    """Of both protocols."""
    events: DispatchStatistics
    ack: Durations
    """From the read of a command's bytes until its acknowledgement was handed to the socket, in
    the last five minutes.
    """
    delivered: Durations
    """Likewise, until the last subscriber was sent the rows of an accepted one."""
    roles: AuthorizerStatistics
    audit: AuditTrailStatistics
    limits: tuple[LimitUse, ...]
    settings: tuple[EffectiveSetting, ...]


def admin_system(services: Services, identity: AdminIdentity) -> Blueprint:
    """Return the routes about the whole server; a token restricted to retreats opens none."""
    blueprint = Blueprint("admin_system", __name__, url_prefix=ADMIN_PATH)
    system, shared = _System(services), SharedJson(services.environment.thread_time)

    @blueprint.get("/system")
    async def show_system() -> Response:
        identity.require_unrestricted(request)
        return encoded_response(await shared.encoded("system", system.statistics))

    @blueprint.get("/task-tree")
    async def show_task_tree() -> Response:
        identity.require_unrestricted(request)
        return fresh_response(await task_tree())

    return blueprint


class _System:
    """What ``/admin/system`` shows."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started_at = services.environment.now()
        self._started = trio.current_time()
        self._settings = services.current_settings()
        self._shown_settings = _shown(self._settings)

    async def statistics(self) -> SystemStatistics:
        tasks = await count_tasks()
        services, now = self._services, trio.current_time()
        settings = services.current_settings()
        if settings is not self._settings:
            self._settings, self._shown_settings = settings, _shown(settings)
        process, store = process_statistics(), services.store.statistics()
        return SystemStatistics(
            version=__version__,
            started_at=self._started_at,
            uptime=now - self._started,
            process=process,
            tasks=tasks,
            loop_lag=services.loop_lag.durations(now),
            store=store,
            write_check=services.write_check(),
            sockets=services.sockets.statistics(),
            plain=services.plain(),
            front_door=services.front_door(),
            clients=services.clients.statistics(),
            events=services.dispatch.statistics(),
            ack=services.rooms.times.ack.durations(now),
            delivered=services.rooms.times.delivered.durations(now),
            roles=services.authorizer.statistics(),
            audit=services.audit_trail.statistics(),
            limits=tuple(limit_uses(services, process, store)),
            settings=self._shown_settings,
        )


def _shown(settings: Settings) -> tuple[EffectiveSetting, ...]:
    """Return all settings, without their secrets."""
    return tuple(
        replace(each, value=masked(each.value, each.name)) for each in settings.effective()
    )
