"""The operations for a page around the list: the retreats, and what it reports of itself."""

from __future__ import annotations

from typing import Any, Final

from gbs_actor.gateway.http.client_metrics import CLIENT_METRICS_PATH
from gbs_actor.gateway.http.openapi.parameters import parameters
from gbs_actor.gateway.http.openapi.responses import errors, json, success
from gbs_actor.gateway.http.openapi.schemas import reference
from gbs_actor.gateway.http.retreats import RETREAT_PATH, RETREATS_PATH

Described = dict[str, Any]

_LIST: Final[Described] = {
    "operationId": "readRetreats",
    "tags": ["line-up"],
    "summary": "List the retreats whose line-up the user may read.",
    "responses": {
        "200": success("RetreatList", "The retreats, the newest first, and who asks."),
        **errors(401, 403, 429, 500, 503),
    },
}

_DETAILS: Final[Described] = {
    "operationId": "readRetreat",
    "tags": ["line-up"],
    "summary": "Show a retreat: its schedules, and what the user may do in it.",
    "parameters": parameters("slug"),
    "responses": {
        "200": success("RetreatDetails", "The retreat."),
        **errors(400, 401, 403, 404, 429, 500, 503),
    },
}

_REPORT: Final[Described] = {
    "operationId": "reportClientMetrics",
    "tags": ["line-up"],
    "summary": "Report what a page has measured of itself since its last report.",
    "description": "It is added to `/metrics`. `navigator.sendBeacon` may send it: as text/plain, "
    "with the cookie. A user may send 60 at once, then one every 2 s. `reconnects` are among the "
    "`successes`, and each `sum` is one that the `counts` allow.",
    "requestBody": {"required": True, "content": json(reference("ClientMetrics"))},
    "responses": {
        "204": {"description": "It was added."},
        **errors(400, 401, 403, 408, 413, 415, 429, 500),
    },
}


def paths() -> dict[str, Described]:
    """Return the paths of retreats and of pages' reports."""
    return {
        RETREATS_PATH: {"get": _LIST},
        RETREAT_PATH: {"get": _DETAILS},
        CLIENT_METRICS_PATH: {"post": _REPORT},
    }
