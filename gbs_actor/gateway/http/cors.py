"""The app's responses to pages of other origins."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from quart import Quart, Response, request

from gbs_actor.gateway.http.admin.identity import is_admin_path
from gbs_actor.socketio import CorsPolicy, is_preflight
from gbs_actor.socketio.net.cors import Fields

NO_PAGES: Final = CorsPolicy.of((), ())
"""Allows no page of another origin."""


def cors_policy(origins: Collection[str]) -> CorsPolicy:
    """Return the policy for pages of these origins."""
    return CorsPolicy.of(
        origins,
        methods=("GET", "POST", "PUT", "DELETE"),
        request_headers=(
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
        ),
        exposed_headers=("ETag", "Retry-After"),
    )


def allow_origins(app: Quart, policy: CorsPolicy) -> None:
    """Respond to preflights, before authentication, and add CORS fields to every response.

    ``/admin`` is for the server's own pages only.
    """

    def policy_here() -> CorsPolicy:
        return NO_PAGES if is_admin_path(request.path) else policy

    @app.before_request
    async def preflight() -> Response | None:
        if not is_preflight(request.method, request.headers.get("Access-Control-Request-Method")):
            return None
        response = Response(b"", status=204)
        del response.headers["Content-Type"]
        _add(response, policy_here().preflight_fields(request.headers.getlist("Origin")))
        return response

    @app.after_request
    async def mark(response: Response) -> Response:
        _add(response, policy_here().response_fields(request.headers.getlist("Origin")))
        return response


def _add(response: Response, fields: Fields) -> None:
    for name, value in fields:
        if name == "Vary":
            response.vary.add(value)
        else:
            response.headers[name] = value
