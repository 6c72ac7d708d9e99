"""Pages of the server's own: how the shell, which is the HTML, and the static files are sent.

Both are compressed once and have strong validators. The files are kept for ever, since another
content has another path; the shell is asked for each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from gbs_actor.web import Asset, Assets

FOR_EVER: Final = "public, max-age=31536000, immutable"


def content_policy(connect: Iterable[str] = ()) -> str:
    """Return a page's Content-Security-Policy (CSP Level 3, Trusted Types).

    It allows the server's own files and nothing else: no inline script or style.

    :param connect: sources to which the page may connect, besides its own origin.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(("connect-src 'self'", *connect)),
            "base-uri 'none'",
            "form-action 'none'",  # the page sends no form: it asks for what it shows
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",  # nothing is ever parsed as HTML
            "trusted-types 'none'",
        )
    )


def shell_response(page: Asset, policy: str, *, referrer_policy: str = "no-referrer") -> Response:
    """Return the HTML of a page, or a 304.

    :param policy: see :func:`content_policy`.
    """
    response = _conditional(page)
    response.headers.update(
        {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-cache",
            "Referrer-Policy": referrer_policy,
            "Cross-Origin-Opener-Policy": "same-origin",
        }
    )
    return response


def serve_assets(blueprint: Blueprint, assets: Assets) -> None:
    """Add the route of a page's static files, ``assets/{hash}/…``."""

    @blueprint.get("/assets/<hash_>/<path:path>")
    async def asset(hash_: str, path: str) -> Response:
        found = assets.get(hash_, path)
        if found is None:
            raise NotFound
        response = _conditional(found)
        response.headers["Cache-Control"] = FOR_EVER
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


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
