"""Engine.IO v4: sessions over long-polling and WebSocket, and upgrades between them.

::

    EngineServer   checks requests, knows sessions by their ids
        Session        a LiveChannel; its messages go to an Application, such as Socket.IO
            WebSocketTransport    carries it from the start, or
            PollingTransport      carries it by GETs and POSTs, until a
                Probe             the WebSocket's first channel, moves the session there

``packets`` and ``payload`` are the encodings; ``asgi`` serves the requests of an ASGI server.
"""
