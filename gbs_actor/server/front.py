"""The listeners of a server: the front door, TLS, and the HTTP server behind it.

``admin_front`` is the second one, for operators.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

import trio

from gbs_actor.concurrency import Service
from gbs_actor.environment import Environment
from gbs_actor.gateway.http import cors_policy
from gbs_actor.gateway.limits import reporting_connections
from gbs_actor.server.admin_front import admin_front
from gbs_actor.server.certificate import Certificate
from gbs_actor.server.composition import Composition
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.server.lifetime import Lifetime
from gbs_actor.server.listening import BoundAddress, bound_addresses, open_listeners, with_tls
from gbs_actor.server.reloading import Reloading
from gbs_actor.settings import Settings
from gbs_actor.socketio import FrontDoor, HttpResponse, Request, send_response

_NO_WEBSOCKET: Final = HttpResponse(
    404, b'{"code":"NOT_FOUND","message":"There is no WebSocket at this address."}'
)


class Front:
    """The listeners of one server; :meth:`run` opens them.

    :param composition: what is served.
    :param load: reads the settings again.
    :param stop: lets the whole process stop, for an operator; default: :meth:`run` ends.
    :raises SettingsError: the settings' certificate cannot be used.
    """

    def __init__(
        self,
        composition: Composition,
        settings: Settings,
        *,
        load: Callable[[], Settings] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._composition = composition
        self._stop = stop
        self._settings = settings
        self._certificate = Certificate.from_settings(settings.server)
        self._reloading = Reloading(
            settings,
            self._certificate,
            load=load,
            change_settings=composition.change_settings,
        )
        environment = composition.environment
        self._http = settings.build(HttpServer, composition.app, wall=environment.wall)
        sockets, plain = composition.sockets, composition.plain
        self._door = composition.front_door = settings.build(
            FrontDoor,
            {
                sockets.path: sockets.serve_websocket,
                plain.path: plain.serve_websocket,
                "/": partial(_no_websocket, environment),
            },
            self._http.serve,
            sockets={
                sockets.path: sockets.take_websocket,
                plain.path: plain.take_websocket,
            },
            requests={sockets.path: sockets.serve_http},
            connections=settings.socketio.max_connections + settings.http.http_connections,
            unauthenticated=sockets.unauthenticated,
            trusted_proxies=sockets.trusted_proxies,
            on_reached=reporting_connections(
                composition.operator_events,
                "max_connections and http_connections",
                "connections_per_address",
            ),
            cors=cors_policy(settings.http.allowed_origins),
            environment=environment,
        )

    async def run(
        self,
        lifetime: Lifetime,
        task_status: trio.TaskStatus[tuple[BoundAddress, ...]],
        *,
        reloads: AsyncIterator[object] | None = None,
    ) -> None:
        """Serve until shutdown is requested, then end within the grace period.

        :param lifetime: reports the request for shutdown, and the grace period.
        :param reloads: settings and certificate are read again for each item.
        :param task_status: receives the bound addresses once clients can connect.
        :raises OSError: the address cannot be listened on.
        """
        server = self._settings.server
        async with (
            self._composition.running(),
            admin_front(self._composition, self._settings, self._certificate),
            trio.open_nursery() as nursery,
        ):
            listeners = await open_listeners(server.host, server.port, server.backlog)
            if self._certificate is None:
                await nursery.start(self._door.serve, listeners)
            else:
                encrypted = with_tls(listeners, self._certificate.context)
                await nursery.start(self._door.serve, encrypted)
            if reloads is not None:
                reloading = Service("reload", partial(self._reloading.run, reloads))
                nursery.start_soon(reloading.run)
            self._composition.shut_down = self._stop or lifetime.request_shutdown
            lifetime.started()
            task_status.started(bound_addresses(listeners))
            await lifetime.wait_for_shutdown()
            self._door.stop_accepting()
            await self._composition.drain(lifetime.grace)
            await self._door.drain(lifetime.grace / 10)
            nursery.cancel_scope.cancel()


async def _no_websocket(
    environment: Environment,
    stream: trio.abc.HalfCloseableStream,
    _request: Request,
    _leftover: bytes,
) -> None:
    """Refuse a WebSocket at an unknown path; the HTTP app cannot serve it either."""
    await send_response(stream, _NO_WEBSOCKET, environment.wall())
