"""The Socket.IO server of the settings, whose limits notify operators."""

from __future__ import annotations

from collections.abc import Callable

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.gateway.limits import reporting_connections, reporting_memory
from gbs_actor.observability import OperatorEvents
from gbs_actor.settings import Settings
from gbs_actor.socketio import OutboxLimits, Plane, ServerOptions, SocketServer, open_plane


def socket_server(
    settings: Settings,
    events: OperatorEvents,
    *,
    environment: Environment = SYSTEM,
    plane: Callable[[], Plane | None] = open_plane,
) -> SocketServer:
    """Return the server, without namespaces.

    :param events: tells operators that a limit of the whole server is reached.
    :param plane: see :class:`~gbs_actor.socketio.ChannelServer`.
    """
    grace = settings.server.shutdown_grace
    options = settings.build(
        ServerOptions,
        # A shutdown waits for the first of these once and for the second four times.
        close_timeout=min(5.0, grace / 5),
        disconnect_timeout=min(5.0, grace / 20),
        # Strangers never take all the sessions.
        max_unauthenticated=min(
            settings.http.max_unauthenticated, max(1, settings.socketio.max_connections // 2)
        ),
        cookie_names=(settings.auth.cookie_name,),
        outbox=settings.build(OutboxLimits),
    )
    server = SocketServer(options, environment=environment, plane=plane)
    server.connection_limit.on_reached = reporting_connections(
        events, "max_connections", "max_connections_per_address"
    )
    server.unauthenticated.on_reached = reporting_connections(
        events, "max_unauthenticated", "max_unauthenticated_per_address"
    )
    server.memory_limit.on_exceeded = reporting_memory(events, "outbox_bytes_in_all")
    return server
