"""HTTP and lifespan over ASGI: scopes to requests, responses to messages.

The types are loose, as every framework has its own for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

from gbs_actor.socketio.net.http_response import HttpResponse
from gbs_actor.socketio.net.request import Request

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Running = Callable[[], AbstractAsyncContextManager[object]]
"""What has to run while an ASGI server serves."""

_NOT_FOUND: Final = HttpResponse(404, b'{"code":"NOT_FOUND","message":"Not found."}')
_POLICY_VIOLATION: Final = 1008  # WebSocket close code (RFC 6455 §7.4.1)


def request_of(scope: Scope) -> Request:
    """Return the request that a scope describes, HTTP or WebSocket."""
    query = scope["query_string"].decode("latin-1")
    path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
    return Request(
        method=scope.get("method", "GET"),
        target=f"{path}?{query}" if query else path,
        version=scope.get("http_version", "1.1"),
        fields=tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in scope["headers"]
        ),
    )


def peer_of(scope: Scope) -> str | None:
    """Return the IP address of the connection's other end; ``None`` if it has none."""
    client = scope.get("client")
    return None if client is None else client[0]


async def respond_over_asgi(
    send: Send, response: HttpResponse, prefix: str = "http.response"
) -> None:
    """Send a whole response.

    :param prefix: of the messages' types; another one responds to a WebSocket handshake.
    """
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    if response.status != 204:
        headers.append((b"content-type", response.content_type.encode()))
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": f"{prefix}.start", "status": response.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": response.body})


async def refuse(scope: Scope, receive: Receive, send: Send, response: HttpResponse) -> None:
    """Respond to a request, or to a WebSocket handshake that was not received yet."""
    if scope["type"] == "http":
        await respond_over_asgi(send, response)
        return
    await receive()  # websocket.connect
    await refuse_handshake(scope, send, response)


async def refuse_handshake(scope: Scope, send: Send, response: HttpResponse) -> None:
    """Respond to a WebSocket handshake; a server without that extension responds with 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        if scope.get("http_version", "1.1") == "1.1":  # whose connection ends then
            response = replace(response, headers=(*response.headers, ("Connection", "close")))
        await respond_over_asgi(send, response, "websocket.http.response")
    else:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with 404 to every request; the lifespan does nothing."""
    if scope["type"] in {"http", "websocket"}:
        await refuse(scope, receive, send, _NOT_FOUND)
    elif scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return
    else:
        raise NotImplementedError(scope["type"])


def with_lifespan(app: App, running: Running, explain: Callable[[BaseException], str] = str) -> App:
    """Return an app that handles ASGI's lifespan, and passes everything else to ``app``.

    :param running: entered before the first request, left after the last one; if
        entering it raises, the ASGI server receives the reason and does not start.
    :param explain: returns the reason as a sentence.
    """

    async def with_running(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _run_lifespan(running, explain, receive, send)
        else:
            await app(scope, receive, send)

    return with_running


async def _run_lifespan(
    running: Running, explain: Callable[[BaseException], str], receive: Receive, send: Send
) -> None:
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
