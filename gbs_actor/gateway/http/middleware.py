"""ASGI middleware around the app: proxies' fields, and requests that the framework cannot take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, cast
from urllib.parse import urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gbs_actor.gateway.replies import Failure, http_error
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import (
    BadForwardedField,
    CorsPolicy,
    HttpResponse,
    TrustedProxies,
    join_fields,
    origins_of,
    parse_host,
)
from gbs_actor.socketio.net.asgi import refuse

_ENCRYPTED: Final = {"http": "https", "websocket": "wss"}
_PLAIN: Final = {"http": "http", "websocket": "ws"}
_BAD_REQUEST: Final = HttpResponse(
    400,
    http_error(
        Failure.because(Code.VALIDATION_FAILED, "Host, target or a forwarded field is malformed.")
    ),
)
_NO_WEBSOCKET: Final = HttpResponse(
    404,
    http_error(Failure.because(Code.NOT_FOUND, "There is no WebSocket at this address.")),
)
_NO_PAGES: Final = CorsPolicy.of((), ())


def with_remote_endpoint(
    app: ASGIFramework, proxies: TrustedProxies, policy: CorsPolicy = _NO_PAGES
) -> ASGIFramework:
    """Return an ASGI app whose scopes have address, scheme and host of the client.

    Behind a trusted proxy these are the client's, not the proxy's. A forwarded address has no
    port; it is 0 then. A request whose host or forwarded fields are malformed gets a 400. The
    ``X-Request-ID`` of a peer that is no trusted proxy is removed.

    :param policy: which pages may read that response.
    """

    async def called(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan":
            try:
                scope = cast(Scope, _with_remote_endpoint(cast(dict[str, Any], scope), proxies))
            except BadForwardedField:
                await refuse(scope, receive, send, _for_pages(_BAD_REQUEST, scope, policy))
                return
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
        host = (b"host", caller.host.encode("latin-1"))
        called["headers"] = [host, *_without(b"host", called["headers"])]
    if "x-request-id" in headers and not proxies.trusts(peer):
        called["headers"] = _without(b"x-request-id", called["headers"])
    return called


def _without(name: bytes, fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [field for field in fields if field[0].lower() != name]


def refusing_bad_requests(app: ASGIFramework, policy: CorsPolicy) -> ASGIFramework:
    """Return an ASGI app that refuses what the framework would raise for.

    That is a target that is no URL (RFC 9112 §3.2), and a host that is none; HTTP/1.1 has
    checked it already. A WebSocket gets a 404: the app has none.

    :param policy: which pages may read that response.
    """

    async def refusing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "websocket":
            await refuse(scope, receive, send, _for_pages(_NO_WEBSOCKET, scope, policy))
        elif scope["type"] != "http" or (_is_target(scope["path"]) and _has_host(scope)):
            await app(scope, receive, send)
        else:
            await refuse(scope, receive, send, _for_pages(_BAD_REQUEST, scope, policy))

    return refusing


def _for_pages(response: HttpResponse, scope: Any, policy: CorsPolicy) -> HttpResponse:
    return replace(response, headers=tuple(policy.response_fields(origins_of(scope["headers"]))))


def _is_target(path: str) -> bool:
    try:
        urlsplit(path)
    except ValueError:
        return False
    return path != ""


def _has_host(scope: Any) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return all(parse_host(host) is not None for host in hosts)
