"""Channels: messages both ways over any transport, with back-pressure, liveness and an end.

One channel and what belongs to it::

    ChannelServer  accepts requests, opens channels, ends what they have run, shuts them down
        Transport      WebSocketTransport, AsgiTransport (engineio adds polling)
            Channel        one peer: open, receive, pause, end; LiveChannel pings, too
                Backlog        what was received and is not done; Dispatcher runs handlers
                Outbox         the only code that writes; what has to wait is in a MessageQueue
                    Wire           one direction of the transport
                        Message        encoded once per transport, shared by all outboxes

A WebSocketTransport does no I/O; it has a driver that reads and writes for it::

    Plane          one task for all WebSockets on plain sockets
    StreamDriver   a task for each of the others: over TLS, compressed, on memory streams

A channel has no task of its own. What it receives is handled in the driver's task. A handler that
awaits runs in the dispatcher's task, and so does what has to be done at the end: such tasks are in
the server's nursery, contain their exceptions, and end with the channel.
"""
