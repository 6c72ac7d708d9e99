"""``/healthz`` and ``/readyz``: does the process respond, and should it receive clients."""

from __future__ import annotations

from collections.abc import Callable

from quart import Blueprint, Response

from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code


def probes(store_failure: Callable[[], str | None], draining: Callable[[], bool]) -> Blueprint:
    """Return the two probes; neither needs a token nor asks the store.

    :param store_failure: returns in one sentence why no change could be stored, or none of other
        servers is seen, if so.
    :param draining: whether the server is about to stop.
    """
    blueprint = Blueprint("probes", __name__)

    @blueprint.get("/healthz")
    async def healthz() -> Response:
        return json_response(b'{"status":"ok"}')

    @blueprint.get("/readyz")
    async def readyz() -> Response:
        if draining():
            return not_ready(Code.ROOM_UNAVAILABLE, "The server is shutting down.")
        if (reason := store_failure()) is not None:
            return not_ready(Code.STORE_UNAVAILABLE, reason)
        return json_response(b'{"status":"ready"}')

    def not_ready(code: Code, message: str) -> Response:
        failure = Failure.because(code, message)
        return failure_response(failure)

    return blueprint
