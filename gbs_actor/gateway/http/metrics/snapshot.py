"""What the parts have counted, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio

from gbs_actor.auth import AuthorizerStatistics
from gbs_actor.bus import BusStatistics
from gbs_actor.gateway.audit_trail import AuditTrailStatistics
from gbs_actor.gateway.client_metrics import ClientMetricsStatistics
from gbs_actor.gateway.clients import ClientsStatistics
from gbs_actor.gateway.dispatch import DispatchStatistics
from gbs_actor.gateway.http.admin import LimitUse, limit_uses
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.nodes import NodeState
from gbs_actor.observability import HistogramTotals, ProcessStatistics, process_statistics
from gbs_actor.rooms import RoomCounts, RoomLoads
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
    pages: ClientMetricsStatistics
    """What pages have reported of themselves."""
    events: DispatchStatistics
    roles: AuthorizerStatistics
    rooms: RoomCounts
    loads: RoomLoads
    nodes: Mapping[NodeState, int]
    """How many servers there are on the store, by state; empty: it is the only one."""
    bus: BusStatistics | None
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
    locked: HistogramTotals
    absorb_lag: HistogramTotals


async def take_snapshot(services: Services) -> Snapshot:
    """Return what the parts have counted.

    The work grows with the connections and the rooms. Other tasks run in between, so that none
    waits for more than a few milliseconds.
    """
    rooms, times = services.rooms, services.rooms.times
    sockets = services.sockets.statistics()
    await trio.lowlevel.checkpoint()
    loads = await rooms.loads(services.settings.admin.metrics_rooms)
    process, store = process_statistics(), services.store.statistics()
    write_check = services.write_check()
    return Snapshot(
        ready=services.store_failure() is None and not services.draining(),
        storing=write_check.ready,
        process=process,
        store=store,
        write_check=write_check,
        audit=services.audit_trail.statistics(),
        sockets=sockets,
        plain=services.plain(),
        front_door=services.front_door(),
        clients=services.clients.statistics(),
        pages=services.client_metrics.statistics(),
        events=services.dispatch.statistics(),
        roles=services.authorizer.statistics(),
        rooms=rooms.counts(),
        loads=loads,
        nodes=dict(services.nodes.seen),
        bus=services.bus(),
        refusals=services.closed_sessions.statistics().refused,
        recoveries=dict(services.recoveries),
        limits=tuple(limit_uses(services, process, store)),
        conflated=services.sockets.memory_limit.conflated,
        ack=times.ack.totals(),
        delivered=times.delivered.totals(),
        commit=times.commit.totals(),
        batch_sizes=times.batch_sizes.totals(),
        recovered_rows=times.recovered_rows.totals(),
        loop_lag=services.loop_lag.totals(),
        locked=times.locked.totals(),
        absorb_lag=services.store.absorb_lag.totals(),
    )
