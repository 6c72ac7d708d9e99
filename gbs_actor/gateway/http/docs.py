"""``/openapi.json`` and ``/docs``: the API described, and a page to browse and try it.

The page is Swagger UI, out of a package of the Python index: nothing comes from elsewhere
on the network, and its Content-Security-Policy lets nothing come.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Final

import msgspec
from quart import Blueprint, Response
from werkzeug.exceptions import NotFound

from gbs_actor.gateway.http.openapi import describe
from gbs_actor.gateway.http.responses import json_response

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI styles elements one by one
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_FOR_EVER: Final = "public, max-age=31536000, immutable"

_START: Final = b"""\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
});
"""


@dataclass(frozen=True, slots=True)
class _Asset:
    content_type: str
    body: bytes


def docs(cookie_name: str) -> Blueprint:
    """Return the description and its page; neither asks for a token.

    :param cookie_name: the cookie that may hold the token.
    """
    blueprint = Blueprint("docs", __name__)
    description = msgspec.json.encode(describe(cookie_name))

    @blueprint.get("/openapi.json")
    async def openapi() -> Response:
        response = json_response(description)
        response.headers["Cache-Control"] = "no-cache"
        return response

    @blueprint.get("/docs")
    async def page() -> Response:
        response = Response(_page(_version()), content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "no-cache"
        return response

    @blueprint.get("/docs/<edition>/<name>")
    async def asset(edition: str, name: str) -> Response:
        found = _assets().get(name) if edition == _version() else None
        if found is None:
            raise NotFound
        response = Response(found.body, content_type=found.content_type)
        response.headers["Cache-Control"] = _FOR_EVER  # another version has another address
        return response

    return blueprint


def _page(edition: str) -> str:
    return f"""<!doctype html>
<html lang="ko">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>GBS 라인업 API</title>
<link rel="icon" href="docs/{edition}/favicon.png">
<link rel="stylesheet" href="docs/{edition}/swagger-ui.css">
<div id="page"></div>
<script src="docs/{edition}/swagger-ui-bundle.js"></script>
<script src="docs/{edition}/start.js"></script>
"""


@cache
def _version() -> str:
    return version("flask-swagger-ui")


@cache
def _assets() -> dict[str, _Asset]:
    """Return the page's files by name, read once."""
    dist = files("flask_swagger_ui") / "dist"
    script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    return {
        "swagger-ui.css": _Asset(style, (dist / "swagger-ui.css").read_bytes()),
        "swagger-ui-bundle.js": _Asset(script, (dist / "swagger-ui-bundle.js").read_bytes()),
        "favicon.png": _Asset("image/png", (dist / "favicon-32x32.png").read_bytes()),
        "start.js": _Asset(script, _START),
    }
