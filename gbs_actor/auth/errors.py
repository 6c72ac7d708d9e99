"""Errors of authentication and authorization, with the codes and messages of clients."""

from __future__ import annotations

from enum import StrEnum


class AuthErrorCode(StrEnum):
    """``error.data.code`` of a connect error; ``code`` of an HTTP error."""

    AUTH_REQUIRED = "AUTH_REQUIRED"
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105  (a code, no secret)
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    FORBIDDEN = "FORBIDDEN"


class TokenFault(StrEnum):
    """What is wrong with a token; operators see it, clients do not."""

    FORM = "form"
    """It is no compact JWS, or damaged."""
    ALGORITHM = "algorithm"
    """It is signed with an algorithm that is not allowed."""
    SIGNATURE = "signature"
    """No key verifies it."""
    ISSUER = "issuer"
    AUDIENCE = "audience"
    CLAIMS = "claims"
    """A claim is missing, or of the wrong type or value."""
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"


class AuthError(Exception):
    """A request without the right credentials.

    :param message: for the client.
    :param reason: for the log only; the details would help an attacker.
    :param fault: of the token, if that was refused.
    """

    def __init__(
        self,
        message: str,
        code: AuthErrorCode,
        reason: str = "",
        fault: TokenFault | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.fault = fault


def auth_required() -> AuthError:
    """Return the error for a request without a token."""
    return AuthError("Authentication required", AuthErrorCode.AUTH_REQUIRED)


def invalid_token(reason: str, fault: TokenFault | None = None) -> AuthError:
    """Return the error for a token that is not genuine, or whose claims are invalid."""
    return AuthError("Invalid token", AuthErrorCode.INVALID_TOKEN, reason, fault)


def token_expired() -> AuthError:
    """Return the error for a genuine token that has expired."""
    return AuthError("Token expired", AuthErrorCode.TOKEN_EXPIRED, fault=TokenFault.EXPIRED)


def forbidden() -> AuthError:
    """Return the error for a user whose role may not do this."""
    return AuthError("Forbidden", AuthErrorCode.FORBIDDEN)
