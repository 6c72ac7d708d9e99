"""The page at ``/``, for whoever opens the server's address in a browser."""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response

from gbs_actor import __version__

_PAGE: Final = f"""<!doctype html>
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
<tr><td>운영자<td><code>GET /admin/rooms</code>, <code>GET /admin/rooms/&lt;수양회&gt;</code>
</table>
<p>라인업과 운영자 주소에는 토큰이 필요합니다:
<code>Authorization: Bearer …</code> 또는 로그인 쿠키.</p>
<p><small>gbs_actor {__version__}</small></p>
"""


def index() -> Blueprint:
    """Return the page: what is here, in the language of the staff."""
    blueprint = Blueprint("index", __name__)

    @blueprint.get("/")
    async def page() -> Response:
        response = Response(_PAGE, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        return response

    return blueprint
