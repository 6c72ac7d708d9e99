"""``/admin/``: the dashboard, a page over the other operations; and its static files.

The page and its files need no token. It begins a session with one, see :mod:`.session`.
"""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from gbs_actor.gateway.http.admin.identity import ADMIN_PATH
from gbs_actor.web import Asset, Assets, page_of

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",  # the page sends no form: it asks for what it shows
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # nothing is ever parsed as HTML
        "trusted-types 'none'",
    )
)
"""The page's Content-Security-Policy (CSP Level 3, Trusted Types)."""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def admin_dashboard() -> Blueprint:
    """Return the page and its static files, read once."""
    blueprint = Blueprint("admin_dashboard", __name__, url_prefix=ADMIN_PATH)
    assets = Assets("vendor", "shared", "admin")
    page = page_of(assets, "admin")

    @blueprint.get("/")
    async def show() -> Response:
        response = _conditional(page)
        response.headers.update(_PAGE_HEADERS)
        return response

    @blueprint.get("")
    async def add_slash() -> Response:
        return Response(b"", status=308, headers={"Location": f"{ADMIN_PATH}/"})

    @blueprint.get("/assets/<hash_>/<path:path>")
    async def asset(hash_: str, path: str) -> Response:
        found = assets.get(hash_, path)
        if found is None:
            raise NotFound
        response = _conditional(found)
        response.headers["Cache-Control"] = _FOR_EVER
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    return blueprint


def _conditional(asset: Asset) -> Response:
    """Return a file, or a 304 if the browser has it (RFC 9110 §13.1.2)."""
    gzipped = asset.gzipped if request.accept_encodings.quality("gzip") else None
    # The two representations differ in their bytes, so in their strong validators, too.
    etag = asset.etag if gzipped is None else f"{asset.etag}-gzip"
    if request.if_none_match.contains_weak(etag):
        response = Response(b"", status=304)
        del response.headers["Content-Type"]
    elif gzipped is None:
        response = Response(asset.body, content_type=asset.content_type)
    else:
        response = Response(gzipped, content_type=asset.content_type)
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(etag)
    response.headers["Vary"] = "Accept-Encoding"
    return response
