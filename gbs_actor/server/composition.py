"""All parts of one server over one store: makes, connects, runs and closes them."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from hypercorn.typing import ASGIFramework

from gbs_actor.auth import Authorizer, Policy, SessionTokens, Verifier
from gbs_actor.bus import Bus, BusStatistics
from gbs_actor.concurrency import Service, background
from gbs_actor.contract.events import NAMESPACE
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.gateway.audit_trail import AuditTrail
from gbs_actor.gateway.client_metrics import ClientMetricsTotals
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.http import (
    ForwardedRequests,
    Services,
    cors_policy,
    create_admin_app,
    create_app,
    refusal,
    with_remote_endpoint,
)
from gbs_actor.gateway.imports import Importer
from gbs_actor.gateway.limits import UserConnectionLimit, UserRateLimit
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.gateway.namespace.closing import ClosingObserver
from gbs_actor.gateway.namespace.handlers import LineupNamespace
from gbs_actor.gateway.namespace.lagging import LaggingObserver
from gbs_actor.gateway.namespace.recovery import LineupRecovery
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.gateway.nodes import Nodes
from gbs_actor.gateway.nodes.request import encoded
from gbs_actor.gateway.plain import PlainServer
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import LogLevels, LoopProfiler, OperatorEvents
from gbs_actor.observability.history import History
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.slow_commands import SlowCommands
from gbs_actor.rooms.tracepoints import Observer, ignore
from gbs_actor.server.deferred_app import DeferredApp
from gbs_actor.server.hypercorn import answering_half_closed, awaiting_requests
from gbs_actor.server.loop_lag import LoopLag
from gbs_actor.server.node_requests import LOOK_WITHIN, NodeRequests
from gbs_actor.server.node_status import NodeSampler, report_node
from gbs_actor.server.sampling import ServerSampler
from gbs_actor.server.socket_server import socket_server
from gbs_actor.settings import Settings
from gbs_actor.socketio import (
    CloseCode,
    CorsPolicy,
    EngineApp,
    FrontDoor,
    Plane,
    WebSocketApp,
    open_plane,
)
from gbs_actor.store.protocol import Store
from gbs_actor.store.write_check import WriteCheck

logger = logging.getLogger(__name__)


class Composition:
    """The parts of one server behind its listeners, and their ASGI application.

    :param store: open; it outlives the server.
    :param bus: what tells other servers on the store of commits, and hears of theirs.
    :param environment: where all its parts take the time of day and randomness from.
    :param observe: called at every tracepoint of every room.
    :param plane: opens what drives plain sockets, once for each server of WebSockets; returns
        ``None`` if every connection is to have a task.
    :param demo_sign_in: whether anybody may sign in as one of the demo's people.
    :raises SettingsError: the settings' keys cannot be used.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        bus: Bus | None = None,
        environment: Environment = SYSTEM,
        observe: Observer = ignore,
        plane: Callable[[], Plane | None] = open_plane,
        demo_sign_in: bool = False,
    ) -> None:
        self.environment = environment
        """Where all its parts take the time of day and randomness from."""
        self.settings = settings
        """Those in use."""
        self.draining = False
        """Whether the server is shutting down; readyz reports it."""
        self.ends_at = math.inf
        """Trio time at which the shutdown has to be over; inf: there is none."""
        self.front_door: FrontDoor | None = None
        """What listens; ``None``: another ASGI server does."""
        self.address: str | None = None
        """Host and port at which it listens."""
        self.operator_events = events = OperatorEvents(
            settings.admin.operator_events, environment=environment
        )
        """What operators are notified of."""
        self.shut_down: Callable[[], None] = _ignore
        """Requests the shutdown, for an operator; whoever runs the server sets it."""
        self._drain_spread = settings.server.drain_spread

        # Rooms, and who may do what in them.
        verifier = Verifier(settings.auth, now=environment.wall)
        authorizer = settings.build(Authorizer, store, Policy.from_settings(settings.auth))
        rates = UserRateLimit(settings.limits.user_rate, settings.limits.user_burst)
        self.write_check = WriteCheck(
            store, settings.store.write_check_interval, events, environment
        )
        self._slow_commands = SlowCommands(settings.logging.slow_command)
        self.rooms = RoomSupervisor(
            store,
            settings.rooms,
            events=events,
            slow_commands=self._slow_commands,
            bus=bus,
            environment=environment,
            observe=observe,
        )

        # Clients, whatever protocol they speak.
        self.clients = Clients(
            self.rooms,
            verifier,
            authorizer,
            settings,
            connection_limit=UserConnectionLimit(settings.limits.max_connections_per_user),
            events=events,
            environment=environment,
        )
        self.dispatch = dispatch = Dispatch(
            self.rooms,
            self.clients,
            verifier,
            authorizer,
            settings,
            rates=rates,
            events=events,
            environment=environment,
        )
        self.closed_sessions = settings.build(ClosedSessions, events=events, now=environment.wall)

        # Socket.IO.
        self.sockets = socket_server(settings, events, environment=environment, plane=plane)
        self.session_locations = SessionLocations(
            store, settings.recovery.recovery_max_age, environment
        )
        socket_clients = SocketClients(NAMESPACE, self.clients, self.session_locations)
        self.sockets.observe(ClosingObserver(self.closed_sessions, socket_clients))
        self.sockets.observe(LaggingObserver(self.clients, socket_clients))
        tokens = SessionTokens.from_settings(settings, environment)
        recovery = LineupRecovery(socket_clients, dispatch.joining, tokens, self.session_locations)
        LineupNamespace(self.sockets.namespace(NAMESPACE), dispatch, socket_clients, recovery)

        # Plain WebSockets, within the same limits.
        self.plain = PlainServer(
            self.clients,
            dispatch,
            self.sockets.options,
            connection_limit=self.sockets.connection_limit,
            unauthenticated=self.sockets.unauthenticated,
            closed_sessions=self.closed_sessions,
            memory_limit=self.sockets.memory_limit,
            environment=environment,
            plane=plane,
        )

        # What only operators need.
        self.loop_lag = LoopLag()
        sampler = ServerSampler(self.rooms, self.clients, store, self.loop_lag.times)
        self.history = History(sampler.sample, now=environment.wall)
        self.audit_trail = AuditTrail(store, environment)
        self.log_levels = LogLevels(now=environment.wall)

        def bus_statistics() -> BusStatistics | None:
            return None if bus is None else bus.statistics()

        node = NodeSampler(
            self.rooms,
            self.clients,
            loop_lag=self.loop_lag.times,
            store_failure=self._store_failure,
            draining=lambda: self.draining,
            bus=bus_statistics,
            address=lambda: self.address,
            environment=environment,
        )
        self.nodes = Nodes(
            settings.store.node, store.nodes, node.status, self.rooms.summaries, environment
        )

        # HTTP, and all of it as one application.
        self.services = services = Services(
            settings=settings,
            current_settings=lambda: self.settings,
            demo_sign_in=demo_sign_in,
            environment=environment,
            store=store,
            rooms=self.rooms,
            nodes=self.nodes,
            bus=bus_statistics,
            verifier=verifier,
            authorizer=authorizer,
            rates=rates,
            store_failure=self._store_failure,
            draining=lambda: self.draining,
            ends_at=lambda: self.ends_at,
            shut_down=self._shut_down,
            importer=Importer(store, self.rooms, settings.imports, environment),
            client_metrics=ClientMetricsTotals(),
            clients=self.clients,
            closed_sessions=self.closed_sessions,
            dispatch=dispatch,
            sockets=self.sockets,
            plain=self.plain.statistics,
            front_door=lambda: None if self.front_door is None else self.front_door.statistics(),
            recoveries=recovery.results,
            loop_lag=self.loop_lag.times,
            write_check=self.write_check.statistics,
            history=self.history,
            events=events,
            audit_trail=self.audit_trail,
            log_levels=self.log_levels,
            profiler=LoopProfiler(),
        )
        """What the HTTP side has below it."""
        http = DeferredApp(partial(create_app, services))
        http_app = self._on_any_server(http, cors_policy(settings.http.allowed_origins))
        self._deferred = [http]
        self.app = EngineApp(self.sockets, WebSocketApp(self.plain, http_app))
        """Everything except the listener, as an ASGI application without a lifespan."""
        self.admin_app: ASGIFramework | None = None
        """``/admin``, if it has an address of its own."""
        if settings.admin.admin_listen is not None:
            admin = DeferredApp(partial(create_admin_app, services))
            self.admin_app = self._on_any_server(admin, CorsPolicy.of((), ()))
            self._deferred.append(admin)
        self._node_requests = NodeRequests(
            self.nodes,
            ForwardedRequests(self._deferred[-1]).serve,
            too_large=encoded(refusal(Code.INTERNAL, "The answer is too large.")),
            interval=min(settings.rooms.comparison_interval, LOOK_WITHIN),
        )

    def _store_failure(self) -> str | None:
        return self.write_check.failure() or self.rooms.behind_failure()

    def prepare(self) -> None:
        """Make what is made at the first HTTP request otherwise, so that none waits for it."""
        for app in self._deferred:
            app.make()

    def _shut_down(self) -> None:
        self.shut_down()

    def _on_any_server(self, app: ASGIFramework, policy: CorsPolicy) -> ASGIFramework:
        """Return an app that is told the client's address, and not of half closed connections."""
        return with_remote_endpoint(
            awaiting_requests(answering_half_closed(app)), self.sockets.trusted_proxies, policy
        )

    def _service(
        self, name: str, run: Callable[[], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        return Service(name, run, environment=self.environment).run

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        """Let other servers on the store know of this one within the block, if it has a name."""
        if self.nodes.name is None:
            yield
            return
        async with (
            background(self._service("node status", partial(report_node, self.nodes))),
            background(self._service("node requests", self._node_requests.run)),
        ):
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the parts within the block; call :meth:`drain` at its end."""
        async with (
            background(self._service("operator events", self.operator_events.run)),
            self.write_check.running(),
            background(self._service("loop lag", self.loop_lag.run)),
            background(self._service("log levels", self.log_levels.run)),
            self.audit_trail.running(),
            background(self._service("history", self.history.run)),
            self.rooms.running(),
            self.clients.running(),
            self.session_locations.running(),
            self.sockets.serving(),
            self.plain.serving(),
            self._reporting(),
        ):
            yield

    def change_settings(self, settings: Settings) -> None:
        """Use other settings from now on; they differ in the limits per user and the logging."""
        former, self.settings = self.settings, settings
        if settings.limits != former.limits:  # a change gives every user a full bucket
            self.dispatch.rates.change(settings.limits)
            self.clients.change_limits(settings.limits)
        self._slow_commands.threshold = settings.logging.slow_command

    async def drain(self, grace: float) -> None:
        """Finish the commands in flight, then close the transports of all clients.

        :param grace: seconds for the whole shutdown, most of which this may take.
        """
        self.draining = True
        self.ends_at = trio.current_time() + grace
        self.operator_events.publish(
            "server.draining", "ending: commands under way are finished", grace=grace
        )
        self.clients.traces.stop_all()
        self.sockets.stop_reading()
        self.plain.stop_reading()
        # A room may have to wait for its store, and the rest of the shutdown needs time, too.
        deadline = trio.current_time() + grace / 2
        with trio.move_on_at(deadline) as draining:
            await self.rooms.drain()
        if draining.cancelled_caught:
            logger.warning("some rooms still wait for the database and are ended")
            self.rooms.reject_pending()
        spread = min(self._drain_spread, max(0.0, deadline - trio.current_time()))
        async with trio.open_nursery() as ending:
            for server in (self.sockets, self.plain):
                shutdown = partial(server.shutdown, CloseCode.GOING_AWAY, spread=spread)
                ending.start_soon(shutdown)


def _ignore() -> None:
    """Do nothing: nobody runs the server who could stop it."""
