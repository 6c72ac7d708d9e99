"""Why a connection is closed, as clients can tell it: code and reason of the close frame.

Codes from 4000 on are ours (RFC 6455 §7.4.2); they follow HTTP's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gbs_actor.auth import AuthError, AuthErrorCode
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import CloseCode


@dataclass(frozen=True, slots=True)
class Closing:
    """What the close frame says."""

    code: int
    reason: str


AUTHENTICATION: Final = 4401
FORBIDDEN: Final = 4403
TOO_MANY: Final = 4429

EXPIRED: Final = Closing(AUTHENTICATION, AuthErrorCode.TOKEN_EXPIRED)
NO_SUCH_RETREAT: Final = Closing(4404, Code.RETREAT_NOT_FOUND)
TOO_MANY_OF_USER: Final = Closing(TOO_MANY, "too many connections of this user")
TOO_MANY_OF_ADDRESS: Final = Closing(TOO_MANY, "too many connections from this address")
FULL: Final = Closing(CloseCode.TRY_AGAIN_LATER, "too many connections")


def for_refusal(refused: AuthError) -> Closing:
    """Return how somebody is told that they are not let in."""
    forbidden = refused.code is AuthErrorCode.FORBIDDEN
    return Closing(FORBIDDEN if forbidden else AUTHENTICATION, refused.code)


def for_failure(failure: Failure) -> Closing:
    """Return how somebody is told that they could not join."""
    if failure.code == Code.FORBIDDEN:
        return Closing(FORBIDDEN, failure.code)
    if failure.code == Code.RETREAT_NOT_FOUND:
        return NO_SUCH_RETREAT
    return Closing(
        CloseCode.TRY_AGAIN_LATER if failure.retryable else CloseCode.INTERNAL_ERROR, failure.code
    )
