"""Hypercorn: HTTP/1.1 with keep-alive, and WebSockets on reused connections.

::

    own listener                            under stock Hypercorn
    FrontDoor                               hypercorn.trio.worker_serve   <- prepare_worker
      └─ HttpServer.serve(HttpStream)         │
           └─ TCPServer, one a connection     └─ TCPServer
                └─ H11Protocol                     └─ H11Protocol         <- StrictHttp1
                     ├─ HTTPStream ── early_responses(half_closed(Quart))
                     └─ WSStream                                          <- BoundedWebSocket

Requests of long-polling do not come this far: the front door serves those in the common form.

``limit_hypercorn`` puts the classes on the right in place.

Only this package uses Hypercorn's internals; ``internals`` lists the names.
"""

from gbs_actor.server.hypercorn.early_responses import awaiting_requests
from gbs_actor.server.hypercorn.half_closed import answering_half_closed
from gbs_actor.server.hypercorn.internals import limit_hypercorn
from gbs_actor.server.hypercorn.server import HttpServer, HttpStatistics
from gbs_actor.server.hypercorn.worker import end_server, prepare_worker

__all__ = [
    "HttpServer",
    "HttpStatistics",
    "answering_half_closed",
    "awaiting_requests",
    "end_server",
    "limit_hypercorn",
    "prepare_worker",
]
