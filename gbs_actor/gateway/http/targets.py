"""Request targets that are no URL (RFC 9112 §3.2): the framework would stumble on them."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from gbs_actor.gateway.replies import Failure, http_error
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import CorsPolicy, HttpResponse, origins_of, respond_over_asgi

_BODY: Final = http_error(Failure.because(Code.VALIDATION_FAILED, "The request target is no URL."))


def refusing_bad_targets(app: ASGIFramework, policy: CorsPolicy) -> ASGIFramework:
    """Return an ASGI app that answers requests for no address at all itself, with a 400.

    :param policy: which pages may read that answer.
    """

    async def refusing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or _is_target(scope["path"]):
            await app(scope, receive, send)
            return
        fields = policy.response_fields(origins_of(scope["headers"]))
        await respond_over_asgi(cast(Any, send), HttpResponse(400, _BODY, headers=tuple(fields)))

    return refusing


def _is_target(path: str) -> bool:
    try:
        urlsplit(path)
    except ValueError:
        return False
    return path != ""
