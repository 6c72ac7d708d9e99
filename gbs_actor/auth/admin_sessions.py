"""Sessions of operators' browsers at ``/admin``: signed cookies, so that a restart ends none.

A cookie says whose session it is and until when. It is not the user's token: it opens nothing but
``/admin``, and ends with the token or earlier.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gbs_actor.auth.errors import invalid_token, token_expired
from gbs_actor.auth.token_source import TokenSource
from gbs_actor.auth.user import User
from gbs_actor.environment import Environment
from gbs_actor.settings import Settings

SESSION_TIME: Final = 12 * 3_600
"""Seconds that a session lasts at most."""
MAX_COOKIE: Final = 3_800
"""Characters; browsers ignore a cookie with more than 4,096 bytes, its name included."""
MAX_ENDED: Final = 10_000
"""How many ended sessions are remembered; the one that would expire first is dropped first."""

_ALGORITHM: Final = "HS256"
_PURPOSE: Final = b"gbs-actor: admin sessions, version 1"


@dataclass(frozen=True, slots=True)
class AdminSession:
    """The content of a genuine cookie."""

    id: str
    user: User | None
    """Without the e-mail; ``None``: whoever has the operator token."""
    expires_at: float
    """Unix time in seconds."""


class AdminSessions:
    """Begins, opens and ends sessions: JWS with HMAC-SHA256 (RFC 7515).

    :param keys: secrets that the key is derived from (HKDF, RFC 5869); if one of them changes,
        all sessions end.
    :param environment: where their ids and times come from.
    """

    def __init__(self, keys: Sequence[bytes], environment: Environment) -> None:
        material = b"\0".join(keys) or environment.entropy(32)
        self._key = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(material)
        self._environment = environment
        self._ended: dict[str, float] = {}
        """When they would have expired, by id."""

    @classmethod
    def from_settings(cls, settings: Settings, environment: Environment) -> AdminSessions:
        """Use all secrets of the settings; without any, sessions end with the process."""
        chosen = (
            settings.auth.jwt_secret,
            settings.recovery.recovery_secret,
            settings.admin.admin_token,
        )
        keys = [each.get_secret_value().encode() for each in chosen if each is not None]
        return cls(keys, environment)

    def begin(self, user: User | None) -> tuple[str, AdminSession]:
        """Return a new session's cookie and content.

        It lasts :data:`SESSION_TIME`, but not longer than the user's token.

        :param user: ``None``: whoever has the operator token.
        :raises AuthError: TOKEN_EXPIRED, the token is accepted only because clocks may differ.
        :raises ValueError: the cookie would be too long for browsers.
        """
        now = self._environment.wall()
        token_ends = inf if user is None or user.expires_at is None else user.expires_at
        if token_ends <= now:
            raise token_expired()
        session = AdminSession(
            id=self._environment.token(12),
            user=None if user is None else replace(user, email="", source=TokenSource.COOKIE),
            expires_at=min(now + SESSION_TIME, token_ends),
        )
        cookie = jwt.encode(msgspec.to_builtins(session), self._key, _ALGORITHM)
        if len(cookie) > MAX_COOKIE:
            raise ValueError(f"the cookie would have {len(cookie)} characters")
        return cookie, session

    def open(self, cookie: str) -> AdminSession:
        """Return the content of a cookie.

        :raises AuthError: INVALID_TOKEN, it is not ours, or has ended; TOKEN_EXPIRED.
        """
        if len(cookie) > MAX_COOKIE:
            raise invalid_token("no session of /admin: too long")
        try:
            claims = jwt.decode(cookie, self._key, [_ALGORITHM])
            session = msgspec.convert(claims, AdminSession)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError) as error:
            raise invalid_token(f"no session of /admin: {error}") from None
        if self.has_ended(session):
            raise invalid_token("the session of /admin has ended")
        if self._environment.wall() >= session.expires_at:
            raise token_expired()
        return session

    def has_ended(self, session: AdminSession) -> bool:
        """Return whether a session was ended before its time."""
        return session.id in self._ended

    def seconds_left(self, session: AdminSession) -> float:
        """Return the seconds until a session expires."""
        return session.expires_at - self._environment.wall()

    def csrf_token(self, cookie: str) -> str:
        """Return what a page sends with each request that changes something.

        A page of another origin can make the browser send the cookie, but cannot read this.
        """
        return hmac.digest(self._key, b"csrf:" + cookie.encode(), "sha256").hex()

    def end(self, session: AdminSession) -> None:
        """Make a session's cookie invalid here, until the process ends."""
        now = self._environment.wall()
        for ended, expires_at in list(self._ended.items()):
            if expires_at <= now:
                del self._ended[ended]
        self._ended[session.id] = session.expires_at
        if len(self._ended) > MAX_ENDED:
            del self._ended[min(self._ended, key=self._ended.__getitem__)]
