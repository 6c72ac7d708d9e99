"""Plain HTTP: reads and writes of the line-up, probes, the operators' pages, OpenAPI.

``app``         the Quart-Trio application, made of the blueprints below over ``services``
``identity``    authenticates requests, checks roles and the origin
``lineups``     reads; ``retreats``: what a page shows around the list
``edits``       writes: one route for each of ``contract.commands``, with ``preconditions``
``sheets``      exports and imports of spreadsheets, over ``gateway.imports``
``admin``       what operators see and do; ``metrics``: the same for Prometheus
``probes``      ``/healthz``, ``/readyz``
``lineup_page`` the line-up page, ``shell``: how a page of ours is sent; ``demo_session`` lets the
                demo's people in, ``client_metrics`` takes what pages measure
``pages``       ``/docs``; ``openapi`` describes the API
``responses``   bodies and statuses; ``errors`` maps exceptions to them
``middleware``  wraps the app; ``cors`` allows pages of other origins
"""

from gbs_actor.gateway.http.admin import ForwardedRequests, refusal
from gbs_actor.gateway.http.app import create_admin_app, create_app
from gbs_actor.gateway.http.cors import cors_policy
from gbs_actor.gateway.http.middleware import with_remote_endpoint
from gbs_actor.gateway.http.services import Services

__all__ = [
    "ForwardedRequests",
    "Services",
    "cors_policy",
    "create_admin_app",
    "create_app",
    "refusal",
    "with_remote_endpoint",
]
