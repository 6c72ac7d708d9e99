"""Resumes the sessions of ``/gbs-lineup`` after a lost connection, or after the server was killed:
on this one, or on another one that uses the same store.

No session is kept in memory. The pid is a signed token that names the session and
its user; the store has the session's location; the offset is a revision, and the client has
missed the rows of that revision and later ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

import trio

from gbs_actor.auth import SessionTokens
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.clients import TooManyConnections
from gbs_actor.gateway.joining import Joining
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.gateway.namespace.recoverable_session import OUTSIDE, StoredSession, parse_offset
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.socketio import Message, RestoredSession, Socket, encode_event
from gbs_actor.store.protocol import StoreError


class RecoveryResult(StrEnum):
    """What became of a client's attempt to resume its session."""

    RECOVERED = "recovered"
    INVALID = "invalid"
    """The pid or the offset is none of ours, or another user's."""
    NOT_FOUND = "not_found"
    """The session has ended, or is too old."""
    REFUSED = "refused"
    """The user may no longer read there, or the client has to load its list anew."""
    TOO_MANY_CONNECTIONS = "too_many_connections"
    STORE_UNAVAILABLE = "store_unavailable"


class LineupRecovery:
    """Implements :class:`gbs_actor.socketio.Recovery` for the line-up.

    :param tokens: the pids.
    :param locations: in which room each session is.
    """

    def __init__(
        self,
        clients: SocketClients,
        joining: Joining,
        tokens: SessionTokens,
        locations: SessionLocations,
    ) -> None:
        self._clients = clients
        self._joining = joining
        self._tokens = tokens
        self._locations = locations
        self.results: Counter[str] = Counter(dict.fromkeys(RecoveryResult, 0))
        """Attempts of clients with a valid token."""

    def enabled_for(self, socket: Socket) -> bool:
        """Return whether the client's CONNECT payload has ``"recovery": true``."""
        auth = socket.auth
        return isinstance(auth, dict) and auth.get("recovery") is True

    def start_session(self, socket: Socket) -> str:
        """Return the pid of a new session."""
        client = self._clients.of(socket)
        assert client is not None
        return self._tokens.issue(socket.id, client.user.user_id)

    async def restore(self, socket: Socket, pid: str, offset: str) -> RestoredSession | None:
        """Resume a session in its room; see the protocol.

        The token is checked as at any CONNECT; it must be of the same user, who must still be
        allowed to read the room. Cancelled, all is undone, but an earlier connection stays
        closed.
        """
        credentials = self._clients.authenticate(socket)
        claim, revision = self._tokens.open(pid), parse_offset(offset)
        if claim is None or revision is None or claim.user_id != credentials.user.user_id:
            self.results[RecoveryResult.INVALID] += 1
            await trio.lowlevel.checkpoint()
            return None
        sid = claim.sid
        await self._clients.take_over(sid)
        try:
            client = self._clients.connect(socket, credentials, sid)
        except TooManyConnections:
            self.results[RecoveryResult.TOO_MANY_CONNECTIONS] += 1
            return None
        result, session = None, self._clients.session(sid)
        assert session is not None  # only recoverable sockets are restored
        try:
            result = await self._resume(client, session, revision)
            self.results[result] += 1
        finally:
            if result is not RecoveryResult.RECOVERED:
                self._clients.disconnected(sid)
        if result is RecoveryResult.RECOVERED:
            return RestoredSession(sid)
        session.end()  # the client continues with a new one
        return None

    async def _resume(
        self, client: Client, session: StoredSession, revision: int
    ) -> RecoveryResult:
        try:
            record = await self._locations.take_over(session.sid)
        except StoreError:
            return RecoveryResult.STORE_UNAVAILABLE
        session.generation, location = record.generation, record.location
        since = None if location is None else location.since(revision)
        if location is None or since is None:
            return RecoveryResult.NOT_FOUND
        location = replace(location, known_elsewhere=-1)  # the offset is of this room
        client.subscriber.known_elsewhere = -1
        if not await self._joining.resume(client, location, since):
            return RecoveryResult.REFUSED
        session.resumed(location)
        return RecoveryResult.RECOVERED

    def record_event(
        self, namespace: str, name: str, args: Sequence[Any], to: Socket | None
    ) -> Message:
        """Encode an event with its offset; rooms do not send theirs this way."""
        offset = str(OUTSIDE) if to is None else self.last_offset(to)
        return encode_event(namespace, name, *args, offset)

    def last_offset(self, socket: Socket) -> str:
        """Return the revision up to which a socket was sent everything."""
        client = self._clients.of(socket)
        revision = None if client is None else client.revision
        return str(OUTSIDE if revision is None else revision)

    def connection_lost(self, socket: Socket) -> None:
        """Do nothing: the session's location is stored."""

    def end_session(self, socket: Socket) -> None:
        """End a session; it cannot be resumed."""
        session = self._clients.session(socket.id)
        if session is not None and self._clients.of(socket) is not None:
            session.end()
