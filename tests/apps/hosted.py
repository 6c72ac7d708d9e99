"""The servers in this folder as ASGI applications, for a server that hosts them."""

from __future__ import annotations

from collections.abc import Callable

from gbs_actor.socketio import EngineApp, EngineServer, with_lifespan
from gbs_actor.socketio.net.asgi import App
from tests.apps.options import from_environment


def hosted(make_server: Callable[..., EngineServer]) -> App:
    """Return an ASGI application that serves what ``make_server`` makes."""
    times = {"ping_interval": 0.3, "ping_timeout": 0.2, "connect_timeout": 1.0}
    server = make_server(**times | from_environment())
    return with_lifespan(EngineApp(server), server.serving)
