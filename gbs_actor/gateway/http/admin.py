"""``/admin/rooms``: what the actors tell about themselves, for operators."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from gbs_actor.gateway.http.identity import require_operator, require_operator_of
from gbs_actor.gateway.http.naming import camel
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code


def admin(services: Services) -> Blueprint:
    """Return the operators' routes; they only read ``statistics()``."""
    blueprint = Blueprint("admin", __name__, url_prefix="/admin")

    @blueprint.get("/rooms")
    async def rooms() -> Response:
        require_operator(request, services)
        return _statistics(_camel(services.rooms.statistics()))

    @blueprint.get("/rooms/<slug>")
    async def room(slug: str) -> Response:
        await require_operator_of(request, slug, services)
        statistics = services.rooms.room_statistics(slug)
        if statistics is None:
            failure = Failure.because(Code.NOT_FOUND, "No room of this retreat is open.")
            return failure_response(failure, retry_after=services.config.retry_after)
        return _statistics(_camel(statistics))

    return blueprint


def _statistics(body: dict[str, Any]) -> Response:
    response = json_response(msgspec.json.encode(body))
    response.headers["Cache-Control"] = "no-store"
    return response


def _camel(value: Any) -> Any:
    """Return statistics as JSON values, their names written as everywhere in the API."""
    if is_dataclass(value) and not isinstance(value, type):
        return {camel(each.name): _camel(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_camel(each) for each in value]
    return value
