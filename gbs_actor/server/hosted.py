"""A whole server inside somebody else's: an ASGI application with a lifespan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gbs_actor.server.composition import Composition
from gbs_actor.server.database import open_store
from gbs_actor.settings import Settings
from gbs_actor.socketio.asgi_types import App, Receive, Scope, Send

Explain = Callable[[BaseException], str]
"""Says in one sentence why a server did not start."""


class HostedServer:
    """Everything but the listener, for any ASGI server that runs on Trio.

    The database is opened when the lifespan starts, and closed when it ends; the host waits
    for that. Before and after, requests get a 503.

    :param load: returns the settings; called at the start.
    :param explain: what the host is told where the start fails.
    """

    def __init__(self, load: Callable[[], Settings], explain: Explain = str) -> None:
        self._load = load
        self._explain = explain
        self._app: App = _unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        started = False
        try:
            settings = self._load()
            async with open_store(settings, migrating=False) as store:
                composition = Composition(store, settings)
                async with composition.running():
                    self._app = composition.app
                    started = True
                    await send({"type": "lifespan.startup.complete"})
                    await receive()  # lifespan.shutdown
                    await composition.drain(settings.server.shutdown_grace)
                    self._app = _unavailable
        except* Exception as group:
            if started:
                raise
            message = self._explain(group)
            await send({"type": "lifespan.startup.failed", "message": message})
        else:
            await send({"type": "lifespan.shutdown.complete"})


async def _unavailable(scope: Any, receive: Receive, send: Send) -> None:
    """Answer while there is no server yet, or no longer."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013})
        return
    body = b'{"code":"STORE_UNAVAILABLE","message":"The server is not running.","retryable":true}'
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"2")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
