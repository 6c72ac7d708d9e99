"""The plain WebSocket ``/ws/retreats/{slug}``: JSON text frames, and nothing else to know."""

from gbs_actor.gateway.plain.server import PATH, PlainServer

__all__ = ["PATH", "PlainServer"]
