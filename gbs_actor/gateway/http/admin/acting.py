"""What all actions of operators have in common: the body, the trial, the response, the audit."""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta
from quart import Request, Response

from gbs_actor.contract.decoding import decode
from gbs_actor.gateway.http.admin.audit import Audit, address_of
from gbs_actor.gateway.http.admin.identity import Operator
from gbs_actor.gateway.http.admin.responses import fresh_response
from gbs_actor.rooms import RoomSummary
from gbs_actor.store.audit import Outcome

_NOT_BLANK: Final = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
"""Without U+0000, which PostgreSQL's text cannot store."""
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=_NOT_BLANK)]


class ActionBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Why an operator acts."""

    reason: Reason
    """For the audit."""


class ActionResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an action did, or with `dry_run` would do."""

    changed: bool
    """Whether it began something; with `dry_run`, whether it would."""
    dry_run: bool
    message: str
    """In one sentence."""


class RoomActionResult(ActionResult, frozen=True, kw_only=True):
    """What an action did to a room."""

    room: RoomSummary | None
    """The room after it; null: none of this retreat is open."""


class KickResult(ActionResult, frozen=True, kw_only=True):
    """Who was disconnected."""

    sessions: int
    """How many sessions."""


BodyT = TypeVar("BodyT", bound=ActionBody)


async def read_body(request: Request, decoder: msgspec.json.Decoder[BodyT]) -> BodyT:
    """Return the body of an action.

    :raises InvalidPayload: it is no such body.
    """
    raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    return decode(raw, decoder)


def is_trial(request: Request) -> bool:
    """Return whether an action is only to say what it would do."""
    return "dry_run" in request.args


def responded(
    audit: Audit,
    request: Request,
    operator: Operator,
    result: ActionResult,
    *,
    action: str,
    target: str = "",
    reason: str,
    outcome: Outcome | None = None,
) -> Response:
    """Record an action, and return its response.

    :param outcome: for the audit; ``None``: what the response says.
    """
    if outcome is None:
        changed: Outcome = "done" if result.changed else "unchanged"
        outcome = "dry_run" if result.dry_run else changed
    audit.record(
        operator,
        action,
        target,
        reason=reason,
        outcome=outcome,
        address=address_of(request),
        details=result.message,
    )
    return fresh_response(result)
