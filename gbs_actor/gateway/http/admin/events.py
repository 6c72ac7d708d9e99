"""``/admin/events``: what operators are notified of, page by page or as a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from weakref import WeakSet

from quart import Blueprint, Request, Response, request

from gbs_actor.gateway.http.admin.event_query import EventQuery
from gbs_actor.gateway.http.admin.event_stream import EventStream
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity, Operator
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents

STREAM: Final = "text/event-stream"

_TOO_MANY: Final = Failure.because(
    Code.RATE_LIMITED, "As many streams of events are open as there may be; ask for pages."
)


def admin_events(
    events: OperatorEvents,
    identity: AdminIdentity,
    event_streams: int,
    draining: Callable[[], bool],
) -> Blueprint:
    """Return the routes of the events; a token restricted to retreats opens none.

    :param event_streams: how many streams may be open at the same time.
    :param draining: whether the server is shutting down, so that streams end.
    """
    blueprint = Blueprint("admin_events", __name__, url_prefix=f"{ADMIN_PATH}/events")
    streams: WeakSet[EventStream] = WeakSet()

    @blueprint.get("")
    async def some_events() -> Response:
        operator = identity.require_unrestricted(request)
        if asks_for_stream(request):
            return stream(operator)
        query = EventQuery.of(request.args)
        return fresh_response(
            events.after(query.after_in(events.run_id), query.wanted, query.limit)
        )

    def stream(operator: Operator) -> Response:
        if len(streams) >= event_streams:
            return failure_response(_TOO_MANY)
        body = EventStream(
            events,
            EventQuery.of(request.args, request.headers),
            seconds_left=lambda: identity.seconds_left(operator),
            draining=draining,
        )
        streams.add(body)
        response = Response(body, content_type=STREAM)
        response.timeout = None
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx would hold it back
        return response

    return blueprint


def asks_for_stream(request: Request) -> bool:
    """Return whether a request for events asks for them as they happen."""
    accepted = request.accept_mimetypes.best_match(["application/json", STREAM])
    return accepted == STREAM and request.method == "GET"
