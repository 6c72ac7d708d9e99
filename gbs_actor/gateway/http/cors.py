"""Which pages of other origins may read the answers (WHATWG Fetch, "CORS protocol").

The exact origin is allowed, never ``*``, since answers depend on cookies. The headers
stand on every answer, errors included: a browser hides a 401 without them.
"""

from __future__ import annotations

from typing import Final

from quart import Quart, Response, request

METHODS: Final = "GET, POST, PUT, DELETE"
REQUEST_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
EXPOSED_HEADERS: Final = "ETag, Retry-After"
PREFLIGHT_MAX_AGE: Final = 600
"""Seconds a browser may remember a preflight's answer."""


def allow_origins(app: Quart, origins: frozenset[str]) -> None:
    """Answer preflights, before authentication, and mark every answer of the app.

    :param origins: each like ``https://page.example``, in lower case.
    """

    @app.before_request
    async def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        response = Response(b"", status=204)
        if _origin(origins) is not None:
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE)
        return response

    @app.after_request
    async def mark(response: Response) -> Response:
        response.vary.add("Origin")
        origin = _origin(origins)
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        return response


def _origin(origins: frozenset[str]) -> str | None:
    origin = request.headers.get("Origin")
    return origin if origin is not None and origin.lower() in origins else None
