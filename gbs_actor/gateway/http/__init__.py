"""Plain HTTP: reads and writes of the line-up, probes, the operators' pages, OpenAPI.

``app``            the Quart-Trio application, made of the blueprints below
``identity``       authenticates requests, checks roles and the origin
``lineups``        reads
``edits``          writes: one route for each of ``contract.commands``, with ``preconditions``
``admin``          ``/admin/rooms``, for operators; ``admin_system`` and ``task_tree``: the server
``admin_identity`` authenticates operators; ``admin_session`` is the session of their browsers
``probes``         ``/healthz``, ``/readyz``
``pages``          ``/`` and ``/docs``; ``openapi`` describes the API
``responses``      bodies and statuses; ``statistics`` as JSON; ``errors`` maps exceptions to them
``middleware``     wraps the app; ``cors`` allows pages of other origins
"""

from gbs_actor.gateway.http.admin import ActionParts, SystemParts
from gbs_actor.gateway.http.app import Services, create_admin_app, create_app
from gbs_actor.gateway.http.cors import cors_policy
from gbs_actor.gateway.http.middleware import with_remote_endpoint

__all__ = [
    "ActionParts",
    "Services",
    "SystemParts",
    "cors_policy",
    "create_admin_app",
    "create_app",
    "with_remote_endpoint",
]
