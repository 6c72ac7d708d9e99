"""All parts of one server over one store: made, connected, run, and ended inside out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import trio

from gbs_actor.auth import Authorizer, Policy, Verifier
from gbs_actor.gateway.config import GatewayConfig
from gbs_actor.gateway.http import Services, create_app, with_callers
from gbs_actor.gateway.namespace import NAMESPACE, LineupNamespace
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.server.certificate import Certificate
from gbs_actor.server.configuration import room_config
from gbs_actor.server.http import HttpServer
from gbs_actor.server.lifetime import Lifetime
from gbs_actor.server.listening import BoundAddress, bound_addresses, open_listeners, with_tls
from gbs_actor.settings import Settings
from gbs_actor.socketio import (
    EngineApp,
    FrontDoor,
    OutboxLimits,
    Request,
    SocketServer,
    send_answer,
)
from gbs_actor.store.protocol import Store

logger = logging.getLogger(__name__)


class Composition:
    """One server: made at once, run by :meth:`run`.

    :param store: open; it outlives the server.
    :param lifetime: when the server should end.
    :raises SettingsError: the settings' keys or certificate cannot be used.
    """

    def __init__(self, store: Store, settings: Settings, lifetime: Lifetime) -> None:
        self._settings = settings
        self._lifetime = lifetime
        self._certificate = Certificate.from_settings(settings.server)
        config = GatewayConfig.from_settings(settings)
        verifier = Verifier(settings.auth)
        authorizer = Authorizer(
            store, Policy.from_settings(settings.auth), ttl=settings.auth.grant_ttl
        )
        self.rooms = RoomSupervisor(store, room_config(settings.rooms))
        self.sockets = _socket_server(settings)
        self.lineup = LineupNamespace(
            self.sockets.namespace(NAMESPACE), self.rooms, verifier, authorizer, config
        )
        app = create_app(
            Services(
                rooms=self.rooms,
                store=store,
                verifier=verifier,
                authorizer=authorizer,
                config=config,
                draining=lambda: lifetime.ending,
            )
        )
        self.http = HttpServer(
            EngineApp(self.sockets, with_callers(app, self.sockets.trusted_proxies)),
            head_limit=settings.http.head_limit,
            keep_alive=settings.http.http_idle_timeout,
        )
        self.front_door = FrontDoor(
            {
                settings.socketio.socketio_path: self.sockets.serve_websocket,
                "/": _no_websocket,
            },
            self.http.serve,
            head_limit=settings.http.head_limit,
            head_timeout=settings.http.head_timeout,
            max_connections=settings.socketio.max_connections + settings.http.http_connections,
            request_timeout=settings.http.request_timeout,
            http_idle_timeout=settings.http.http_idle_timeout,
            write_timeout=settings.http.write_timeout,
        )

    async def run(
        self,
        task_status: trio.TaskStatus[tuple[BoundAddress, ...]],
        *,
        reloads: AsyncIterator[object] | None = None,
    ) -> None:
        """Serve until the end is wished for, then end within the grace period.

        :param reloads: for each item of it, the certificate is read again.
        :param task_status: told the bound addresses once clients can connect.
        :raises OSError: the address cannot be listened on.
        """
        listen = self._settings.server
        async with (
            self.rooms.running(),
            self.lineup.running(),
            self.sockets.serving(),
            self.http.running(),
            trio.open_nursery() as nursery,
        ):
            listeners = await open_listeners(listen.host, listen.port, listen.backlog)
            if self._certificate is None:
                await nursery.start(self.front_door.serve, listeners)
            else:
                encrypted = with_tls(listeners, self._certificate.context)
                await nursery.start(self.front_door.serve, encrypted)
            if reloads is not None:
                nursery.start_soon(self._reload, reloads)
            self._lifetime.started()
            task_status.started(bound_addresses(listeners))
            await self._lifetime.wait_for_wish()
            await self._end(nursery)

    async def _reload(self, reloads: AsyncIterator[object]) -> None:
        async for _ in reloads:
            if self._certificate is None:
                logger.info("there is no certificate to read again: the server speaks no TLS")
            else:
                # From files, and perhaps with a password that is made hard to guess.
                await trio.to_thread.run_sync(self._certificate.read_again, abandon_on_cancel=True)

    async def _end(self, nursery: trio.Nursery) -> None:
        """End what clients see, from the commands under way to the last connection."""
        logger.info("ending: no new connections, commands under way are finished")
        self.front_door.stop_accepting()
        # A room may have to wait for its store, and what comes after needs time, too.
        with trio.move_on_after(self._lifetime.grace / 2) as patience:
            await self.rooms.drain()
        if patience.cancelled_caught:
            logger.warning("some rooms still wait for the database; they are given up")
            self.rooms.give_up()
        await self.sockets.shutdown(1001)
        await self.http.stop_accepting()
        await self.front_door.drain(self._lifetime.grace / 10)
        nursery.cancel_scope.cancel()


async def _no_websocket(
    stream: trio.abc.HalfCloseableStream, _request: Request, _leftover: bytes
) -> None:
    """Refuse a WebSocket where there is none; the HTTP app has no use for it either."""
    await send_answer(
        stream, 404, b'{"code":"NOT_FOUND","message":"There is no WebSocket at this address."}'
    )


def _socket_server(settings: Settings) -> SocketServer:
    limits = settings.socketio
    grace = settings.server.shutdown_grace
    return SocketServer(
        limits.socketio_path,
        ping_interval=limits.ping_interval,
        ping_timeout=limits.ping_timeout,
        max_payload=limits.max_payload,
        connect_timeout=limits.connect_timeout,
        # A shutdown waits for the first of these once and for the second twice.
        close_timeout=min(5.0, grace / 5),
        disconnect_timeout=min(5.0, grace / 20),
        max_connections=limits.max_connections,
        max_unanswered=limits.max_unanswered_events,
        max_held_bytes=limits.max_held_bytes,
        body_timeout=settings.http.request_timeout,
        allowed_origins=settings.http.allowed_origins,
        trusted_proxies=settings.http.trusted_proxies,
        cookie_names=(settings.auth.cookie_name,),
        outbox=OutboxLimits(max_messages=limits.outbox_messages, max_bytes=limits.outbox_bytes),
    )
