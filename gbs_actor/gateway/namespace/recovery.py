"""How clients come back to ``/gbs-lineup``, also after the server was killed.

Nothing of a session is kept in memory. The pid is a signed token that says whose session it
is; in which room that is, the store knows; the offset is a revision, and what was missed is
every row of that revision or a later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from gbs_actor.auth import SessionTokens
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.events import LineupEvents, TooManyConnections
from gbs_actor.gateway.namespace.clients import SocketConnections
from gbs_actor.gateway.namespace.offset import OUTSIDE, parse_offset
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.socketio import Message, Namespace, Restored, Socket
from gbs_actor.store.protocol import StoreError


class LineupRecovery:
    """Implements :class:`gbs_actor.socketio.Recovery` for the line-up.

    :param tokens: the pids.
    :param whereabouts: where each session is.
    """

    def __init__(
        self,
        connections: SocketConnections,
        events: LineupEvents,
        tokens: SessionTokens,
        whereabouts: SessionLocations,
    ) -> None:
        self._connections = connections
        self._events = events
        self._tokens = tokens
        self._whereabouts = whereabouts

    def wants(self, socket: Socket) -> bool:
        """Return whether the client asks for it: ``"recovery": true`` in its CONNECT payload."""
        auth = socket.handshake.auth
        return isinstance(auth, dict) and auth.get("recovery") is True

    def issue(self, socket: Socket) -> str:
        """Return the pid of a new session."""
        connection = self._connections.of(socket)
        assert connection is not None
        return self._tokens.issue(socket.id, connection.user.user_id)

    async def restore(self, socket: Socket, pid: str, offset: str) -> Restored | None:
        """Let a session go on in its room; see the protocol.

        The token is checked as at any CONNECT and has to be the same user's, who has to be
        allowed in the room by now. Cancelled, nothing is left but that an earlier
        connection was closed.
        """
        credentials = self._connections.authenticate(socket)
        claim, revision = self._tokens.open(pid), parse_offset(offset)
        if claim is None or revision is None or claim.user_id != credentials.user.user_id:
            await trio.lowlevel.checkpoint()
            return None
        sid = claim.sid
        await self._connections.take_over(sid)
        try:
            connection = self._connections.open(socket, credentials, sid)
        except TooManyConnections:
            return None
        resumed = False
        try:
            resumed = await self._resume(connection, sid, revision)
        finally:
            if not resumed:
                self._connections.close(sid)
        if resumed:
            return Restored(sid)
        self._whereabouts.forget_soon(sid)  # the client goes on as another one
        return None

    async def _resume(self, connection: Connection, sid: str, revision: int) -> bool:
        try:
            place = await self._whereabouts.recall(sid)
        except StoreError:
            return False
        since = None if place is None else place.since(revision)
        if place is None or since is None or connection.session is None:
            return False
        connection.subscriber.known_elsewhere = place.known_elsewhere
        if not await self._events.resume(connection, place, since):
            return False
        connection.session.resumed(place)
        return True

    def keep(
        self, namespace: Namespace, name: str, args: Sequence[Any], to: Socket | None
    ) -> Message:
        """Encode an event with its offset; rooms do not send theirs this way."""
        offset = str(OUTSIDE) if to is None else self.latest(to)
        return Message.event(namespace.name, name, *args, offset)

    def latest(self, socket: Socket) -> str:
        """Return the revision up to which a socket was sent everything."""
        connection = self._connections.of(socket)
        revision = None if connection is None else connection.revision
        return str(OUTSIDE if revision is None else revision)

    def lost(self, socket: Socket) -> None:
        """Do nothing: the session is where it is."""

    def forget(self, socket: Socket) -> None:
        """End a session for good."""
        connection = self._connections.of(socket)
        if connection is not None and connection.session is not None:
            connection.session.end()
