"""``/admin/rooms``: the statistics of the room actors."""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request

from gbs_actor.gateway.http.admin.audit import Audit
from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.responses import encoded_response, fresh_response
from gbs_actor.gateway.http.admin.room_query import RoomQuery
from gbs_actor.gateway.http.admin.shared import SharedJson
from gbs_actor.gateway.http.responses import failure_response
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomPage

_NOT_OPEN: Final = Failure.because(Code.NOT_FOUND, "No room of this retreat is open.")


def admin_rooms(services: Services, identity: AdminIdentity, audit: Audit) -> Blueprint:
    """Return the routes below ``/admin/rooms``.

    An operator sees the rooms of those retreats in which they are one. Those who see the same
    rooms share a page that is at most a second old.
    """
    rooms, pages = services.rooms, SharedJson(services.environment.thread_time)
    blueprint = Blueprint("admin_rooms", __name__, url_prefix=f"{ADMIN_PATH}/rooms")

    @blueprint.get("")
    async def some_rooms() -> Response:
        operator = identity.require(request)
        query = RoomQuery.of(request.args)
        slugs = rooms.matching(query.state, query.search)
        shown = await identity.shown_to(operator, slugs)

        async def page() -> RoomPage:
            return await rooms.page(
                [slug for slug in slugs if slug in shown],
                query.sort,
                descending=query.descending,
                offset=query.offset,
                limit=query.limit,
                counters=operator.unrestricted,
            )

        key = query, shown, operator.unrestricted
        return encoded_response(await pages.encoded(key, page))

    @blueprint.get("/<slug>")
    async def room(slug: str) -> Response:
        operator = await identity.require_in(request, slug)
        statistics = rooms.room_statistics(slug)
        if statistics is None:
            return failure_response(_NOT_OPEN)
        audit.look(operator, request, "room", slug)
        return fresh_response(statistics)

    return blueprint
