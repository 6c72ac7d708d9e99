"""What a connection may still do once its token's time is over."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.auth.refusal import invalid_token
from gbs_actor.auth.user import LEEWAY, TokenSource, User

RENEWAL_TIME = 60.0
"""Seconds to ``authenticate`` after a token that is no cookie has expired."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user of one connection; a new token makes new credentials.

    A token from the CONNECT payload or a header: after its expiry the client is told, has
    :data:`RENEWAL_TIME` to authenticate anew, and is then disconnected from the namespace.
    A cookie: the page cannot renew it, and would stay dead after a namespace disconnect;
    so it reads on for ``cookie_grace`` and may not change anything.
    """

    user: User
    cookie_grace: float
    """Seconds."""

    def expired(self, now: float) -> bool:
        """Whether the token's time is over, leeway included: mutations get TOKEN_EXPIRED."""
        return (expiry := self.expires_at) is not None and now >= expiry

    @property
    def expires_at(self) -> float | None:
        """Unix time at which the token stops counting, leeway included."""
        return None if self.user.expires_at is None else self.user.expires_at + LEEWAY

    @property
    def reads_until(self) -> float | None:
        """Unix time at which the connection must end, unless it authenticates anew."""
        if (expiry := self.expires_at) is None:
            return None
        by_cookie = self.user.source is TokenSource.COOKIE
        return expiry + (self.cookie_grace if by_cookie else RENEWAL_TIME)

    def renewed(self, user: User) -> Credentials:
        """Return the credentials after ``authenticate`` with a new, verified token.

        :raises AuthRefused: INVALID_TOKEN, it is somebody else's.
        """
        if not self.user.is_same_person(user):
            raise invalid_token("another user's token")
        return Credentials(user, self.cookie_grace)
