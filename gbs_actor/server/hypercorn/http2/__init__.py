"""HTTP/2 on one connection: Hypercorn's, with what a peer may cost bounded."""

from gbs_actor.server.hypercorn.http2.protocol import BoundedHttp2

__all__ = ["BoundedHttp2"]
