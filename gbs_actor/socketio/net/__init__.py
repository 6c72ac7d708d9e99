"""The network below channels: listener, TLS, HTTP requests and responses, limits, origins.

A connection on its way to the code that serves it::

    TcpListener, TlsListener
        FrontDoor          counts it (ConnectionLimit, UnauthenticatedLimit), does the TLS
                           handshake, reads one head, waits for its turn: see ``front_door``
            BadRequest     a malformed head: refused
            Request        a WebSocket upgrade on a realtime path: to its handler
            HttpStream     all else: to an HTTP server, with the head replayed and time limits

``trusted_proxies`` finds the client behind a proxy, ``origin`` decides which pages may connect
with a cookie, ``cors`` which may read responses, ``asgi`` translates requests and responses.
"""
