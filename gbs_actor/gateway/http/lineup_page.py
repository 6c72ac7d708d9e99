"""``/`` and ``/retreats/{slug}``: the line-up page, and its static files.

Both have the same HTML, with or without a token, for any slug: the page itself asks the API what
its user may see. What it has to know of the server before that is in the HTML, see
:class:`PageOptions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import msgspec
from quart import Blueprint, Request, Response, request

from gbs_actor.demo import DEMO_PEOPLE
from gbs_actor.gateway.http.shell import content_policy, serve_assets, shell_response
from gbs_actor.settings import Settings
from gbs_actor.socketio import own_origin
from gbs_actor.web import Assets, page_of

_FOLDER: Final = "lineup"


class PageOptions(msgspec.Struct, frozen=True, rename="camel"):
    """What the page reads of ``<meta name="options">``, as JSON."""

    cookie_name: str
    """Of the cookie that authenticates its user."""
    sign_in_url: str | None
    """Where users sign in; null: it is not known."""
    demo_people: tuple[str, ...]
    """Names of those as whom ``POST /demo/session`` lets somebody in; none outside the demo."""


def lineup_page(settings: Settings, *, demo_sign_in: bool) -> Blueprint:
    """Return the page and its static files.

    :param demo_sign_in: whether there is :func:`~gbs_actor.gateway.http.demo_session.demo_session`.
    """
    blueprint = Blueprint("lineup_page", __name__)
    assets = _assets()
    options = msgspec.json.encode(
        PageOptions(
            settings.auth.cookie_name,
            settings.page.sign_in_url,
            tuple(person.name for person in DEMO_PEOPLE) if demo_sign_in else (),
        )
    ).decode()
    index = page_of(assets, _FOLDER, options=options)
    retreat = page_of(assets, _FOLDER, below="../assets", options=options)

    @blueprint.get("/")
    async def show_index() -> Response:
        return shell_response(index, _policy(request), referrer_policy=_REFERRER)

    @blueprint.get("/retreats/<slug>")
    async def show_retreat(slug: str) -> Response:
        return shell_response(retreat, _policy(request), referrer_policy=_REFERRER)

    serve_assets(blueprint, assets)
    return blueprint


_REFERRER: Final = "same-origin"
"""With ``no-referrer`` the ``Origin`` of a beacon is ``null`` (Fetch §3.2)."""


def _policy(asked: Request) -> str:
    return content_policy(_own_websocket(asked))


def _own_websocket(asked: Request) -> Iterator[str]:
    """Yield the source of WebSockets to the page's own host.

    Safari before 15.4 does not count them as ``'self'``. A source cannot be an IPv6 address.
    """
    own = own_origin(asked.headers.get("Host"), secure=asked.scheme == "https")
    if own is not None and "[" not in own:
        yield f"ws{own.removeprefix('http')}"


@cache
def _assets() -> Assets:
    """Return the page's files, read once."""
    return Assets("vendor", "shared", "client", _FOLDER)
