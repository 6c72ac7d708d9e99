"""All parts of one server over one store: made, connected, run, and ended inside out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gbs_actor.auth import Authorizer, Policy, SessionTokens, Verifier
from gbs_actor.gateway.config import GatewayConfig
from gbs_actor.gateway.events import LineupEvents
from gbs_actor.gateway.http import Services, create_app, with_callers
from gbs_actor.gateway.namespace.clients import SocketConnections
from gbs_actor.gateway.namespace.handlers import NAMESPACE, LineupNamespace
from gbs_actor.gateway.namespace.recovery import LineupRecovery
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.gateway.plain import PlainServer
from gbs_actor.gateway.user_connections import UserConnections
from gbs_actor.gateway.user_rates import UserRates
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.server.configuration import room_config
from gbs_actor.settings import Settings
from gbs_actor.socketio import CloseCode, EngineApp, OutboxLimits, SocketServer, WebSocketApp
from gbs_actor.store.protocol import Store

logger = logging.getLogger(__name__)


class Composition:
    """The parts of one server behind whatever listens, and the application they make up.

    :param store: open; it outlives the server.
    :raises SettingsError: the settings' keys cannot be used.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.draining = False
        """Whether the server is about to end, so that nobody should send it new clients."""
        config = GatewayConfig.from_settings(settings)
        verifier = Verifier(settings.auth)
        authorizer = Authorizer(
            store, Policy.from_settings(settings.auth), ttl=settings.auth.grant_ttl
        )
        rates = UserRates(config.user_rate, config.user_burst)
        user_connections = UserConnections(config.max_connections_per_user)
        self.rooms = RoomSupervisor(store, room_config(settings.rooms))
        self.sockets = _socket_server(settings)
        self.events = LineupEvents(
            self.rooms,
            verifier,
            authorizer,
            config,
            rates=rates,
            user_connections=user_connections,
        )
        self._whereabouts = SessionLocations(store, settings.recovery.recovery_max_age)
        connections = SocketConnections(NAMESPACE, self.events, self._whereabouts)
        tokens = SessionTokens.from_settings(settings, verifier.now)
        LineupNamespace(
            self.sockets.namespace(NAMESPACE),
            self.events,
            connections,
            LineupRecovery(connections, self.events, tokens, self._whereabouts),
        )
        http = create_app(
            Services(
                rooms=self.rooms,
                store=store,
                verifier=verifier,
                authorizer=authorizer,
                config=config,
                rates=rates,
                draining=lambda: self.draining,
            )
        )
        self.plain = PlainServer(self.events, self.sockets.options, self.sockets.places)
        http_app = with_callers(http, self.sockets.trusted_proxies)
        self.app = EngineApp(self.sockets, WebSocketApp(self.plain, http_app))
        """Everything that clients can ask for, as an ASGI application without a lifespan."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the parts for the time of a block; call :meth:`drain` at its end."""
        async with (
            self.rooms.running(),
            self.events.running(),
            self._whereabouts.running(),
            self.sockets.serving(),
            self.plain.serving(),
        ):
            yield

    async def drain(self, grace: float) -> None:
        """Finish the commands under way, then close what clients are connected by.

        :param grace: seconds that the whole end may take, of which this takes the most.
        """
        self.draining = True
        # A room may have to wait for its store, and what comes after needs time, too.
        with trio.move_on_after(grace / 2) as patience:
            await self.rooms.drain()
        if patience.cancelled_caught:
            logger.warning("some rooms still wait for the database; they are given up")
            self.rooms.reject_pending()
        async with trio.open_nursery() as ending:
            ending.start_soon(self.sockets.shutdown, CloseCode.GOING_AWAY)
            ending.start_soon(self.plain.shutdown, CloseCode.GOING_AWAY)


def _socket_server(settings: Settings) -> SocketServer:
    limits = settings.socketio
    grace = settings.server.shutdown_grace
    return SocketServer(
        limits.socketio_path,
        ping_interval=limits.ping_interval,
        ping_timeout=limits.ping_timeout,
        max_payload=limits.max_payload,
        connect_timeout=limits.connect_timeout,
        upgrade_timeout=limits.upgrade_timeout,
        # A shutdown waits for the first of these once and for the second four times.
        close_timeout=min(5.0, grace / 5),
        disconnect_timeout=min(5.0, grace / 20),
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_unanswered=limits.max_unanswered_events,
        max_held_bytes=limits.max_held_bytes,
        packet_rate=limits.packet_rate,
        packet_burst=limits.packet_burst,
        max_attachments=limits.max_attachments,
        max_attachment_bytes=limits.max_attachment_bytes,
        deflate=limits.deflate,
        body_timeout=settings.http.request_timeout,
        allowed_origins=settings.http.allowed_origins,
        trusted_proxies=settings.http.trusted_proxies,
        cookie_names=(settings.auth.cookie_name,),
        outbox=OutboxLimits(max_messages=limits.outbox_messages, max_bytes=limits.outbox_bytes),
    )
