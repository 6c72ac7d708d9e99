"""The front door of a server, on whatever listeners: sockets, plain WebSockets, and HTTP."""

from __future__ import annotations

from functools import partial
from typing import Final

import trio

from gbs_actor.environment import Environment
from gbs_actor.gateway.http import cors_policy
from gbs_actor.gateway.limits import reporting_connections
from gbs_actor.server.composition import Composition
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.settings import Settings
from gbs_actor.socketio import FrontDoor, HttpResponse, Request, send_response

_NO_WEBSOCKET: Final = HttpResponse(
    404, b'{"code":"NOT_FOUND","message":"There is no WebSocket at this address."}'
)


def front_door(composition: Composition, settings: Settings) -> FrontDoor:
    """Return the front door of a composition, which learns of it."""
    environment = composition.environment
    sockets, plain = composition.sockets, composition.plain
    environment = composition.environment
    door = composition.front_door = settings.build(
        FrontDoor,
        {
            sockets.path: sockets.serve_websocket,
            plain.path: plain.serve_websocket,
            "/": partial(_no_websocket, environment),
        },
        settings.build(HttpServer, composition.app, wall=environment.wall).serve,
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
    return door


async def drain(composition: Composition, door: FrontDoor, grace: float) -> None:
    """Stop accepting, finish the commands in flight, and close all connections.

    :param grace: seconds for the whole shutdown, most of which this may take.
    """
    door.stop_accepting()
    await composition.drain(grace)
    await door.drain(grace / 10)


async def _no_websocket(
    environment: Environment,
    stream: trio.abc.HalfCloseableStream,
    _request: Request,
    _leftover: bytes,
) -> None:
    """Refuse a WebSocket at an unknown path; the HTTP app cannot serve it either."""
    await send_response(stream, _NO_WEBSOCKET, environment.wall())
