"""What the HTTP side is made of: the parts of one server, as that has composed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gbs_actor.auth import Authorizer, Verifier
from gbs_actor.bus import BusStatistics
from gbs_actor.environment import Environment
from gbs_actor.gateway.audit_trail import AuditTrail
from gbs_actor.gateway.client_metrics import ClientMetricsTotals
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.imports import Importer
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.gateway.nodes import Nodes
from gbs_actor.observability import LogLevels, LoopProfiler, OperatorEvents, RecentHistogram
from gbs_actor.observability.history import History
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import Settings
from gbs_actor.socketio import ChannelStatistics, FrontDoorStatistics, SocketServer
from gbs_actor.store.protocol import Store
from gbs_actor.store.write_check import WriteCheckStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts below the HTTP side: what requests need, and what operators see and steer."""

    settings: Settings
    """Those that the server was started with."""
    current_settings: Callable[[], Settings]
    """Those in use: some can be changed while it runs."""
    demo_sign_in: bool
    """Whether whoever reaches the server may sign in as one of the demo's people."""
    environment: Environment
    """Where the time of day and randomness come from."""
    store: Store
    rooms: RoomSupervisor
    nodes: Nodes
    """All servers on the store."""
    bus: Callable[[], BusStatistics | None]
    """``None``: it has none."""
    verifier: Verifier
    authorizer: Authorizer
    rates: UserRateLimit
    """How often users may send requests, shared with their other transports."""
    store_failure: Callable[[], str | None]
    """In one sentence, why no change could be stored at the moment, or why what other servers have
    stored is not seen here; ``None``: neither."""
    draining: Callable[[], bool]
    """Whether the server is about to stop, so that no new clients should be sent to it."""
    ends_at: Callable[[], float]
    """Trio time at which a shutdown has to be over; inf: there is none."""
    shut_down: Callable[[], None]
    """Lets the server stop as SIGTERM does; may be called again."""

    importer: Importer
    """Of sheets."""
    client_metrics: ClientMetricsTotals
    """What pages have reported of themselves."""
    clients: Clients
    closed_sessions: ClosedSessions
    dispatch: Dispatch
    sockets: SocketServer
    plain: Callable[[], ChannelStatistics]
    """Of plain WebSockets."""
    front_door: Callable[[], FrontDoorStatistics | None]
    """``None``: another ASGI server listens."""
    recoveries: Mapping[str, int]
    """Attempts to resume a session, per result so far."""
    loop_lag: RecentHistogram
    """How late timers fired, in seconds."""
    write_check: Callable[[], WriteCheckStatistics]
    history: History
    events: OperatorEvents
    """What operators are notified of."""
    audit_trail: AuditTrail
    log_levels: LogLevels
    profiler: LoopProfiler
