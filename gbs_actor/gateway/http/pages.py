"""Pages for people: ``/`` if there is no line-up page, and ``/docs`` with the ``/openapi.json``.

``/docs`` is Swagger UI, from a package of the Python index. It loads nothing from other hosts,
and its Content-Security-Policy forbids that.
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

from gbs_actor import __version__
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


_INDEX: Final = f"""<!doctype html>
<html lang="ko">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>GBS 라인업 서버</title>
<style>
  body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto;
         padding: 0 1rem; }}
  code {{ background: #eee; padding: .1em .3em; border-radius: .2em; }}
  td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; }}
  @media (prefers-color-scheme: dark) {{
    body {{ background: #181818; color: #ddd; }} code {{ background: #333; }}
  }}
</style>
<h1>GBS 라인업 서버</h1>
<p>수양회 GBS 라인업을 여러 명이 동시에 편집하는 실시간 서버입니다. 편집 화면은 관리자
페이지에 있고, 이 주소는 그 페이지가 접속하는 서버입니다.</p>
<table>
<tr><td>Socket.IO (WebSocket)<td>네임스페이스 <code>/gbs-lineup</code>
<tr><td>WebSocket (JSON)<td><code>/ws/retreats/&lt;수양회&gt;</code>
<tr><td>라인업 읽기<td><code>GET /api/v1/retreat/&lt;수양회&gt;/line-up/user-lineups</code>
<tr><td>HTTP API 문서<td><a href="docs">/docs</a>, <a href="openapi.json">/openapi.json</a>
<tr><td>상태 확인<td><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>
{{admin}}</table>
<p>라인업과 운영자 주소에는 토큰이 필요합니다: <code>Authorization: Bearer …</code>.
라인업은 로그인 쿠키도 받습니다.</p>
<p><small>gbs_actor {__version__}</small></p>
"""

_ADMIN_ROW: Final = """\
<tr><td>운영자<td><a href="admin/">/admin/</a>
"""


@dataclass(frozen=True, slots=True)
class _Asset:
    content_type: str
    body: bytes


def index(*, has_admin: bool = True) -> Blueprint:
    """Return the page that lists the server's paths, in Korean.

    :param has_admin: whether ``/admin`` is one of them.
    """
    text = _INDEX.replace("{admin}", _ADMIN_ROW if has_admin else "")
    blueprint = Blueprint("index", __name__)

    @blueprint.get("/")
    async def page() -> Response:
        response = Response(text, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        return response

    return blueprint


def docs(cookie_name: str, *, has_admin: bool = True) -> Blueprint:
    """Return the description and its page; neither needs a token.

    :param cookie_name: the cookie that may hold the token.
    :param has_admin: whether ``/admin`` is served beside it.
    """
    blueprint = Blueprint("docs", __name__)
    description = _description(cookie_name, has_admin=has_admin)

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
        response.headers["Cache-Control"] = _FOR_EVER  # another version has another path
        return response

    return blueprint


@cache
def _description(cookie_name: str, *, has_admin: bool) -> bytes:
    """Return the description as JSON; the process's servers mostly have the same."""
    return msgspec.json.encode(describe(cookie_name, has_admin=has_admin))


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
