"""A whole server inside somebody else's: an ASGI application with a lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

from gbs_actor.gateway.http import cors_policy
from gbs_actor.server.composition import Composition
from gbs_actor.server.database import open_store
from gbs_actor.server.hypercorn_limits import limit_hypercorn
from gbs_actor.settings import Settings
from gbs_actor.socketio import CloseCode, HttpAnswer, answer_over_asgi, origins_of
from gbs_actor.socketio.asgi_types import App, Receive, Scope, Send

_NOT_RUNNING: Final = (
    b'{"code":"STORE_UNAVAILABLE","message":"The server is not running.","retryable":true}'
)


class HostedServer:
    """Everything but the listener, for any ASGI server that runs on Trio.

    The host has to run it: :meth:`running` goes with its lifespan. Before and after,
    requests get a 503.

    :param load: returns the settings; called at the start.
    """

    def __init__(self, load: Callable[[], Settings]) -> None:
        limit_hypercorn()
        self._load = load
        self._app = _unavailable()

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
                    self._app = _unavailable(settings.http.allowed_origins)


def _unavailable(origins: Collection[str] = ()) -> App:
    """Return what answers while there is no server yet, or no longer.

    :param origins: those whose pages may read the answers.
    """
    policy = cors_policy(frozenset(origins))

    async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": CloseCode.TRY_AGAIN_LATER})
            return
        headers = (("Retry-After", "2"), *policy.answer_fields(origins_of(scope["headers"])))
        await answer_over_asgi(send, HttpAnswer(503, _NOT_RUNNING, headers=headers))

    return unavailable
