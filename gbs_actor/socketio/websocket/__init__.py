"""WebSocket (RFC 6455) without I/O: the opening handshake, frames, close codes.

::

    opening_handshake   the response to a request, and the parser to continue with
        subprotocol     which one is selected
    frame_parser        received bytes to messages, pings and closes
        deflated_parser   the same for compressed messages (RFC 7692), by ``websockets``
    frame               messages to bytes, the same ones for all connections
    close_code          codes, and the violation of a protocol that leads to one
"""
