"""What the parts have counted, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio

from gbs_actor.auth import AuthorizerStatistics
from gbs_actor.gateway.audit_trail import AuditTrailStatistics
from gbs_actor.gateway.clients import ClientsStatistics
from gbs_actor.gateway.dispatch import DispatchStatistics
from gbs_actor.gateway.http.admin import LimitUse, SystemParts, limit_uses
from gbs_actor.observability import HistogramTotals, ProcessStatistics, process_statistics
from gbs_actor.rooms import RoomsOverview, RoomSupervisor
from gbs_actor.settings import Settings
from gbs_actor.socketio import ChannelStatistics, FrontDoorStatistics, ServerStatistics
from gbs_actor.store.protocol import StoreStatistics
from gbs_actor.store.write_check import WriteCheckStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy: nothing of it changes any more."""

    ready: bool
    """Whether ``/readyz`` is 200."""
    storing: bool
    """Whether the database stores changes: the last write to it succeeded, not long ago."""
    process: ProcessStatistics
    store: StoreStatistics
    write_check: WriteCheckStatistics
    audit: AuditTrailStatistics
    sockets: ServerStatistics
    plain: ChannelStatistics
    front_door: FrontDoorStatistics | None
    clients: ClientsStatistics
    events: DispatchStatistics
    roles: AuthorizerStatistics
    rooms: RoomsOverview
    refusals: Mapping[str, int]
    """Refused clients, per reason."""
    recoveries: Mapping[str, int]
    """Attempts to resume a session, per result."""
    limits: tuple[LimitUse, ...]
    conflated: int
    """Messages that a newer one has replaced, while both waited for a slow client."""
    ack: HistogramTotals
    delivered: HistogramTotals
    commit: HistogramTotals
    batch_sizes: HistogramTotals
    recovered_rows: HistogramTotals
    loop_lag: HistogramTotals


async def take_snapshot(
    parts: SystemParts,
    rooms: RoomSupervisor,
    settings: Settings,
    *,
    audit: AuditTrailStatistics,
    storing: bool,
    draining: bool,
) -> Snapshot:
    """Return what the parts have counted.

    The work grows with the connections and the rooms. Other tasks run in between, so that none
    waits for more than a few milliseconds.
    """
    sockets = parts.sockets.statistics()
    await trio.lowlevel.checkpoint()
    overview = await rooms.overview(settings.admin.metrics_rooms)
    process, store = process_statistics(), parts.store.statistics()
    front_door = parts.front_door()
    times = rooms.times
    return Snapshot(
        ready=storing and not draining,
        storing=storing,
        process=process,
        store=store,
        write_check=parts.write_check(),
        audit=audit,
        sockets=sockets,
        plain=parts.plain(),
        front_door=front_door,
        clients=parts.clients.statistics(),
        events=parts.dispatch.statistics(),
        roles=parts.authorizer.statistics(),
        rooms=overview,
        refusals=parts.closed_sessions.statistics().refused,
        recoveries=dict(parts.recoveries),
        limits=limit_uses(parts, settings, process, store, front_door),
        conflated=parts.sockets.memory_limit.conflated,
        ack=times.ack.totals(),
        delivered=times.delivered.totals(),
        commit=times.commit.totals(),
        batch_sizes=times.batch_sizes.totals(),
        recovered_rows=times.recovered_rows.totals(),
        loop_lag=parts.loop_lag_times.totals(),
    )
