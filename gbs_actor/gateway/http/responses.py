"""HTTP responses: their bodies, and the status of each code.

Each body is defined once, to encode and to describe it. Rows arrive encoded: a response is
encoded with :class:`msgspec.Raw` in their positions, and described with
:class:`~gbs_actor.lineup.records.Row`.
"""

from __future__ import annotations

from typing import Final, Generic, Literal, TypeVar

import msgspec
from quart import Response

from gbs_actor.auth.errors import AuthErrorCode
from gbs_actor.gateway import replies
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code

RowT = TypeVar("RowT")
RowsT = TypeVar("RowsT")

STATUS: Final[dict[str, int]] = {
    AuthErrorCode.AUTH_REQUIRED: 401,
    AuthErrorCode.INVALID_TOKEN: 401,
    AuthErrorCode.TOKEN_EXPIRED: 401,
    Code.VALIDATION_FAILED: 400,
    Code.FORBIDDEN: 403,
    Code.RETREAT_NOT_FOUND: 404,
    Code.NOT_FOUND: 404,
    Code.LEADER_LOCKED: 409,
    Code.CONFLICT: 409,
    Code.GROUP_NOT_EMPTY: 409,
    Code.IMPORT_BLOCKED: 409,
    Code.NOT_ACKNOWLEDGED: 409,
    Code.NOT_IN_ROOM: 409,
    Code.HISTORY_PRUNED: 410,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL: 500,
    Code.ROOM_BUSY: 503,
    Code.ROOM_RESTARTED: 503,
    Code.ROOM_UNAVAILABLE: 503,
    Code.STORE_UNAVAILABLE: 503,
    Code.OUTCOME_UNKNOWN: 504,
}
"""The HTTP status of each code."""

RETRY_AFTER: Final = 2
"""Seconds in ``Retry-After`` (RFC 9110 §10.2.3) if no better value is known."""


class UserLineups(msgspec.Struct, Generic[RowsT], frozen=True, rename="camel"):
    """The line-up list, or the rows of it that have changed."""

    user_retreat_gbs_lineups: RowsT
    revision: int
    """The room's."""
    epoch: str
    """Opaque; changes when revisions start anew."""
    full: bool
    """Whether the rows replace the reader's list, or are merged into it by ``id``."""


class Edited(msgspec.Struct, Generic[RowT], frozen=True, rename="camel"):
    """A change that is durable."""

    updated_lineups: tuple[RowT, ...]
    """Every row that changed; of a repeat, the addressed row."""
    user_retreat_gbs_lineup: RowT
    """The addressed row, current."""
    revision: int
    """The room's revision that the change made; of a repeat the original one."""


class Alive(msgspec.Struct, frozen=True):
    """The process responds."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """The database responds, too, and the server is not stopping."""

    status: Literal["ready"] = "ready"


def json_response(body: bytes, status: int = 200) -> Response:
    """Return a JSON response; ``body`` is encoded already."""
    return Response(body, status=status, content_type="application/json")


def failure_response(failure: Failure, *, retry_after: int = RETRY_AFTER) -> Response:
    """Return an error as ``{code, message, …}``.

    :param retry_after: seconds, for 429 and 503.
    """
    status = STATUS.get(failure.code, 500)
    response = json_response(replies.http_error(failure), status)
    if status in {429, 503}:
        response.headers["Retry-After"] = str(retry_after)
    if status == 401:
        # RFC 9110 §15.5.2: a 401 names the scheme; RFC 6750 §3 for the rest.
        response.headers["WWW-Authenticate"] = (
            "Bearer"
            if failure.code == AuthErrorCode.AUTH_REQUIRED
            else 'Bearer error="invalid_token"'
        )
    response.headers["Cache-Control"] = "no-store"
    return response
