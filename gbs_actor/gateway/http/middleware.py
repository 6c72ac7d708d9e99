"""ASGI middleware around the app: proxies' fields, and bad request targets."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gbs_actor.gateway.replies import Failure, http_error
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import (
    CorsPolicy,
    HttpResponse,
    TrustedProxies,
    join_fields,
    origins_of,
    respond_over_asgi,
)

_ENCRYPTED: Final = {"http": "https", "websocket": "wss"}
_PLAIN: Final = {"http": "http", "websocket": "ws"}
_BAD_TARGET: Final = http_error(
    Failure.because(Code.VALIDATION_FAILED, "The request target is no URL.")
)


def with_remote_endpoint(app: ASGIFramework, proxies: TrustedProxies) -> ASGIFramework:
    """Return an ASGI app whose scopes have address, scheme and host of the client.

    Behind a trusted proxy these are the client's, not the proxy's. A forwarded address has no
    port; it is 0 then.
    """

    async def called(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan":
            scope = cast(Scope, _with_remote_endpoint(cast(dict[str, Any], scope), proxies))
        await app(scope, receive, send)

    return called


def _with_remote_endpoint(scope: dict[str, Any], proxies: TrustedProxies) -> dict[str, Any]:
    headers = join_fields(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in scope["headers"]
    )
    client = scope.get("client")
    peer = client[0] if client else None
    kind = scope["type"]
    secure = scope["scheme"] == _ENCRYPTED[kind]
    caller = proxies.resolve(peer, secure=secure, headers=headers)
    called = {**scope, "scheme": (_ENCRYPTED if caller.secure else _PLAIN)[kind]}
    if caller.address != peer:
        called["client"] = None if caller.address is None else (caller.address, 0)
    if caller.host is not None and caller.host != headers.get("host"):
        others = [field for field in scope["headers"] if field[0].lower() != b"host"]
        called["headers"] = [(b"host", caller.host.encode("latin-1")), *others]
    return called


def refusing_bad_targets(app: ASGIFramework, policy: CorsPolicy) -> ASGIFramework:
    """Return an ASGI app that responds with 400 to a request whose target is no URL.

    The framework would raise for such targets (RFC 9112 §3.2).

    :param policy: which pages may read that response.
    """

    async def refusing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or _is_target(scope["path"]):
            await app(scope, receive, send)
            return
        fields = tuple(policy.response_fields(origins_of(scope["headers"])))
        await respond_over_asgi(cast(Any, send), HttpResponse(400, _BAD_TARGET, headers=fields))

    return refusing


def _is_target(path: str) -> bool:
    try:
        urlsplit(path)
    except ValueError:
        return False
    return path != ""
