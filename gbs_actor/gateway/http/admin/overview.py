"""``/admin/overview`` and ``/admin/history``: the whole server now, and in the last hour.

Both are for pages that ask every few seconds: neither reads every connection, or every task, as
``/admin/system`` does, and all who ask within a second share one response.
"""

from __future__ import annotations

import msgspec
import trio
from quart import Blueprint, Response, request

from gbs_actor import __version__
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.limits import LimitUse, limit_uses
from gbs_actor.gateway.http.admin.responses import encoded_response
from gbs_actor.gateway.http.admin.shared import SharedJson
from gbs_actor.gateway.http.services import Services
from gbs_actor.observability import Durations, ProcessStatistics, process_statistics
from gbs_actor.observability.history import HistoryStatistics
from gbs_actor.rooms import RoomCounts
from gbs_actor.store.protocol import StoreStatistics


class Overview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole server at a glance. Durations of the last five minutes, in seconds."""

    version: str
    uptime: float
    """Seconds."""
    draining: bool
    store_failure: str | None
    """In one sentence, why no change could be stored at the moment, or none of others is seen;
    null: neither."""
    connections: int
    """Clients, of both protocols."""
    rooms: RoomCounts
    ack: Durations
    """From the read of a command's bytes until its acknowledgement was handed to the socket."""
    delivered: Durations
    """Likewise, until the last subscriber was sent the rows of an accepted one."""
    commit: Durations
    """From sending a commit to the store's reply."""
    loop_lag: Durations
    """How late timers fired."""
    store: StoreStatistics
    process: ProcessStatistics
    limits: tuple[LimitUse, ...]


def admin_overview(services: Services, identity: AdminIdentity) -> Blueprint:
    """Return the routes; a token restricted to retreats opens none."""
    blueprint = Blueprint("admin_overview", __name__, url_prefix=ADMIN_PATH)
    started = trio.current_time()

    async def overview() -> Overview:
        now, times = trio.current_time(), services.rooms.times
        process, store = process_statistics(), services.store.statistics()
        return Overview(
            version=__version__,
            uptime=now - started,
            draining=services.draining(),
            store_failure=services.store_failure(),
            connections=services.clients.statistics().clients,
            rooms=services.rooms.counts(),
            ack=times.ack.durations(now),
            delivered=times.delivered.durations(now),
            commit=times.commit.durations(now),
            loop_lag=services.loop_lag.durations(now),
            store=store,
            process=process,
            limits=tuple(limit_uses(services, process, store)),
        )

    async def history() -> HistoryStatistics:
        return services.history.statistics()

    shared = SharedJson(services.environment.thread_time)

    @blueprint.get("/overview")
    async def show_overview() -> Response:
        identity.require_unrestricted(request)
        return encoded_response(await shared.encoded("overview", overview))

    @blueprint.get("/history")
    async def show_history() -> Response:
        identity.require_unrestricted(request)
        return encoded_response(await shared.encoded("history", history))

    return blueprint
