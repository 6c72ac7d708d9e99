"""The second address, for ``/admin`` alone: operators reach it however full the first one is."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gbs_actor.server.certificate import Certificate
from gbs_actor.server.composition import Composition
from gbs_actor.server.descriptors import ADMIN_CONNECTIONS
from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.server.listening import bound_addresses, open_listeners, with_tls
from gbs_actor.settings import Settings
from gbs_actor.socketio import FrontDoor

logger = logging.getLogger(__name__)


@asynccontextmanager
async def admin_front(
    composition: Composition, settings: Settings, certificate: Certificate | None
) -> AsyncIterator[None]:
    """Serve ``/admin`` at its own address within the block, if it has one.

    At the end of the block the requests in flight are finished. Cancelled, all connections are
    aborted.

    :param certificate: of the first address; ``None``: neither speaks TLS.
    :raises OSError: the address cannot be listened on.
    """
    address = settings.admin.address
    if address is None or composition.admin_app is None:
        yield
        return
    environment = composition.environment
    http = settings.build(HttpServer, composition.admin_app, wall=environment.wall)
    door = settings.build(
        FrontDoor,
        {},
        http.serve,
        connections=ADMIN_CONNECTIONS,
        connections_per_address=ADMIN_CONNECTIONS,
        trusted_proxies=composition.sockets.trusted_proxies,
        environment=environment,
    )
    listeners = await open_listeners(*address, backlog=ADMIN_CONNECTIONS)
    async with trio.open_nursery() as nursery:
        if certificate is None:
            await nursery.start(door.serve, listeners)
        else:
            await nursery.start(door.serve, with_tls(listeners, certificate.context))
        for bound in bound_addresses(listeners):
            logger.info("/admin is served at %s, port %d, alone", bound.host, bound.port)
        yield
        door.stop_accepting()
        await door.drain(settings.server.shutdown_grace / 10)
        nursery.cancel_scope.cancel()
