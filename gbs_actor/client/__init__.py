"""A Python client of the line-up: Socket.IO over WebSocket, on Trio.

It shares no protocol code with the server, so that a test that drives the one with the
other has two independent peers.

    async with connect("http://127.0.0.1:8080", token=token) as client:
        await client.join("2024-winter")
        row = await client.assign(registration_id=7, number=3)
        async for update in client.updates():
            ...
"""

from gbs_actor.client.client import Client, ClientStatistics, connect
from gbs_actor.client.dialing import ConnectStream
from gbs_actor.client.errors import (
    ClientError,
    CommandFailed,
    Conflict,
    ConnectRefused,
    Disconnected,
)
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

__all__ = [
    "Backoff",
    "Client",
    "ClientError",
    "ClientStatistics",
    "CommandFailed",
    "Conflict",
    "ConnectRefused",
    "ConnectStream",
    "Disconnected",
    "EditingMarked",
    "ListReplaced",
    "PresenceChanged",
    "RowUpdated",
    "ServerError",
    "Update",
    "UpdateFeed",
    "connect",
]
