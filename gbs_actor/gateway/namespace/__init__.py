"""The Socket.IO namespace ``/gbs-lineup``.

``handlers``            connect, event and disconnect handlers
``clients``             a client for each admitted socket
``invocation``          an event of a socket, with its acknowledgement
``closing``             records what has ended and what was refused
``lagging``             notifies operators of clients that do not keep up
``peer``                how rooms send to a socket
``tracer``              reports the events of a socket that an operator traces
``recovery``            resumes sessions after a lost connection: ``recoverable_session`` has a
                        session's offsets, ``session_locations`` its room, in the store
"""
