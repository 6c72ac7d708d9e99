"""The Quart-Trio application: all of plain HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quart import Response
from quart_trio import QuartTrio

from gbs_actor.auth import Authorizer, Verifier
from gbs_actor.gateway.http.admin import admin_rooms
from gbs_actor.gateway.http.cors import allow_origins, cors_policy
from gbs_actor.gateway.http.edits import edits
from gbs_actor.gateway.http.errors import register_error_handlers
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.lineups import lineups
from gbs_actor.gateway.http.middleware import refusing_bad_requests
from gbs_actor.gateway.http.pages import docs, index
from gbs_actor.gateway.http.probes import probes
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The parts below the HTTP side, as one server has composed them."""

    rooms: RoomSupervisor
    verifier: Verifier
    authorizer: Authorizer
    settings: Settings
    rates: UserRateLimit
    """How often users may send requests, shared with their other transports."""
    store_failure: Callable[[], str | None]
    """In one sentence, why no change could be stored at the moment; ``None``: it could."""
    draining: Callable[[], bool]
    """Whether the server is about to stop, so that no new clients should be sent to it."""


def create_app(services: Services) -> QuartTrio:
    """Return an ASGI application over the given parts; it owns none of them.

    It runs under any ASGI server on Trio. It starts no task that outlives a request.
    """
    app = QuartTrio("gbs_actor", static_folder=None)
    settings, rooms = services.settings, services.rooms
    policy = cors_policy(settings.http.allowed_origins)
    handler = refusing_bad_requests(app.asgi_app, policy)
    app.asgi_app = handler  # type: ignore[method-assign,assignment]
    app.config["MAX_CONTENT_LENGTH"] = settings.http.max_body
    # A path with a wrong slash gets 404; the default would redirect.
    app.url_map.merge_slashes = False
    app.config["BODY_TIMEOUT"] = settings.http.request_timeout
    allow_origins(app, policy)
    register_error_handlers(app)
    identity = Identity(services.verifier, services.authorizer, services.rates, settings)
    for blueprint in (
        index(),
        docs(settings.auth.cookie_name),
        probes(services.store_failure, services.draining),
        lineups(rooms, identity),
        edits(rooms, identity),
        admin_rooms(rooms, identity),
    ):
        app.register_blueprint(blueprint)

    @app.after_request
    async def no_sniffing(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app
