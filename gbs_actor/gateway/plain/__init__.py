"""The plain WebSocket ``/ws/retreats/{slug}``: JSON text frames.

``server``       checks handshakes (``handshake``), and runs a channel for each WebSocket
``channel``      one client, from its handshake to its end
``invocation``   an event, with its reply; and the join that connecting is
``tracing``      reports the frames of a client that an operator traces
``frame``        text frames, both ways; ``close_frame`` close codes and reasons
"""

from gbs_actor.gateway.plain.server import PATH, PlainServer

__all__ = ["PATH", "PlainServer"]
