"""Requests whose client has ended its side of the connection, and still reads.

That is no abort (RFC 9112 §9.6): a TCP client may send its request and then a FIN. ASGI reports it
like the end of the whole connection, at which a framework cancels the request: its command would
be lost, or its query be cancelled together with a database connection.
"""

from __future__ import annotations

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

_EVENT_STREAM = b"text/event-stream"


def answering_half_closed(app: ASGIFramework) -> ASGIFramework:
    """Return an ASGI app that responds to every request that has arrived in full.

    It is told of a disconnect only before that, after its response, or once it responds with a
    stream of events, which has no other end. If the client is gone altogether, sending fails.
    """

    async def answering(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        arrived = False
        may_disconnect = trio.Event()

        async def receive_or_wait() -> ASGIReceiveEvent:
            nonlocal arrived
            event = await receive()
            if event["type"] == "http.request":
                arrived = not event.get("more_body", False)
            elif event["type"] == "http.disconnect" and arrived:
                await may_disconnect.wait()
            return event

        async def respond(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start" and any(
                name.lower() == b"content-type" and value.startswith(_EVENT_STREAM)
                for name, value in event["headers"]
            ):
                may_disconnect.set()
            try:
                await send(event)
            finally:
                if event["type"] == "http.response.body" and not event.get("more_body", False):
                    may_disconnect.set()

        if scope["type"] == "http":
            await app(scope, receive_or_wait, respond)
        else:
            await app(scope, receive, send)

    return answering
