"""Verifies tokens: signature, algorithm, issuer, audience, time, claims."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jwt
import msgspec

from gbs_actor.auth.errors import TokenFault, invalid_token, token_expired
from gbs_actor.auth.keys import Key, KeyRing
from gbs_actor.auth.token_source import TokenSource
from gbs_actor.auth.user import LEEWAY, User
from gbs_actor.auth.verified_tokens import VerifiedToken, VerifiedTokens
from gbs_actor.environment import SYSTEM
from gbs_actor.roles import Role
from gbs_actor.settings import AuthSettings

MAX_TOKEN = 8192
"""The longest token, in characters."""
MAX_ID = 2**63 - 1
LATEST = 253_402_300_799
"""The last second of the year 9999; a later time is most likely in milliseconds."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_DIGITS = re.compile(r"[0-9]{1,19}")


class _Claims(msgspec.Struct, frozen=True, rename="camel"):
    """The claims that are used, with their types (bool is no integer)."""

    role: Role
    user_id: int | str | None = None
    sub: int | str | None = None
    admin_user_id: int | str | None = None
    name: str | None = None
    email: str | None = None
    retreats: list[str] | None = None
    exp: int | float | None = None
    nbf: int | float | None = None


class Verifier:
    """Verifies tokens with the keys and rules of the settings.

    :param now: Unix time in seconds.
    :raises SettingsError: a key file cannot be used, or no key fits an allowed algorithm.
    """

    def __init__(self, settings: AuthSettings, *, now: Callable[[], float] = SYSTEM.wall) -> None:
        self._algorithms = frozenset(settings.jwt_algorithms)
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._keys = KeyRing.from_settings(settings)
        self._verified = VerifiedTokens()
        self._now = now

    def now(self) -> float:
        """Return the Unix time in seconds that tokens are checked against."""
        return self._now()

    def verify(self, token: str, source: TokenSource = TokenSource.PAYLOAD) -> User:
        """Return the user of a token; the same object for the same token and source.

        Only a genuine token is reported as expired: other faults are checked first.

        :param source: where the token was read from; stored in the user.
        :raises AuthError: INVALID_TOKEN or TOKEN_EXPIRED.
        """
        if len(token) > MAX_TOKEN or not _COMPACT.fullmatch(token):
            raise invalid_token("no compact JWS, or too long", TokenFault.FORM)
        keys = self._keys.keys()
        verified = self._verified.get(token, source, keys)
        if verified is None:
            verified = self._verify(token, source, keys)
            self._verified.add(token, verified)
        now, user = self._now(), verified.user
        if verified.not_before is not None and now < verified.not_before - LEEWAY:
            raise invalid_token("nbf lies ahead", TokenFault.NOT_YET_VALID)
        if user.expires_at is not None and now >= user.expires_at + LEEWAY:
            raise token_expired()
        return user

    def _verify(self, token: str, source: TokenSource, keys: tuple[Key, ...]) -> VerifiedToken:
        """Verify all of a token but its times."""
        claims = self._claims(self._payload(token))
        user_id = _identifier(
            "userId", claims.user_id if claims.user_id is not None else claims.sub
        )
        user = User(
            user_id=user_id,
            admin_user_id=(
                user_id
                if claims.admin_user_id is None
                else _identifier("adminUserId", claims.admin_user_id)
            ),
            name=_text(claims.name),
            email=_text(claims.email),
            role=claims.role,
            retreats=None if claims.retreats is None else frozenset(claims.retreats),
            expires_at=None if claims.exp is None else _moment("exp", claims.exp),
            source=source,
        )
        not_before = None if claims.nbf is None else _moment("nbf", claims.nbf)
        return VerifiedToken(user, not_before, keys)

    def _payload(self, token: str) -> dict[str, Any]:
        """Return the claims of a token whose signature, issuer and audience are right."""
        message, _, signature = token.rpartition(".")
        header, _, payload = message.partition(".")
        try:
            algorithm, kid = _algorithm_and_kid(header)
            signed, content = message.encode(), _decode(payload)
            signature_bytes = _decode(signature)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise invalid_token(f"header or encoding: {error}", TokenFault.FORM) from None
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise invalid_token("algorithm not allowed", TokenFault.ALGORITHM)
        keys = self._keys.candidates(algorithm, kid)
        if not any(key.verify(signed, signature_bytes) for key in keys):
            raise invalid_token(
                f"signed by none of {len(keys)} keys for this algorithm and kid",
                TokenFault.SIGNATURE,
            )
        try:
            claims = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise invalid_token(f"payload: {error}", TokenFault.CLAIMS) from None
        if not isinstance(claims, dict):
            raise invalid_token("the payload is no object", TokenFault.CLAIMS)
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise invalid_token("another issuer, or none", TokenFault.ISSUER)
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._audience is not None and not (
            self._audience in audiences and all(isinstance(each, str) for each in audiences)
        ):
            raise invalid_token("another audience, or none", TokenFault.AUDIENCE)
        return claims

    @staticmethod
    def _claims(payload: dict[str, Any]) -> _Claims:
        try:
            return msgspec.convert(payload, _Claims)
        except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
            raise invalid_token(f"claims: {error}", TokenFault.CLAIMS) from None


@lru_cache(maxsize=64)
def _algorithm_and_kid(header: str) -> tuple[Any, Any]:
    """Return what a token's header says of its key; most tokens have the same header.

    :raises ValueError: its payload may not be base64url (RFC 7797).
    """
    fields = jwt.get_unverified_header(f"{header}..")
    if "b64" in fields:
        raise ValueError("b64 is not supported")
    return fields.get("alg"), fields.get("kid")


def _decode(segment: str) -> bytes:
    """Decode a part of a token (RFC 7515 §2).

    :raises ValueError: it is no base64url, or not in the one form that encoding gives.
    """
    padded = segment + "=" * (-len(segment) % 4)
    content = urlsafe_b64decode(padded)
    if urlsafe_b64encode(content).decode() != padded:
        raise ValueError("not the base64url of what it decodes to")
    return content


def _identifier(claim: str, value: int | str | None) -> int:
    """Return an id given as a number or as digits."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or not 0 < value <= MAX_ID:
        raise invalid_token(f"{claim} is no id", TokenFault.CLAIMS)
    return value


def _text(value: str | None) -> str:
    """Return a name that JSON and the database can hold: no lone surrogates, no U+0000.

    Truncating an emoji leaves a lone surrogate.
    """
    text = (value or "").encode("utf-8", "replace").decode()
    return text.replace("\0", "")


def _moment(claim: str, value: float) -> float:
    """Return a NumericDate (RFC 7519 §2), which may have a fraction."""
    if not 0 <= value <= LATEST:  # which NaN is not either
        raise invalid_token(f"{claim} is no time", TokenFault.CLAIMS)
    return float(value)
