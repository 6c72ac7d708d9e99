"""The clients of the Socket.IO namespace, by the ids of their sockets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import trio

from gbs_actor.auth import AuthError, Credentials
from gbs_actor.contract.batch_form import BATCH_FORM
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.namespace.peer import (
    RecoverableFormat,
    RecoverablePeer,
    SocketIOFormat,
    SocketPeer,
)
from gbs_actor.gateway.namespace.recoverable_session import StoredSession, parse_offset
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.socketio import CloseCode, ConnectError, Socket


@dataclass(frozen=True, slots=True)
class _Entry:
    socket: Socket
    client: Client
    session: StoredSession | None


class SocketClients:
    """Makes a client of each socket that is admitted, and keeps it until its end.

    :param namespace: the namespace's name.
    :param locations: where recoverable sessions are kept.
    """

    def __init__(self, namespace: str, clients: Clients, locations: SessionLocations) -> None:
        self._clients = clients
        self._locations = locations
        forms = (False, True)
        self._formats = {it: SocketIOFormat(namespace, batched=it) for it in forms}
        self._recoverable_formats = {it: RecoverableFormat(namespace, batched=it) for it in forms}
        self._entries: dict[str, _Entry] = {}
        self._departures = trio.lowlevel.ParkingLot()

    def authenticate(self, socket: Socket) -> Credentials:
        """Return the credentials of the peer.

        :raises ConnectError: it has none, or their role may not read.
        """
        try:
            found = self._clients.find_token(socket.auth, socket.handshake)
            return self._clients.authenticate(found)
        except AuthError as refused:
            raise ConnectError(refused.message, {"code": refused.code}) from None

    def connect(self, socket: Socket, credentials: Credentials, sid: str | None = None) -> Client:
        """Make a client.

        :param sid: the id that the socket will have, if that is another one.
        :raises TooManyConnections: the user has as many as allowed.
        """
        begins = sid is None
        sid = socket.id if sid is None else sid
        session = None
        wants_presence, batched = _wants_presence(socket), _wants_batches(socket)
        if socket.recoverable:
            peer = RecoverablePeer(socket, self._recoverable_formats[batched])
            client = self._clients.connect(
                peer, credentials, sid=sid, wants_presence=wants_presence
            )
            client.session = session = StoredSession(
                sid,
                self._locations,
                socket.session.when_received,
                close=partial(socket.close_transport, CloseCode.NORMAL, "taken over"),
            )
            if begins:
                session.begun()
            peer.subscriber = client.subscriber
            client.subscriber.known_elsewhere = _shown_offset(socket)
        else:
            client = self._clients.connect(
                SocketPeer(socket, self._formats[batched]),
                credentials,
                sid=sid,
                wants_presence=wants_presence,
            )
        self._entries[sid] = _Entry(socket, client, session)
        return client

    def of(self, socket: Socket) -> Client | None:
        """Return the client of a socket, if it was admitted and has not ended."""
        entry = self._entries.get(socket.id)
        return entry.client if entry is not None and entry.socket is socket else None

    def session(self, sid: str) -> StoredSession | None:
        """Return the recoverable session of the client with this id."""
        entry = self._entries.get(sid)
        return None if entry is None else entry.session

    def disconnected(self, sid: str) -> None:
        """Remove a client that has ended, or was refused later."""
        entry = self._entries.pop(sid)
        self._locations.disconnected(sid)
        self._clients.disconnected(entry.client)
        self._departures.unpark_all()

    async def take_over(self, sid: str) -> None:
        """Close the connection that has this id, if any, and return once it has ended.

        If there is still a client, it reconnects: it has not left the namespace.
        """
        await trio.lowlevel.checkpoint()
        while (former := self._entries.get(sid)) is not None:
            former.socket.close_transport(CloseCode.NORMAL, "taken over")
            await self._departures.park()


def _wants_presence(socket: Socket) -> bool:
    """Return whether a client is sent presence: unless its CONNECT payload declines it."""
    auth = socket.auth
    return not isinstance(auth, dict) or auth.get("presence") is not False


def _wants_batches(socket: Socket) -> bool:
    """Return whether a client's CONNECT payload asks for the batch form."""
    auth = socket.auth
    return isinstance(auth, dict) and auth.get("updates") == BATCH_FORM


def _shown_offset(socket: Socket) -> int:
    """Return the offset that a client has sent, and may send again; -1: none."""
    auth = socket.auth
    offset = parse_offset(auth.get("offset")) if isinstance(auth, dict) else None
    return -1 if offset is None else offset
