"""A whole server under another ASGI server: an ASGI application and its lifespan."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

import trio

from gbs_actor.concurrency import background
from gbs_actor.gateway.http import cors_policy
from gbs_actor.server.admin_front import admin_front
from gbs_actor.server.certificate import Certificate
from gbs_actor.server.composition import Composition
from gbs_actor.server.database import bus_between_nodes, open_store
from gbs_actor.server.descriptors import fit_to_descriptors
from gbs_actor.server.hypercorn import end_server, limit_hypercorn
from gbs_actor.server.log_pruning import pruning
from gbs_actor.settings import Settings
from gbs_actor.socketio import HttpResponse, origins_of
from gbs_actor.socketio.net.asgi import App, Receive, Scope, Send, refuse

logger = logging.getLogger(__name__)

_NOT_RUNNING: Final = (
    b'{"code":"STORE_UNAVAILABLE","message":"The server is not running.","retryable":true}'
)


class HostedServer:
    """Everything except the listener, for any ASGI server on Trio.

    The host runs it: :meth:`running` is its lifespan. Before and after, requests get a 503.

    :param load: returns the settings; called at the start.
    """

    def __init__(self, load: Callable[[], Settings]) -> None:
        limit_hypercorn()
        self._load = load
        self._app = _unavailable()
        self._ending: trio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        await self._app(scope, receive, send)

    def end(self) -> None:
        """Request shutdown: finish the commands in flight, and close the transports.

        For a host that knows about its shutdown before the lifespan ends.
        """
        if self._ending is not None:
            self._ending.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve within the block, or until :meth:`end`; then shut down.

        After the block the shutdown takes at most ``shutdown_grace``; what is not done by then
        is cancelled.

        :raises SettingsError: a setting is wrong, or keys cannot be used.
        :raises StoreError: the database cannot be used.
        :raises OSError: the address of ``/admin`` cannot be listened on.
        """
        settings = fit_to_descriptors(self._load())
        grace = settings.server.shutdown_grace
        self._ending = ending = trio.Event()
        with trio.CancelScope() as lifetime:
            async with (
                open_store(settings, migrating=False) as store,
                background(pruning(store, settings).run),
            ):
                composition = Composition(store, settings, bus=bus_between_nodes(settings, store))
                composition.prepare()
                composition.shut_down = end_server
                certificate = Certificate.from_settings(settings.server)
                async with (
                    composition.running(),
                    admin_front(composition, settings, certificate),
                    trio.open_nursery() as draining,
                ):
                    self._app = composition.app
                    try:
                        draining.start_soon(self._drain, composition, ending, grace)
                        yield
                    finally:
                        self._app = _unavailable(settings.http.allowed_origins)
                    lifetime.deadline = trio.current_time() + grace
                    ending.set()
        if lifetime.cancelled_caught:
            logger.warning("not everything ended within %g s", grace)

    async def _drain(self, composition: Composition, ending: trio.Event, grace: float) -> None:
        await ending.wait()
        await composition.drain(grace)


def _unavailable(origins: Collection[str] = ()) -> App:
    """Return the app that responds while the server is not running.

    :param origins: the origins whose pages may read the responses.
    """
    policy = cors_policy(origins)

    async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
        headers = (("Retry-After", "2"), *policy.response_fields(origins_of(scope["headers"])))
        await refuse(scope, receive, send, HttpResponse(503, _NOT_RUNNING, headers=headers))

    return unavailable
