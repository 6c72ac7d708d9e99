"""The whole description (OpenAPI Specification 3.1)."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor import __version__
from gbs_actor.gateway.http.admin.identity import SESSION_COOKIE
from gbs_actor.gateway.http.openapi import parameters, responses
from gbs_actor.gateway.http.openapi.paths import paths
from gbs_actor.gateway.http.openapi.schemas import schemas

_ABOUT = """\
The line-up of a retreat over plain HTTP: reads, and writes that go through the same room as
those of the live page, in the same order.

Every error is JSON, `{code, message, …}`; so are those of requests that match no operation: 404
for an unknown path, and 405, which lists the right methods in `Allow`. Pages of the allowed
origins may read every response but those to operators (CORS), and send the cookie.

The response to a write is sent once the write is durable. With an `Idempotency-Key` a client may
send it again after any failure. With `If-Match` it is refused if the field has changed since;
without, the later write wins.
"""

_OPERATORS: Final = {
    "name": "operators",
    "description": "For operators: role ADMIN_MINISTER, or the operator token. Pages of other "
    "origins may neither read nor send anything here, and the cookie of the line-up counts for "
    "nothing. A token that is restricted to retreats shows their rooms only.",
}


def describe(cookie_name: str, *, has_admin: bool = True) -> dict[str, Any]:
    """Return the description of the API as JSON values.

    :param cookie_name: the cookie that may hold the token.
    :param has_admin: whether ``/admin`` is served beside it.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GBS line-up",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"bearer": []}, {"cookie": []}],
        "tags": [
            {"name": "line-up", "description": "For staff whose role may read or edit it."},
            *([_OPERATORS] if has_admin else []),
            {"name": "probes", "description": "For load balancers; without a token."},
        ],
        "paths": paths(has_admin=has_admin),
        "components": {
            "schemas": schemas(),
            "parameters": parameters.components(),
            "responses": responses.components(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token with the claims userId (or sub) and role. For "
                    "operators also the operator token of the settings.",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie_name,
                    "description": "The same token. Writes are accepted only from this server's "
                    "own pages and those of the allowed origins.",
                },
                "adminSession": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION_COOKIE,
                    "description": "A session that `POST /admin/session` has begun, for operators "
                    "only. `POST` and `DELETE` need `X-CSRF-Token`, too, and `Origin`.",
                },
            },
        },
    }
