"""The connections of the Socket.IO namespace, by the ids of their sockets."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from gbs_actor.auth import AuthRefused, Credentials
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.events import LineupEvents
from gbs_actor.gateway.format import RecoverableFormat, SocketIOFormat
from gbs_actor.gateway.namespace.offset import parse_offset
from gbs_actor.gateway.namespace.peer import RecoverablePeer, SocketPeer
from gbs_actor.gateway.namespace.recoverable_session import RecoverableSession
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.socketio import CloseCode, ConnectError, Socket


@dataclass(frozen=True, slots=True)
class _Entry:
    socket: Socket
    connection: Connection


class SocketConnections:
    """Makes a connection of each socket that is let in, and keeps it until its end.

    :param namespace: the namespace's name.
    """

    def __init__(self, namespace: str, events: LineupEvents, whereabouts: SessionLocations) -> None:
        self._events = events
        self._whereabouts = whereabouts
        self._format = SocketIOFormat(namespace)
        self._recoverable_format = RecoverableFormat(namespace)
        self._entries: dict[str, _Entry] = {}
        self._departures = trio.lowlevel.ParkingLot()

    def authenticate(self, socket: Socket) -> Credentials:
        """Return who is at the other end.

        :raises ConnectRefused: nobody that may read.
        """
        try:
            found = self._events.find_token(socket.handshake.auth, socket.handshake)
            return self._events.authenticate(found)
        except AuthRefused as refused:
            raise ConnectError(refused.message, {"code": refused.code}) from None

    def open(self, socket: Socket, credentials: Credentials, sid: str | None = None) -> Connection:
        """Make a connection.

        :param sid: the id that the socket is going to have, if that is another one.
        :raises TooManyConnections: the user has as many as they may.
        """
        sid = socket.id if sid is None else sid
        if socket.recoverable:
            peer = RecoverablePeer(socket, self._recoverable_format)
            connection = self._events.connect(peer, credentials)
            connection.session = RecoverableSession(sid, self._whereabouts)
            peer.subscriber = connection.subscriber
            connection.subscriber.known_elsewhere = _shown_offset(socket)
        else:
            connection = self._events.connect(SocketPeer(socket, self._format), credentials)
        self._entries[sid] = _Entry(socket, connection)
        return connection

    def of(self, socket: Socket) -> Connection | None:
        """Return the connection of a socket, if it was let in and has not ended."""
        entry = self._entries.get(socket.id)
        return entry.connection if entry is not None and entry.socket is socket else None

    def close(self, sid: str) -> None:
        """Note that a connection has ended, or was not let in after all."""
        entry = self._entries.pop(sid)
        self._events.disconnected(entry.connection)
        self._departures.unpark_all()

    async def take_over(self, sid: str) -> None:
        """Close whatever connection has this id, and return once it has ended.

        Its client comes back where there is still one: the namespace is not left.
        """
        await trio.lowlevel.checkpoint()
        while (former := self._entries.get(sid)) is not None:
            former.socket.close_transport(CloseCode.NORMAL, "taken over")
            await self._departures.park()


def _shown_offset(socket: Socket) -> int:
    """Return the offset a client has come with, which it may come with again; -1: none."""
    auth = socket.handshake.auth
    offset = parse_offset(auth.get("offset")) if isinstance(auth, dict) else None
    return -1 if offset is None else offset
