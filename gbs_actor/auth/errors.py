"""Errors of authentication and authorization, with the codes and messages of clients."""

from __future__ import annotations

from enum import StrEnum


class AuthErrorCode(StrEnum):
    """``error.data.code`` of a connect error; ``code`` of an HTTP error."""

    AUTH_REQUIRED = "AUTH_REQUIRED"
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105  (a code, no secret)
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    FORBIDDEN = "FORBIDDEN"


class AuthError(Exception):
    """A request without the right credentials.

    :param message: for the client.
    :param reason: for the log only; the details would help an attacker.
    """

    def __init__(self, message: str, code: AuthErrorCode, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


def auth_required() -> AuthError:
    """Return the error for a request without a token."""
    return AuthError("Authentication required", AuthErrorCode.AUTH_REQUIRED)


def invalid_token(reason: str) -> AuthError:
    """Return the error for a token that is not genuine, or whose claims are invalid."""
    return AuthError("Invalid token", AuthErrorCode.INVALID_TOKEN, reason)


def token_expired() -> AuthError:
    """Return the error for a genuine token that has expired."""
    return AuthError("Token expired", AuthErrorCode.TOKEN_EXPIRED)


def forbidden() -> AuthError:
    """Return the error for a user whose role may not do this."""
    return AuthError("Forbidden", AuthErrorCode.FORBIDDEN)
