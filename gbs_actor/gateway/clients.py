"""All clients of the server: admission, tokens and their expiry, roles, connections per user."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import trio

from gbs_actor.auth import (
    AuthError,
    Authorizer,
    Credentials,
    TokenSource,
    Verifier,
    auth_required,
    find_token,
    forbidden,
)
from gbs_actor.concurrency import Service, ServiceStatistics, background
from gbs_actor.contract.events import ServerEvent
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import Client, Peer
from gbs_actor.gateway.expiry import ExpiryWatch
from gbs_actor.gateway.grants import GrantWatch
from gbs_actor.gateway.limits import TokenBucket, UserConnectionLimit, UserMemoryLimits
from gbs_actor.gateway.replies import Failure
from gbs_actor.gateway.traces import Traces
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import LimitSettings, Settings
from gbs_actor.socketio import Handshake

FoundToken = tuple[str, TokenSource]

_REVOKED: Final = Failure.because(Code.FORBIDDEN, "You may no longer read this line-up.")
_KICKED: Final = Failure.because(Code.FORBIDDEN, "An operator has disconnected you.")

logger = logging.getLogger(__name__)


class ClientsStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The clients at one moment. Counters run since the start."""

    clients: int
    expiring: int
    """Clients with a token that will expire."""
    refused: int
    """Clients of users who had as many connections as allowed."""
    expiry_failures: int
    """Clients that could not be notified of their token's expiry, and were aborted."""
    expiry_watch: ServiceStatistics
    revoked: int
    """Clients that were disconnected, as they may no longer read."""
    grant_failures: int
    """Lookups of a room's roles that failed; they are repeated."""
    grant_watch: ServiceStatistics


class TooManyConnections(Exception):
    """The user has as many connections as allowed."""


class Clients:
    """Admits clients, and watches their tokens and roles until they leave.

    A transport calls :meth:`find_token`, :meth:`authenticate` and :meth:`connect`, and
    :meth:`disconnected` at the end.

    :param connection_limit: how many connections a user may have.
    :param events: what operators are notified of.
    :param environment: where ids and jitter come from.

    Attributes:
        environment: that.
        traces: report what some clients send and are sent.
    """

    def __init__(
        self,
        rooms: RoomSupervisor,
        verifier: Verifier,
        authorizer: Authorizer,
        settings: Settings,
        *,
        connection_limit: UserConnectionLimit,
        events: OperatorEvents,
        environment: Environment = SYSTEM,
    ) -> None:
        self.environment = environment
        self._events = events
        self._rooms = rooms
        self._verifier = verifier
        self._authorizer = authorizer
        self._settings = settings
        self._connection_limit = connection_limit
        self._memory_limits = UserMemoryLimits(settings.limits.outbox_bytes_per_user, self._events)
        self._clients: dict[str, Client] = {}
        """By their ids, in the order in which they came."""
        self.traces = Traces(self._clients.values(), self._events)
        self._watch = ExpiryWatch(verifier.now)
        self._service = Service("token expiry", self._watch.run, environment=environment)
        self._grants = GrantWatch(self._clients.values(), authorizer, self.set_role)
        self._grant_service = Service("grants", self._grants.run, environment=environment)
        self._refused = self._revoked = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the clients' tokens and roles while the block runs."""
        async with background(self._service.run), background(self._grant_service.run):
            yield

    def change_limits(self, limits: LimitSettings) -> None:
        """Change the limits of a user's connections; open ones stay."""
        self._connection_limit.limit = limits.max_connections_per_user
        self._memory_limits.change(limits.outbox_bytes_per_user)

    def statistics(self) -> ClientsStatistics:
        """Return counters; never blocks."""
        return ClientsStatistics(
            clients=len(self._clients),
            expiring=len(self._watch),
            refused=self._refused,
            expiry_failures=self._watch.failures,
            expiry_watch=self._service.statistics(),
            revoked=self._revoked,
            grant_failures=self._grants.failures,
            grant_watch=self._grant_service.statistics(),
        )

    @property
    def connected(self) -> Collection[Client]:
        """All clients, in the order in which they came; it changes as they come and go."""
        return self._clients.values()

    def find(self, sid: str) -> Client | None:
        """Return the client with this id, if there is one."""
        return self._clients.get(sid)

    def find_token(self, payload: object, handshake: Handshake) -> FoundToken | None:
        """Return the token that authenticates a client, and where it was found.

        :param payload: sent by the page itself, not by its browser: ``{"token": …}``.
        """
        cookie_name = self._settings.auth.cookie_name
        return find_token(payload, handshake.headers, handshake.cookies, cookie_name)

    def authenticate(self, found: FoundToken | None) -> Credentials:
        """Return the credentials that a token gives.

        :raises AuthError: there is no valid token, or its role may not read.
        """
        try:
            if found is None:
                raise auth_required()
            user = self._verifier.verify(*found)
            if not self._authorizer.policy.may_read(user.role):
                raise forbidden()
        except AuthError as refused:
            if refused.reason:
                logger.info("refused a client: %s (%.200r)", refused.message, refused.reason)
            raise
        return Credentials(user, self._settings.auth.cookie_grace)

    def connect(
        self, peer: Peer, credentials: Credentials, *, sid: str, wants_presence: bool = True
    ) -> Client:
        """Admit a client.

        :param sid: see :class:`~gbs_actor.gateway.client.Client`; no other one has it.
        :param wants_presence: see :class:`~gbs_actor.rooms.Subscriber`.
        :raises TooManyConnections: its user has as many as allowed.
        """
        user_id = credentials.user.user_id
        if not self._connection_limit.take(user_id):
            self._refused += 1
            self._events.publish(
                "limit.hit",
                f"user {user_id} has as many connections as they may",
                severity="warning",
                user_id=user_id,
                limit="max_connections_per_user",
            )
            raise TooManyConnections
        limits, now = self._settings.socketio, trio.current_time()
        client = Client(
            peer,
            credentials,
            TokenBucket(limits.event_rate, limits.event_burst, now),
            TokenBucket(limits.join_rate, limits.join_burst, now),
            sid=sid,
            wants_presence=wants_presence,
        )
        self._clients[sid] = client
        self._memory_limits.add(user_id, peer.outbox)
        self._watch.watch(client)
        if self.traces:
            self.traces.connected(client)
        return client

    def renew(self, client: Client, credentials: Credentials, role: str) -> None:
        """Give a client a new token of the same user.

        :param role: the user's, in the room the client is in.
        """
        client.authenticated(credentials)
        self._watch.watch(client)
        self.set_role(client, role)

    def set_role(self, client: Client, role: str) -> None:
        """Give a client the role that it has by now in the room it is in.

        If it may no longer edit, its editing mark ends. If it may no longer read, it gets
        ``error`` FORBIDDEN and is disconnected for good: nothing is left to recover.
        """
        former, client.role = client.role, role
        policy = self._authorizer.policy
        if not policy.may_read(role) and policy.may_read(former):
            self._revoke(client)
        elif not policy.may_edit(role) and policy.may_edit(former):
            self._rooms.reject_mark(client.subscriber)

    def lag_changed(self, client: Client, *, lagging: bool) -> None:
        """Notify operators that a client does not keep up, or has caught up."""
        who, queued = f"the client of user {client.user.user_id}", client.peer.outbox.queued_bytes
        if lagging:
            text = f"{who} does not keep up with what it is sent"
            self._events.publish(
                "subscriber.lagging", text, **client.log_fields(), queued_bytes=queued
            )
        else:
            self._events.publish(
                "subscriber.caught_up", f"{who} has caught up", **client.log_fields()
            )

    def _revoke(self, client: Client) -> None:
        self._revoked += 1
        logger.info(
            "user %d may no longer read, and is disconnected",
            client.user.user_id,
            extra=client.log_fields(),
        )
        self._disconnect_for_good(client, _REVOKED)

    def of_user(self, user_id: int) -> list[Client]:
        """Return the clients of a user, whatever protocol they speak."""
        return [client for client in self._clients.values() if client.user.user_id == user_id]

    def kick(self, client: Client) -> bool:
        """Disconnect a client for good: it gets ``error`` FORBIDDEN, and nothing to recover.

        Its commands in flight are still carried out.

        :returns: whether it was connected until now.
        """
        if client.subscriber.closed:
            return False
        logger.info("a client of user %d is kicked", client.user.user_id, extra=client.log_fields())
        self._disconnect_for_good(client, _KICKED)
        return True

    def _disconnect_for_good(self, client: Client, why: Failure) -> None:
        try:
            client.peer.send_event(ServerEvent.ERROR, replies.error_event(None, why))
            client.peer.close_forbidden()
        except Exception:
            # It must receive nothing any more; other clients must not wait.
            logger.exception(
                "a client that could not be disconnected is aborted", extra=client.log_fields()
            )
            client.peer.abort()
        self._rooms.disconnect(client.subscriber)

    def disconnected(self, client: Client) -> None:
        """Remove a client that has ended; its commands in flight are still carried out."""
        del self._clients[client.sid]
        self._connection_limit.leave(client.user.user_id)
        self._memory_limits.remove(client.user.user_id, client.peer.outbox)
        self._watch.remove(client)
        self._rooms.disconnect(client.subscriber)
