"""A whole server inside somebody else's: an ASGI application with a lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gbs_actor.server.composition import Composition
from gbs_actor.server.database import open_store
from gbs_actor.settings import Settings
from gbs_actor.socketio.asgi_types import App, Receive, Scope, Send


class HostedServer:
    """Everything but the listener, for any ASGI server that runs on Trio.

    The host has to run it: :meth:`running` goes with its lifespan. Before and after,
    requests get a 503.

    :param load: returns the settings; called at the start.
    """

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self._app: App = _unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for the time of a block; at its end, finish what clients have asked for.

        :raises SettingsError: a setting is wrong, or keys cannot be used.
        :raises StoreError: the database cannot be used.
        """
        settings = self._load()
        async with open_store(settings, migrating=False) as store:
            composition = Composition(store, settings)
            async with composition.running():
                self._app = composition.app
                try:
                    yield
                    await composition.drain(settings.server.shutdown_grace)
                finally:
                    self._app = _unavailable


async def _unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer while there is no server yet, or no longer."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013})
        return
    body = b'{"code":"STORE_UNAVAILABLE","message":"The server is not running.","retryable":true}'
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"2")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
