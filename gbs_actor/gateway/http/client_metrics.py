"""``POST /api/v1/client-metrics``: what a page has measured of itself.

A page sends it by ``navigator.sendBeacon`` when it is closed, which sets no header: the cookie
authenticates it then, and its type is ``text/plain`` (no preflight, Fetch §2.2.2). It changes
nothing but figures, and the ``Origin`` is checked all the same.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import trio
from quart import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from gbs_actor.contract.client_metrics import MAX_REPORT, decode_report
from gbs_actor.gateway.client_metrics import ClientMetricsTotals
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code

CLIENT_METRICS_PATH: Final = "/api/v1/client-metrics"
REPORT_RATE: Final = 0.5
"""Reports per second of one user in the long run: a page sends one in a minute or so."""
REPORT_BURST: Final = 60
"""Reports of one user at once: many tabs that are closed together."""
_TYPES: Final = frozenset({"application/json", "text/plain"})


def client_metrics(totals: ClientMetricsTotals, identity: Identity) -> Blueprint:
    """Return the route; it is for every user with a valid token."""
    blueprint = Blueprint("client_metrics", __name__)
    rates = UserRateLimit(REPORT_RATE, REPORT_BURST)

    @blueprint.post(CLIENT_METRICS_PATH)
    async def report() -> Response:
        user = identity.authenticate(request)
        identity.check_origin(request, user)
        now = trio.current_time()
        if not rates.take(user.user_id, now):
            failure = Failure.because(Code.RATE_LIMITED, "Too many reports; send fewer.")
            return failure_response(failure, retry_after=ceil(rates.wait(user.user_id, now)))
        if request.mimetype not in _TYPES:
            raise UnsupportedMediaType
        raw: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        if len(raw) > MAX_REPORT:
            raise RequestEntityTooLarge
        totals.add(decode_report(raw))
        response = Response(b"", status=204)
        del response.headers["Content-Type"]
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint
