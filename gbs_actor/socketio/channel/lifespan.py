"""What has to run while an ASGI server serves: begun at its startup, ended at its shutdown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from gbs_actor.socketio.channel.asgi_types import App, Receive, Scope, Send

Running = Callable[[], AbstractAsyncContextManager[object]]
Explain = Callable[[BaseException], str]


def with_lifespan(app: App, running: Running, explain: Explain = str) -> App:
    """Return an app that takes part in ASGI's lifespan, and is ``app`` for everything else.

    :param running: entered before the first request, left after the last one; where
        entering it raises, the ASGI server is told why and does not start.
    :param explain: says in a sentence why it raised.
    """

    async def with_running(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(running, explain, receive, send)
        else:
            await app(scope, receive, send)

    return with_running


async def _live(running: Running, explain: Explain, receive: Receive, send: Send) -> None:
    await receive()  # lifespan.startup
    started = False
    try:
        async with running():
            started = True
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
    except Exception as error:
        if started:
            raise
        await send({"type": "lifespan.startup.failed", "message": explain(error)})
    else:
        await send({"type": "lifespan.shutdown.complete"})
