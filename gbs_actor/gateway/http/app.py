"""The Quart-Trio applications: all of plain HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from quart import Blueprint, Response
from quart_trio import QuartTrio

from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.gateway.http.admin import (
    AdminIdentity,
    Audit,
    Forwarding,
    admin_actions,
    admin_audit,
    admin_dashboard,
    admin_diagnostics,
    admin_events,
    admin_forwarding,
    admin_nodes,
    admin_overview,
    admin_rooms,
    admin_session,
    admin_sessions,
    admin_system,
    admin_traces,
)
from gbs_actor.gateway.http.body_limits import limited_request
from gbs_actor.gateway.http.client_metrics import client_metrics
from gbs_actor.gateway.http.cors import NO_PAGES, allow_origins, cors_policy
from gbs_actor.gateway.http.demo_session import demo_session
from gbs_actor.gateway.http.edits import edits
from gbs_actor.gateway.http.errors import register_error_handlers
from gbs_actor.gateway.http.history import history
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.lineup_page import lineup_page
from gbs_actor.gateway.http.lineups import lineups
from gbs_actor.gateway.http.metrics import metrics
from gbs_actor.gateway.http.middleware import refusing_bad_requests
from gbs_actor.gateway.http.pages import docs, index
from gbs_actor.gateway.http.probes import probes
from gbs_actor.gateway.http.retreats import retreats
from gbs_actor.gateway.http.services import Services
from gbs_actor.gateway.http.sheets import IMPORTS, sheets
from gbs_actor.socketio import CorsPolicy


def create_app(services: Services) -> QuartTrio:
    """Return an ASGI application over the given parts; it owns none of them.

    It runs under any ASGI server on Trio. It starts no task that outlives a request. It has no
    ``/admin`` and no ``/metrics`` if the settings have a second address for those.
    """
    settings, rooms = services.settings, services.rooms
    has_admin = settings.admin.admin_listen is None
    identity = Identity(services.verifier, services.authorizer, services.rates, settings)
    blueprints = [
        _index(services, has_admin=has_admin),
        docs(settings.auth.cookie_name, has_admin=has_admin),
        probes(services.store_failure, services.draining),
        lineups(rooms, services.store, identity),
        history(services.store, identity),
        edits(rooms, services.store, identity, services.environment.uuid),
        sheets(services.importer, identity, settings.imports.imports_at_once_per_user),
        retreats(services.store, identity, largest_group=settings.page.largest_group),
        client_metrics(services.client_metrics, identity),
        *([demo_session(settings.auth, services.environment)] if services.demo_sign_in else ()),
        *(_admin_blueprints(services) if has_admin else ()),
    ]
    return _app(services, blueprints, cors_policy(settings.http.allowed_origins))


def create_admin_app(services: Services) -> QuartTrio:
    """Return an ASGI application with what :func:`create_app` lacks then."""
    return _app(services, _admin_blueprints(services), NO_PAGES)


def _index(services: Services, *, has_admin: bool) -> Blueprint:
    if services.settings.page.serve_page:
        return lineup_page(services.settings, demo_sign_in=services.demo_sign_in)
    return index(has_admin=has_admin)


def _admin_blueprints(services: Services) -> list[Blueprint]:
    audit = Audit(
        services.audit_trail,
        services.events,
        services.environment,
        node=services.nodes.name,
    )
    forwarding = Forwarding(services.nodes, services.ends_at)
    identity = AdminIdentity(
        services.verifier,
        services.authorizer,
        services.rates,
        services.settings,
        environment=services.environment,
        on_refusal=audit.refused,
    )
    clients = services.clients
    return [
        admin_forwarding(services.nodes, identity, forwarding),
        admin_dashboard(),
        admin_session(identity, services.nodes, forwarding, services.environment),
        admin_overview(services, identity),
        admin_nodes(services, identity),
        admin_rooms(services, identity, audit),
        admin_sessions(services, identity, audit, forwarding),
        admin_traces(clients, identity, audit),
        admin_actions(services, identity, audit, forwarding),
        admin_diagnostics(services.log_levels, services.profiler, identity, audit),
        admin_audit(services.store, identity, audit),
        admin_events(
            services.events,
            identity,
            services.settings.admin.event_streams,
            services.draining,
        ),
        admin_system(services, identity),
        metrics(services, identity),
    ]


def _app(services: Services, blueprints: Iterable[Blueprint], policy: CorsPolicy) -> QuartTrio:
    http = services.settings.http
    app = QuartTrio("gbs_actor", static_folder=None)
    # A form has more in it than the file.
    import_body = services.settings.imports.import_size + http.max_body
    app.request_class = cast(Any, limited_request({LINE_UP_PATH + IMPORTS: import_body}))
    handler = refusing_bad_requests(app.asgi_app, policy)
    app.asgi_app = handler  # type: ignore[method-assign,assignment]
    app.config["MAX_CONTENT_LENGTH"] = http.max_body
    # A path with a wrong slash gets 404; the default would redirect.
    app.url_map.merge_slashes = False
    app.config["BODY_TIMEOUT"] = http.request_timeout
    allow_origins(app, policy)
    register_error_handlers(app, services.events)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)

    @app.after_request
    async def no_sniffing(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app
