"""``/admin/rooms``: the statistics of the actors, for operators."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.rooms import RoomSupervisor


def admin(rooms: RoomSupervisor, identity: Identity) -> Blueprint:
    """Return the operators' routes: they read ``statistics()`` and change nothing.

    An operator sees the rooms of those retreats in which they are one.
    """
    blueprint = Blueprint("admin", __name__, url_prefix="/admin")

    @blueprint.get("/rooms")
    async def all_rooms() -> Response:
        user = await identity.require(request, identity.policy.is_operator)
        statistics = rooms.statistics()
        roles = await identity.roles_in(user, [room.slug for room in statistics.rooms])
        shown = (room for room in statistics.rooms if identity.policy.is_operator(roles[room.slug]))
        return _statistics(_camel(replace(statistics, rooms=tuple(shown))))

    @blueprint.get("/rooms/<slug>")
    async def room(slug: str) -> Response:
        await identity.require(request, identity.policy.is_operator, slug)
        statistics = rooms.room_statistics(slug)
        if statistics is None:
            failure = Failure.because(Code.NOT_FOUND, "No room of this retreat is open.")
            return failure_response(failure)
        return _statistics(_camel(statistics))

    return blueprint


def _statistics(body: dict[str, Any]) -> Response:
    response = json_response(msgspec.json.encode(body))
    response.headers["Cache-Control"] = "no-store"
    return response


def _camel(value: Any) -> Any:
    """Return statistics as JSON values, with the names of the API."""
    if is_dataclass(value) and not isinstance(value, type):
        return {camel(each.name): _camel(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_camel(each) for each in value]
    return value


def camel(snake: str) -> str:
    """Return a Python name as the API has it: ``batch_mean`` as ``batchMean``."""
    first, *rest = snake.split("_")
    return first + "".join(word.capitalize() for word in rest)
