"""What the gateway knows of one realtime connection."""

from __future__ import annotations

from gbs_actor.auth import Credentials, User
from gbs_actor.gateway.namespace.recoverable_session import RecoverableSession
from gbs_actor.gateway.peer import Peer
from gbs_actor.gateway.rate_limit import TokenBucket
from gbs_actor.lineup.commands import Author
from gbs_actor.rooms import Subscriber


def author_of(user: User) -> Author:
    """Return the user as the author of commands.

    A token without a name still has to be called something on other people's screens.
    """
    name = user.name or user.email or str(user.user_id)
    return Author(user_id=user.user_id, name=name, admin_user_id=user.admin_user_id)


class Connection:
    """One client: its user, its room, and how fast it may speak."""

    __slots__ = (
        "author",
        "bucket",
        "credentials",
        "peer",
        "role",
        "session",
        "subscriber",
        "told_expired",
    )

    def __init__(self, peer: Peer, credentials: Credentials, bucket: TokenBucket) -> None:
        self.peer = peer
        self.credentials = credentials
        self.bucket = bucket
        self.author = author_of(credentials.user)
        self.subscriber = Subscriber(peer, self.author)
        self.role: str = credentials.user.role
        """The role in the room the connection is in, or else that of the token."""
        self.session: RecoverableSession | None = None
        """What the client may come back to on another connection, where it may."""
        self.told_expired = False
        """Whether the client knows already that its token has expired."""

    @property
    def user(self) -> User:
        """Who is connected."""
        return self.credentials.user

    @property
    def revision(self) -> int | None:
        """The room revision the client has been sent everything up to; ``None`` outside."""
        return None if self.subscriber.room_slug is None else self.subscriber.sent_revision

    def authenticated(self, credentials: Credentials, role: str) -> None:
        """Go on with a new token of the same user."""
        self.credentials = credentials
        self.author = author_of(credentials.user)
        self.role = role
        self.told_expired = False
