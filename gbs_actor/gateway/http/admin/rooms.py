"""``/admin/rooms``: the statistics of the room actors."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace
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
    rooms share a page that is at most a second old. Rooms of other servers are in it as those have
    reported them some seconds ago, unless ``node`` names one.
    """
    rooms, nodes = services.rooms, services.nodes
    pages = SharedJson(services.environment.thread_time)
    blueprint = Blueprint("admin_rooms", __name__, url_prefix=f"{ADMIN_PATH}/rooms")

    @blueprint.get("")
    async def some_rooms() -> Response:
        operator = identity.require(request)
        query = RoomQuery.of(request.args)
        slugs = rooms.matching(query.state, query.search)
        of_all = not operator.forwarded and "node" not in request.args
        elsewhere = list(filter(query.matches, await nodes.rooms_elsewhere())) if of_all else []
        shown = await identity.shown_to(operator, {*slugs, *(each.slug for each in elsewhere)})

        async def page() -> RoomPage:
            return await rooms.page(
                [slug for slug in slugs if slug in shown],
                query.sort,
                descending=query.descending,
                offset=query.offset,
                limit=query.limit,
                counters=operator.unrestricted,
                node=nodes.name,
                elsewhere=[each for each in elsewhere if each.slug in shown],
            )

        key = query, shown, operator.unrestricted, of_all
        return encoded_response(await pages.encoded(key, page))

    @blueprint.get("/<slug>")
    async def room(slug: str) -> Response:
        operator = await identity.require_in(request, slug)
        statistics = rooms.room_statistics(slug)
        if statistics is None:
            return failure_response(_NOT_OPEN)
        audit.look(operator, request, "room", slug)
        return fresh_response(replace(statistics, node=nodes.name))

    return blueprint
