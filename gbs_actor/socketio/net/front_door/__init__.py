"""The front door: from accepted connections to those who serve them.

::

    FrontDoor              door              admits each connection, routes it by its first request
      Acceptor             accepting         accepts, also without descriptors (descriptors)
      Admission            admission         which connections are served, and which make room
      Refusals             refusals          what is beyond the limits gets a response
      FirstRequestReader   first_request     TLS handshake, head, and what is refused before HTTP
      WaitingSockets       waiting_sockets   plain sockets of WebSockets wait for their turn
      ConnectionTasks      connection_tasks  all others have a task from the beginning
      Upgrades             upgrades          who serves the WebSockets of which paths
      Turns                turns             requests begin in turn between addresses (fair_queue)
      HttpStream           http_stream       what an HTTP server gets: head replayed, time limits
      RequestLoop          request_loop      serves common requests of some paths without it
      DetachedConnections  detached          those that a handler keeps, until they are closed

``listener`` is a listener of TCP that accepts bursts quickly; ``by_path`` looks handlers up.
"""

from gbs_actor.socketio.net.front_door.door import (
    REQUEST_TIMEOUT,
    FrontDoor,
    FrontDoorStatistics,
)
from gbs_actor.socketio.net.front_door.request_loop import Fallback
from gbs_actor.socketio.net.front_door.upgrades import SocketHandler, UpgradeHandler

__all__ = [
    "REQUEST_TIMEOUT",
    "Fallback",
    "FrontDoor",
    "FrontDoorStatistics",
    "SocketHandler",
    "UpgradeHandler",
]
