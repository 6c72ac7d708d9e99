"""The servers in this folder as ASGI applications, for a server that hosts them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from gbs_actor.socketio import EngineApp, EngineServer, with_lifespan
from gbs_actor.socketio.asgi import App

OPTIONS = "ECHO_OPTIONS"
"""Environment variable: fields of :class:`ServerOptions` as a JSON object."""


def hosted(make_server: Callable[..., EngineServer]) -> App:
    """Return an ASGI application that serves what ``make_server`` makes."""
    options = {"ping_interval": 0.3, "ping_timeout": 0.2}
    server = make_server(**options | json.loads(os.environ.get(OPTIONS, "{}")))
    return with_lifespan(EngineApp(server), server.serving)
