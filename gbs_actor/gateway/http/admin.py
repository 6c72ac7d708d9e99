"""``/admin/rooms``: the statistics of the actors, for operators."""

from __future__ import annotations

from dataclasses import replace

from quart import Blueprint, Response, request

from gbs_actor.gateway.http.admin_identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.http.statistics import statistics_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomSupervisor


def admin(rooms: RoomSupervisor, identity: AdminIdentity) -> Blueprint:
    """Return the operators' routes: they read ``statistics()`` and change nothing.

    An operator sees the rooms of those retreats in which they are one.
    """
    blueprint = Blueprint("admin", __name__, url_prefix=ADMIN_PATH)

    @blueprint.get("/rooms")
    async def all_rooms() -> Response:
        operator = identity.require(request)
        statistics = rooms.statistics()
        shown = await identity.shown_to(operator, [room.slug for room in statistics.rooms])
        rooms_shown = tuple(room for room in statistics.rooms if room.slug in shown)
        return statistics_response(replace(statistics, rooms=rooms_shown))

    @blueprint.get("/rooms/<slug>")
    async def room(slug: str) -> Response:
        await identity.require_in(request, slug)
        statistics = rooms.room_statistics(slug)
        if statistics is None:
            failure = Failure.because(Code.NOT_FOUND, "No room of this retreat is open.")
            return failure_response(failure)
        return statistics_response(statistics)

    return blueprint
