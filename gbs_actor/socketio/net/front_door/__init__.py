"""The front door: from accepted connections to those who serve them.

::

    FrontDoor              door           admits each connection, routes it by its first request
      Acceptor             accepting      accepts, also without descriptors (descriptors)
      Admission            admission      which connections are served, and which make room
      FirstRequestReader   first_request  TLS handshake, head, and what is refused before HTTP
      Turns                turns          requests begin in turn between addresses (fair_queue)
      HttpStream           http_stream    what an HTTP server gets: head replayed, time limits
      RequestLoop          request_loop   serves common requests of some paths without that server
      DetachedConnections  detached       those that a handler keeps, until they are closed

``listener`` is a listener of TCP that accepts bursts quickly.
"""

from gbs_actor.socketio.net.front_door.door import (
    REQUEST_TIMEOUT,
    FrontDoor,
    FrontDoorStatistics,
    UpgradeHandler,
)
from gbs_actor.socketio.net.front_door.request_loop import Fallback

__all__ = ["REQUEST_TIMEOUT", "Fallback", "FrontDoor", "FrontDoorStatistics", "UpgradeHandler"]
