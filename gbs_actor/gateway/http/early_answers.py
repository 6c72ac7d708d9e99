"""Answers that are ready before their request has arrived in full: a 401, a 405, a 413.

HTTP/1.1 lets a connection go on only once the request's body was read (RFC 9112 §9.3), and
Hypercorn under Quart-Trio leaves one where it was not half closed: the app's nursery is
cancelled in the middle of its closing, and the client's next request waits for ever.
"""

from __future__ import annotations

from typing import Final

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

PATIENCE: Final = 2.0
"""Seconds that such an answer waits for the rest of the request."""


def holding_early_answers(app: ASGIFramework) -> ASGIFramework:
    """Return an ASGI app whose answers wait, for a moment, until the request has arrived.

    The app must go on receiving while it answers, as Quart does. What takes longer than
    :data:`PATIENCE` gets its answer and the end of its connection.
    """

    async def holding(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        # Over HTTP/2 only the stream ends; its server drops what still comes (RFC 9113 §8.1).
        if scope["type"] != "http" or not scope["http_version"].startswith("1"):
            await app(scope, receive, send)
            return
        arrived = trio.Event()

        async def received() -> ASGIReceiveEvent:
            event = await receive()
            if event["type"] != "http.request" or not event.get("more_body", False):
                arrived.set()
            return event

        async def answer(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start" and not arrived.is_set():
                with trio.move_on_after(PATIENCE):
                    await arrived.wait()
                if not arrived.is_set():
                    event["headers"] = [*event["headers"], (b"connection", b"close")]
            # The server ends the exchange within the last of these calls, and then tells the
            # app of it, which cancels itself. What writing takes, the stream bounds.
            with trio.CancelScope(shield=True):
                await send(event)

        await app(scope, received, answer)

    return holding
