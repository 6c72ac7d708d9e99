"""The secret with which a client recovers its session: signed, so that the server stores none.

It contains the session's id, its user and the time of issue, but not the session's location.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gbs_actor.auth.user import LEEWAY
from gbs_actor.environment import Environment
from gbs_actor.settings import Settings

log = structlog.get_logger(__name__)

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BqQ")  # version, user id, Unix time of issue in seconds
_SIGNATURE: Final = 32
_MAX_SID: Final = 64
_MAX_TOKEN: Final = 200
"""Characters; a longer one is not read."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_PURPOSE: Final = b"gbs-actor: session tokens, version 1"


@dataclass(frozen=True, slots=True)
class SessionClaim:
    """The content of a genuine token."""

    sid: str
    user_id: int


class SessionTokens:
    """Issues and reads session tokens: HMAC-SHA256 (RFC 2104), base64url without padding.

    :param secret: the key is derived from it (HKDF, RFC 5869); at least 32 bytes.
    :param max_age: seconds for which a token is valid.
    :param now: returns the Unix time in seconds.
    """

    def __init__(self, secret: bytes, max_age: float, now: Callable[[], float]) -> None:
        self._key = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
        self._max_age = max_age
        self._now = now

    @classmethod
    def from_settings(cls, settings: Settings, environment: Environment) -> SessionTokens:
        """Use ``recovery_secret``, or else ``jwt_secret``.

        Without both (users' tokens are signed elsewhere) no session is recovered after a restart,
        and a warning is logged.
        """
        chosen = settings.recovery.recovery_secret or settings.auth.jwt_secret
        if chosen is None:
            log.warning("Sessions are not recovered after a restart: recovery_secret is not set")
            secret = environment.entropy(32)
        else:
            secret = chosen.get_secret_value().encode()
        return cls(secret, settings.recovery.recovery_max_age, environment.wall)

    def issue(self, sid: str, user_id: int) -> str:
        """Return a token for a session.

        :param sid: ASCII, at most 64 characters.
        :raises ValueError: the id is longer than that.
        """
        if len(sid) > _MAX_SID:
            raise ValueError("a session's id has at most 64 characters")
        claim = _HEAD.pack(_VERSION, user_id, int(self._now())) + sid.encode("ascii")
        return _encode(claim + self._sign(claim))

    def open(self, token: str) -> SessionClaim | None:
        """Return the content of a token; ``None``: it is not ours, or too old."""
        if len(token) > _MAX_TOKEN or _TOKEN.fullmatch(token) is None:
            return None
        try:
            content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except binascii.Error:
            return None
        claim, signature = content[:-_SIGNATURE], content[-_SIGNATURE:]
        if not hmac.compare_digest(self._sign(claim), signature):
            return None
        if _encode(content) != token:
            return None  # another base64 spelling of ours: each token has one only
        version, user_id, issued = _HEAD.unpack_from(claim)
        if version != _VERSION or not -LEEWAY <= self._now() - issued <= self._max_age:
            return None
        return SessionClaim(claim[_HEAD.size :].decode("ascii"), user_id)

    def _sign(self, claim: bytes) -> bytes:
        return hmac.digest(self._key, claim, "sha256")


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
