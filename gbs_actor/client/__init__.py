"""A Python client of the line-up: Socket.IO over WebSocket, on Trio.

    async with connect("http://127.0.0.1:8080", token=token) as client:
        await client.join("2024-winter")
        row = await client.assign(registration_id=7, number=3)
        async for update in client.updates():
            ...

A call, there and back::

    Client.assign ── contract.commands ── Reconnector.call ── Link.call ── WebSocket
      row ◀─────────────── Reply ◀─── again, under the same command id, ◀──── ack
                                      after a loss or a retryable reply
    updates() ◀── UpdateFeed ◀── LineupView ◀────────────── Link ◀───────── event
    rows      ◀── Replica ◀─────────┘

``client``       joins and leaves a room
``commands``     the calls that change something
``view``         the rows (``replica``) and the feeds of updates (``updates``)
``reconnector``  stays connected: one link after the other
``link``         one connection: a WebSocket, the session on it, the namespace in that
``packets``      the client's half of Engine.IO and Socket.IO

Names and arguments come from :mod:`gbs_actor.contract`, as the server's do. The protocol below
them shares no code with the server, so that a test of both has two independent peers.
"""

from gbs_actor.client.client import Client, connect
from gbs_actor.client.dialing import ConnectStream
from gbs_actor.client.errors import (
    ClientError,
    CommandFailed,
    ConflictDetails,
    ConnectError,
    Disconnected,
    Problem,
)
from gbs_actor.client.replies import ChangeResult, ListedGroup, ListedLeader
from gbs_actor.client.statistics import ClientStatistics
from gbs_actor.client.updates import (
    EditingMarked,
    ListReplaced,
    PresenceChanged,
    RowUpdated,
    ServerError,
    Update,
    UpdateFeed,
)
from gbs_actor.concurrency import Backoff
from gbs_actor.lineup.commands import Assignment

__all__ = [
    "Assignment",
    "Backoff",
    "ChangeResult",
    "Client",
    "ClientError",
    "ClientStatistics",
    "CommandFailed",
    "ConflictDetails",
    "ConnectError",
    "ConnectStream",
    "Disconnected",
    "EditingMarked",
    "ListReplaced",
    "ListedGroup",
    "ListedLeader",
    "PresenceChanged",
    "Problem",
    "RowUpdated",
    "ServerError",
    "Update",
    "UpdateFeed",
    "connect",
]
