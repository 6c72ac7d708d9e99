"""What the gateway knows of one Socket.IO connection."""

from __future__ import annotations

from gbs_actor.auth import Credentials, User
from gbs_actor.gateway.rate_limit import TokenBucket
from gbs_actor.lineup.commands import Author
from gbs_actor.rooms import Subscriber
from gbs_actor.socketio import Socket


def author_of(user: User) -> Author:
    """Return the user as the author of commands.

    A token without a name still has to be called something on other people's screens.
    """
    name = user.name or user.email or str(user.user_id)
    return Author(user_id=user.user_id, name=name, admin_user_id=user.admin_user_id)


class Connection:
    """One socket of the namespace: its user, its room, and how fast it may speak.

    :param role: the user's role outside any retreat, that of the token.
    """

    __slots__ = ("author", "bucket", "credentials", "role", "socket", "subscriber", "told_expired")

    def __init__(
        self, socket: Socket, subscriber: Subscriber, credentials: Credentials, bucket: TokenBucket
    ) -> None:
        self.socket = socket
        self.subscriber = subscriber
        self.credentials = credentials
        self.bucket = bucket
        self.author = subscriber.author
        self.role: str = credentials.user.role
        """The role in the room the connection is in, or else that of the token."""
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
