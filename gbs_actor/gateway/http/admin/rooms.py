"""``/admin/rooms``: the statistics of the room actors."""

from __future__ import annotations

from typing import Final

import msgspec
from quart import Blueprint, Response, request

from gbs_actor.gateway.http.admin.room_query import RoomQuery
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomPage, RoomStatistics, RoomSupervisor

_NOT_OPEN: Final = Failure.because(Code.NOT_FOUND, "No room of this retreat is open.")


def admin_rooms(rooms: RoomSupervisor, identity: Identity) -> Blueprint:
    """Return the routes below ``/admin/rooms``.

    An operator sees the rooms of those retreats in which they are one.
    """
    blueprint = Blueprint("admin_rooms", __name__, url_prefix="/admin/rooms")
    is_operator = identity.policy.is_operator

    @blueprint.get("")
    async def some_rooms() -> Response:
        user = await identity.require(request, is_operator)
        query = RoomQuery.of(request.args)
        slugs = rooms.matching(query.state, query.search)
        roles = await identity.roles_in(user, slugs)
        page = rooms.page(
            [slug for slug in slugs if is_operator(roles[slug])],
            query.sort,
            descending=query.descending,
            offset=query.offset,
            limit=query.limit,
        )
        return _response(page)

    @blueprint.get("/<slug>")
    async def room(slug: str) -> Response:
        await identity.require(request, is_operator, slug)
        statistics = rooms.room_statistics(slug)
        return failure_response(_NOT_OPEN) if statistics is None else _response(statistics)

    return blueprint


def _response(body: RoomPage | RoomStatistics) -> Response:
    response = json_response(msgspec.json.encode(body))
    response.headers["Cache-Control"] = "no-store"
    return response
