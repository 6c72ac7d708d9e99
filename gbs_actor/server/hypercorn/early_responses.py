"""Responses that are ready before their request has arrived in full: a 401, a 405, a 413.

In HTTP/1.1 a connection can be reused only once the request's body was read (RFC 9112 §9.3).
If it was not, Hypercorn under Quart-Trio leaves the connection half closed: the app's nursery
is cancelled while it closes, and the client's next request waits forever.
"""

from __future__ import annotations

from http import HTTPStatus
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

REST_TIMEOUT: Final = 2.0
"""Seconds that such a response waits for the rest of the request."""


def awaiting_requests(app: ASGIFramework) -> ASGIFramework:
    """Return an ASGI app whose responses wait, for a moment, until the request has arrived.

    The part of it that the app does not receive is dropped. After :data:`REST_TIMEOUT` the
    response is sent and its connection ends; a 408 does not wait.
    """

    async def awaiting(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        arrived = trio.Event()
        receiving = 0

        async def note_end() -> ASGIReceiveEvent:
            nonlocal receiving
            receiving += 1
            try:
                event = await receive()
            finally:
                receiving -= 1
            if event["type"] != "http.request" or not event.get("more_body", False):
                arrived.set()
            return event

        async def respond(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start" and not arrived.is_set():
                late = event["status"] == HTTPStatus.REQUEST_TIMEOUT
                with trio.move_on_after(0 if late else REST_TIMEOUT):
                    while not arrived.is_set():
                        # Quart continues to receive by itself.
                        await (arrived.wait() if receiving else note_end())
                if not arrived.is_set():
                    event["headers"] = [*event["headers"], (b"connection", b"close")]
            # Within the last of these calls the server ends the exchange and informs the app,
            # which cancels itself. The stream limits how long writing takes.
            with trio.CancelScope(shield=True):
                await send(event)

        await app(scope, note_end, respond)

    return awaiting
