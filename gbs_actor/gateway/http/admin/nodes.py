"""``/admin/nodes``: all servers on the store."""

from __future__ import annotations

from quart import Blueprint, Response, request

from gbs_actor.gateway.http.admin.identity import ADMIN_PATH, AdminIdentity
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.nodes import NodeList


def admin_nodes(services: Services, identity: AdminIdentity) -> Blueprint:
    """Return the route; a token restricted to retreats does not open it."""
    blueprint = Blueprint("admin_nodes", __name__, url_prefix=ADMIN_PATH)
    nodes = services.nodes

    @blueprint.get("/nodes")
    async def show_nodes() -> Response:
        identity.require_unrestricted(request)
        return fresh_response(NodeList(nodes.summaries()))

    return blueprint
