"""Why someone is not let in, in the words that clients know."""

from __future__ import annotations

from enum import StrEnum


class RefusalCode(StrEnum):
    """``error.data.code`` of a refused CONNECT; of an HTTP request the ``code``."""

    AUTH_REQUIRED = "AUTH_REQUIRED"
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105  (a code, no secret)
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    FORBIDDEN = "FORBIDDEN"


class AuthRefused(Exception):
    """A request without the right credentials.

    ``reason`` is for the log only: to tell a client more than the message would help
    those who try.
    """

    def __init__(self, message: str, code: RefusalCode, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


def auth_required() -> AuthRefused:
    """Return the refusal of somebody without a token."""
    return AuthRefused("Authentication required", RefusalCode.AUTH_REQUIRED)


def invalid_token(reason: str) -> AuthRefused:
    """Return the refusal of a token that is not genuine, or says what makes no sense."""
    return AuthRefused("Invalid token", RefusalCode.INVALID_TOKEN, reason)


def token_expired() -> AuthRefused:
    """Return the refusal of a genuine token that is over."""
    return AuthRefused("Token expired", RefusalCode.TOKEN_EXPIRED)


def forbidden() -> AuthRefused:
    """Return the refusal of somebody whose role may not use this."""
    return AuthRefused("Forbidden", RefusalCode.FORBIDDEN)
