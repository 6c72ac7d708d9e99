"""The gateway: events and HTTP requests of clients to commands, replies of rooms to clients.

A client's event, there and back::

    socket ── namespace/ ─┐                          ┌─ rooms.submit(subscriber, command, reply)
    (Socket.IO)           │                          │
                          ├─ Invocation ── Dispatch ─┤        the room's loop: decide, commit
    socket ── plain/ ─────┘  name, argument          │
    (text frames)            reply, once ◀───────────┘  Accepted | Done | Snapshot | Rejection
                               └─ ack, reply under its id, or event ``error``

    request ── http/ ── Identity, contract.commands ─── rooms.submit_to(slug, command, reply)

The parts that all transports share:

``client``      :class:`~gbs_actor.gateway.client.Client`, an authenticated peer, and the
                protocol of its transport, :class:`~gbs_actor.gateway.client.Peer`
``clients``     admits clients, and watches their tokens (``expiry``) and roles (``grants``)
                until they leave
``invocation``  one event of a client, with its one reply; a subclass for each transport
``dispatch``    one table, from the name of an event to its handler
``event_rates`` counts events, and refuses those that exceed a rate
``joining``     puts clients into rooms, with the role they have there, and takes them out
``closed_sessions``
                what has ended and what was refused last, and why
``sessions``    who is connected, as operators see it
``traces``      the events of one user or session, for operators
``command_router``
                submits a command to the room it belongs to, which its client may not be in
``replies``     outcomes as JSON: acks, ``error`` events, HTTP errors
``format``      a room's messages, encoded once for all clients of the same protocol
``limits``      rate limits and connection limits of one user
``client_metrics``
                what pages have reported of themselves, added up

Names and arguments of the events are in :mod:`gbs_actor.contract`. No transport depends on
another. Roles are checked in ``dispatch`` (events) and ``http.identity`` (requests), by the
policy in :mod:`gbs_actor.auth`, which also decides who sees which retreat.
"""
