"""The user of a connection, and the expiry of its token."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.auth.errors import invalid_token
from gbs_actor.auth.token_source import TokenSource
from gbs_actor.auth.user import LEEWAY, User

RENEWAL_TIME = 60.0
"""Seconds to ``authenticate`` after a token that is no cookie has expired."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user of one connection; a new token makes new credentials.

    Token from the CONNECT payload or a header: when it expires the client is notified, has
    :data:`RENEWAL_TIME` to authenticate again, and is then disconnected from the namespace.
    Cookie: the page cannot renew it, and would not reconnect after a namespace disconnect, so
    it may still read, but not edit, for ``cookie_grace``.
    """

    user: User
    cookie_grace: float
    """Seconds."""

    def expired(self, now: float) -> bool:
        """Whether the token has expired, leeway included: commands get TOKEN_EXPIRED."""
        return (expiry := self.expires_at) is not None and now >= expiry

    @property
    def expires_at(self) -> float | None:
        """Unix time at which the token expires, leeway included; ``None``: never."""
        return None if self.user.expires_at is None else self.user.expires_at + LEEWAY

    @property
    def reads_until(self) -> float | None:
        """Unix time at which the connection must end, unless it authenticates; ``None``: never."""
        if (expiry := self.expires_at) is None:
            return None
        by_cookie = self.user.source is TokenSource.COOKIE
        return expiry + (self.cookie_grace if by_cookie else RENEWAL_TIME)

    def renewed(self, user: User) -> Credentials:
        """Return the credentials after ``authenticate`` with a new, verified token.

        :raises AuthError: INVALID_TOKEN, the token is another user's.
        """
        if not self.user.is_same_person(user):
            raise invalid_token("another user's token")
        return Credentials(user, self.cookie_grace)
