"""``/admin/``: the dashboard, a page over the other operations; and its static files.

The page and its files need no token. It begins a session with one, see :mod:`.session`.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from quart import Blueprint, Response

from gbs_actor.gateway.http.admin.identity import ADMIN_PATH
from gbs_actor.gateway.http.shell import content_policy, serve_assets, shell_response
from gbs_actor.web import Assets, page_of

POLICY: Final = content_policy()
"""The page's Content-Security-Policy."""


def admin_dashboard() -> Blueprint:
    """Return the page and its static files."""
    blueprint = Blueprint("admin_dashboard", __name__, url_prefix=ADMIN_PATH)
    assets = _assets()
    page = page_of(assets, "admin")

    @blueprint.get("/")
    async def show() -> Response:
        return shell_response(page, POLICY)

    @blueprint.get("")
    async def add_slash() -> Response:
        return Response(b"", status=308, headers={"Location": f"{ADMIN_PATH}/"})

    serve_assets(blueprint, assets)
    return blueprint


@cache
def _assets() -> Assets:
    """Return the page's files, read once."""
    return Assets("vendor", "shared", "admin")
