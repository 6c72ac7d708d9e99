"""Channels: messages both ways over any transport, with back-pressure, liveness and an end.

One channel and what belongs to it::

    ChannelServer  accepts requests, runs channels, shuts them down
        Transport      reads; WebSocketTransport, AsgiTransport (engineio adds polling)
            Channel        one peer: open, receive, pause, end; LiveChannel pings, too
                Backlog        what was received and is not done; Dispatcher runs handlers
                Outbox         the only code that writes; what has to wait is in a MessageQueue
                    Wire           one direction of the transport
                        Message        encoded once per transport, shared by all outboxes

A channel has no task of its own: the transport's task reads and handles. A handler that awaits
runs in the dispatcher's task, and a queue that does not go out at once has a writer task. All
are in the channel's nursery and end with it. A channel starts in :func:`channel.run_channel`.
"""
