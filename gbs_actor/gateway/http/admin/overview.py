"""``/admin/overview`` and ``/admin/history``: the whole server now, and in the last hour.

Both are for pages that ask every few seconds: neither reads every connection, or every task, as
``/admin/system`` does, and all who ask within a second share one response.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio
from quart import Blueprint, Response, request

from gbs_actor import __version__
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.responses import encoded_response
from gbs_actor.gateway.http.admin.shared import SharedJson
from gbs_actor.gateway.http.admin.system_parts import LimitUse, SystemParts, limit_uses
from gbs_actor.observability import Durations, ProcessStatistics, process_statistics
from gbs_actor.observability.history import HistoryStatistics
from gbs_actor.rooms import RoomCounts, RoomSupervisor
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import StoreStatistics


class Overview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole server at a glance. Durations of the last five minutes, in seconds."""

    version: str
    uptime: float
    """Seconds."""
    draining: bool
    store_failure: str | None
    """In one sentence, why no change could be stored at the moment; null: it could."""
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


def admin_overview(
    parts: SystemParts,
    rooms: RoomSupervisor,
    settings: Settings,
    identity: AdminIdentity,
    *,
    store_failure: Callable[[], str | None],
    draining: Callable[[], bool],
) -> Blueprint:
    """Return the routes; a token restricted to retreats opens none.

    :param store_failure: returns in one sentence why no change could be stored, if so.
    :param draining: whether the server is about to stop.
    """
    blueprint = Blueprint("admin_overview", __name__, url_prefix=ADMIN_PATH)
    started = trio.current_time()

    async def overview() -> Overview:
        now, times = trio.current_time(), parts.times
        process, store = process_statistics(), parts.store.statistics()
        return Overview(
            version=__version__,
            uptime=now - started,
            draining=draining(),
            store_failure=store_failure(),
            connections=parts.clients.statistics().clients,
            rooms=rooms.counts(),
            ack=times.ack.durations(now),
            delivered=times.delivered.durations(now),
            commit=times.commit.durations(now),
            loop_lag=parts.loop_lag(),
            store=store,
            process=process,
            limits=limit_uses(parts, settings, process, store, parts.front_door()),
        )

    async def history() -> HistoryStatistics:
        return parts.history.statistics()

    shared = SharedJson()

    @blueprint.get("/overview")
    async def show_overview() -> Response:
        identity.require_unrestricted(request)
        return encoded_response(await shared.encoded("overview", overview))

    @blueprint.get("/history")
    async def show_history() -> Response:
        identity.require_unrestricted(request)
        return encoded_response(await shared.encoded("history", history))

    return blueprint
