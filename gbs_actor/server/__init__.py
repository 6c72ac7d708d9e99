"""Composition and lifetime of a whole server."""

from gbs_actor.server.listening import BoundAddress
from gbs_actor.server.serving import serve, serve_on

__all__ = ["BoundAddress", "serve", "serve_on"]
