"""The Quart-Trio application: everything that is plain HTTP."""

from __future__ import annotations

from quart import Response
from quart_trio import QuartTrio

from gbs_actor.gateway.http.admin import admin
from gbs_actor.gateway.http.cors import allow_origins, cors_policy
from gbs_actor.gateway.http.docs import docs
from gbs_actor.gateway.http.edits import edits
from gbs_actor.gateway.http.errors import answer_errors
from gbs_actor.gateway.http.index import index
from gbs_actor.gateway.http.lineups import lineups
from gbs_actor.gateway.http.probes import probes
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.http.targets import refusing_bad_targets


def create_app(services: Services) -> QuartTrio:
    """Return an ASGI application over the given parts; it owns none of them.

    It runs on any ASGI server on Trio. Nothing in it outlives a request.
    """
    app = QuartTrio("gbs_actor", static_folder=None)
    policy = cors_policy(services.settings.http.allowed_origins)
    handler = refusing_bad_targets(app.asgi_app, policy)
    app.asgi_app = handler  # type: ignore[method-assign,assignment]
    app.config["MAX_CONTENT_LENGTH"] = services.settings.http.max_body
    # An address that is not exactly right is not found; the default would redirect.
    app.url_map.merge_slashes = False
    app.config["BODY_TIMEOUT"] = services.settings.http.request_timeout
    allow_origins(app, policy)
    answer_errors(app)
    for blueprint in (
        index(),
        docs(services.settings.auth.cookie_name),
        probes(services),
        lineups(services),
        edits(services),
        admin(services),
    ):
        app.register_blueprint(blueprint)

    @app.after_request
    async def no_sniffing(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app
