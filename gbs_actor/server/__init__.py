"""Composition and lifetime of a whole server.

::

    serve(settings)            serving      until cancelled; then graceful shutdown (lifetime)
      open_store               database     PostgreSQL of the settings, or an embedded one
        Composition            composition  rooms, Socket.IO, plain WebSocket, HTTP: one ASGI app
          Front                front        listens (listening), with TLS (certificate)
            FrontDoor          front_door   reads each connection's first request head
              ├─ WebSocket upgrades ──> SocketServer, PlainServer, on the stream itself
              └─ everything else ─────> HttpServer (hypercorn), which calls the ASGI app
            admin_front              a front door for /admin, if that has its own address

    HostedServer               hosted       the same Composition under another ASGI server

The store is opened first and closed last; then rooms, connections, listeners. Shutdown
stops listening, lets the rooms finish their commands (``Composition.drain``), closes the
transports and then the HTTP connections, all within ``shutdown_grace``.

Tasks are of three kinds. An exception of a *critical* one ends the server:

- the front door's accept loops, one a listener (a failed accept is retried), and its queue;
- the timers of Socket.IO and of plain WebSockets: pings, timeouts;
- the supervision of rooms, but not the rooms;
- the lease of the database, and the watch over the embedded PostgreSQL and its output;
- shutdown itself.

A *service* (:class:`gbs_actor.concurrency.Service`) is logged and restarted:

- reading settings and certificate again (``reloading``);
- pruning the log of changes (``log_pruning``);
- comparing rooms with the store after an interruption (``RoomSupervisor``);
- measuring how late timers fire (``loop_lag``);
- closing connections whose tokens expire (``gateway.expiry``);
- writing and pruning session locations, and looking for sessions that other servers have taken over
  (``gateway.namespace.session_locations``).

All others serve one connection, one session or one room, and their exceptions end only that:
``FrontDoor``, ``HttpServer`` and the Socket.IO server catch them, ``RoomSupervisor`` restarts
rooms.
"""

from gbs_actor.server.listening import BoundAddress
from gbs_actor.server.serving import serve, serve_on

__all__ = ["BoundAddress", "serve", "serve_on"]
