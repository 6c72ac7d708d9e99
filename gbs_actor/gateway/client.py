"""A client: an authenticated peer, over any transport."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gbs_actor.auth import Credentials, TokenSource, User
from gbs_actor.gateway.limits import TokenBucket
from gbs_actor.lineup.commands import Author
from gbs_actor.lineup.names import shown_name
from gbs_actor.observability import LogFields
from gbs_actor.rooms import Sink, SinkStatistics, Snapshot, Subscriber
from gbs_actor.socketio import Outbox, OutboxStatistics


class ClientTracer(Protocol):
    """Sees what one client sends and is sent. No method blocks or raises."""

    def received(self, name: str, data: bytes | None, reply_id: str | None) -> None:
        """See an event of the client, before it is handled.

        :param data: JSON, not decoded; ``None``: there is none.
        :param reply_id: names the reply that the client waits for; ``None``: it waits for none.
        """
        ...

    def sent(self, name: str, data: bytes) -> None:
        """See an event to the client.

        :param data: JSON.
        """
        ...

    def replied(self, reply_id: str, data: bytes) -> None:
        """See the reply to an event.

        :param reply_id: of :meth:`received`.
        :param data: JSON.
        """
        ...


class Peer(Sink, Protocol):
    """The transport's side of a client: sends events, and a room's messages.

    No method blocks; after the connection has ended they do nothing.
    """

    @property
    def outbox(self) -> Outbox:
        """The queue of the connection."""
        ...

    @property
    def protocol(self) -> str:
        """``socket.io``, or ``websocket`` for plain WebSockets."""
        ...

    @property
    def address(self) -> str | None:
        """The client's IP address; ``None`` if it has none."""
        ...

    @property
    def user_agent(self) -> str | None:
        """What the client says that it is; ``None``: nothing."""
        ...

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last ping to its pong; ``None``: not known."""
        ...

    def trace(self, tracer: ClientTracer | None) -> None:
        """Report what the client sends and is sent, in place of a former tracer; ``None``: no more.

        Ends with the connection.
        """
        ...

    def send_event(self, name: str, payload: bytes) -> None:
        """Send an event.

        :param payload: JSON.
        """
        ...

    def send_list(self, snapshot: Snapshot) -> None:
        """Send a room's rows as event ``initial-data``, which replaces the client's list."""
        ...

    def close_expired(self, source: TokenSource) -> None:
        """Close the connection: its token, and the time to renew it, have expired.

        :param source: where the token was found.
        """
        ...

    def close_forbidden(self) -> None:
        """Close the connection for good: the user may no longer read."""
        ...


class RecoverableSession(Protocol):
    """Tracks the rooms that a client joins and leaves, so that it can resume."""

    def joined(self, slug: str, snapshot: Snapshot, subscriber: Subscriber) -> None:
        """Record that a room was joined, and the reply to the join."""
        ...

    async def leave(self, slug: str) -> None:
        """Record that a room is about to be left.

        :raises StoreUnavailable: that cannot be recorded.
        """
        ...

    def moving(self, slug: str, subscriber: Subscriber) -> AbstractAsyncContextManager[None]:
        """Join another room within the block; raises as :meth:`leave`."""
        ...


class Client:
    """One client: its user, its room, and its limits.

    :param sid: names it, for operators and in the log; no secret.
    :param bucket: how often it may send events.
    :param join_bucket: how often it may join a retreat.
    :param wants_presence: see :class:`~gbs_actor.rooms.Subscriber`.
    """

    __slots__ = (
        "author",
        "bucket",
        "credentials",
        "events",
        "expiry_notified",
        "join_bucket",
        "peer",
        "role",
        "session",
        "sid",
        "subscriber",
    )

    def __init__(
        self,
        peer: Peer,
        credentials: Credentials,
        bucket: TokenBucket,
        join_bucket: TokenBucket,
        *,
        sid: str,
        wants_presence: bool = True,
    ) -> None:
        self.sid = sid
        self.peer = peer
        self.credentials = credentials
        self.bucket = bucket
        self.join_bucket = join_bucket
        self.author = author_of(credentials.user)
        self.subscriber = Subscriber(peer, self.author, wants_presence=wants_presence, sid=sid)
        self.role: str = credentials.user.role
        """The role in the room the client is in, or else that of the token."""
        self.session: RecoverableSession | None = None
        """What the client can resume on another connection; ``None`` if it cannot."""
        self.expiry_notified = False
        """Whether the client was notified that its token has expired."""
        self.events = 0
        """Events that it has sent."""

    @property
    def user(self) -> User:
        """Who is connected."""
        return self.credentials.user

    def log_fields(self) -> LogFields:
        """Return who it is, for an event or a line of the log about it."""
        return self.subscriber.log_fields()

    @property
    def revision(self) -> int | None:
        """The room revision up to which the client was sent everything; ``None`` outside."""
        return None if self.subscriber.room is None else self.subscriber.sent_revision

    def authenticated(self, credentials: Credentials) -> None:
        """Continue with a new token of the same user."""
        self.credentials = credentials
        self.author = self.subscriber.author = author_of(credentials.user)
        self.expiry_notified = False


def author_of(user: User) -> Author:
    """Return the user as the author of commands, with the name that others see."""
    name = shown_name(user.name, user.user_id, user.email)
    return Author(user_id=user.user_id, name=name, admin_user_id=user.admin_user_id)


def sink_statistics(
    outbox: OutboxStatistics,
    protocol: str,
    *,
    transport: str | None = None,
    round_trip: float | None = None,
) -> SinkStatistics:
    """Return an outbox's statistics as rooms read them; the others are those of its connection."""
    return SinkStatistics(
        queued=outbox.queued,
        queued_bytes=outbox.queued_bytes,
        conflated=outbox.conflated,
        behind_for=outbox.behind_for,
        protocol=protocol,
        transport=transport,
        round_trip=round_trip,
    )
