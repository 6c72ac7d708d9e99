"""Close codes and reasons of plain WebSockets.

Codes from 4000 on are private (RFC 6455 §7.4.2); ours follow HTTP's statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gbs_actor.auth import AuthError, AuthErrorCode
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import CloseCode


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """Code and reason (RFC 6455 §7.1.5, §7.1.6)."""

    code: int
    reason: str


AUTHENTICATION: Final = 4401
FORBIDDEN: Final = 4403
TOO_MANY: Final = 4429

EXPIRED: Final = CloseFrame(AUTHENTICATION, AuthErrorCode.TOKEN_EXPIRED)
REVOKED: Final = CloseFrame(FORBIDDEN, Code.FORBIDDEN)
NO_SUCH_RETREAT: Final = CloseFrame(4404, Code.RETREAT_NOT_FOUND)
TOO_MANY_OF_USER: Final = CloseFrame(TOO_MANY, "too many connections of this user")
TOO_MANY_OF_ADDRESS: Final = CloseFrame(TOO_MANY, "too many connections from this address")
RESTARTING: Final = CloseFrame(CloseCode.SERVICE_RESTART, Code.ROOM_RESTARTED)
FULL: Final = CloseFrame(CloseCode.TRY_AGAIN_LATER, "too many connections")


def for_refusal(refused: AuthError) -> CloseFrame:
    """Return the close frame for a client that is refused."""
    forbidden = refused.code is AuthErrorCode.FORBIDDEN
    return CloseFrame(FORBIDDEN if forbidden else AUTHENTICATION, refused.code)


def for_failure(failure: Failure) -> CloseFrame:
    """Return the close frame for a client that could not join."""
    if failure.code == Code.FORBIDDEN:
        return CloseFrame(FORBIDDEN, failure.code)
    if failure.code == Code.RETREAT_NOT_FOUND:
        return NO_SUCH_RETREAT
    return CloseFrame(
        CloseCode.TRY_AGAIN_LATER if failure.retryable else CloseCode.INTERNAL_ERROR, failure.code
    )
