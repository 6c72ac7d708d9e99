"""Behind a reverse proxy: the app sees the client, and not the proxy."""

from __future__ import annotations

from typing import Any, Final, cast

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gbs_actor.socketio import TrustedProxies, join_fields

_ENCRYPTED: Final = {"http": "https", "websocket": "wss"}
_PLAIN: Final = {"http": "http", "websocket": "ws"}


def with_callers(app: ASGIFramework, proxies: TrustedProxies) -> ASGIFramework:
    """Return an ASGI application whose scopes tell address, scheme and host of the client.

    A forwarded address has no port; that is 0 then.
    """

    async def told(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan":
            scope = cast(Scope, _as_called(cast(dict[str, Any], scope), proxies))
        await app(scope, receive, send)

    return told


def _as_called(scope: dict[str, Any], proxies: TrustedProxies) -> dict[str, Any]:
    headers = join_fields(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in scope["headers"]
    )
    client = scope.get("client")
    peer = client[0] if client else None
    kind = scope["type"]
    secure = scope["scheme"] == _ENCRYPTED[kind]
    caller = proxies.resolve(peer, secure=secure, headers=headers)
    told = {**scope, "scheme": (_ENCRYPTED if caller.secure else _PLAIN)[kind]}
    if caller.address != peer:
        told["client"] = None if caller.address is None else (caller.address, 0)
    if caller.host is not None and caller.host != headers.get("host"):
        others = [field for field in scope["headers"] if field[0].lower() != b"host"]
        told["headers"] = [(b"host", caller.host.encode("latin-1")), *others]
    return told
