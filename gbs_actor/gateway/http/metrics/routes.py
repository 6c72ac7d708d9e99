"""The route, and who may read it."""

from __future__ import annotations

import hmac
from functools import partial

from quart import Blueprint, Request, Response, request

from gbs_actor.auth import find_token
from gbs_actor.gateway.http.admin import AdminIdentity
from gbs_actor.gateway.http.metrics.scrape import Scrapes
from gbs_actor.gateway.http.metrics.snapshot import take_snapshot
from gbs_actor.gateway.http.services import Services

METRICS_PATH = "/metrics"


def metrics(services: Services, identity: AdminIdentity) -> Blueprint:
    """Return the route.

    It wants ``metrics_token``, or an operator of the whole server. At an address of its own it is
    open to everybody who reaches that, unless there is such a token.
    """
    blueprint = Blueprint("metrics", __name__)
    scrapes, settings = Scrapes(partial(take_snapshot, services)), services.settings.admin
    token = settings.metrics_token
    open_to_all = settings.admin_listen is not None and token is None

    @blueprint.get(METRICS_PATH)
    async def show_metrics() -> Response:
        if not open_to_all and not (
            token is not None and _has_token(request, token.get_secret_value())
        ):
            identity.require_unrestricted(request)
        body, content_type = await scrapes.text(request.headers.get("Accept", ""))
        headers = {"Cache-Control": "no-store"}
        return Response(body, headers=headers, content_type=content_type)

    return blueprint


def _has_token(asked: Request, token: str) -> bool:
    found = find_token(None, {"Authorization": asked.headers.get("Authorization", "")}, {}, "")
    return found is not None and hmac.compare_digest(found[0].encode(), token.encode())
